import { BpfmanError } from "../../errors/error.ts";

const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};
const PART = /([0-9]+(?:\.[0-9]+)?)(ns|us|µs|ms|s|m|h)/gu;

/** `500ms`, `30s`, `1.5m`, `1h30m`, or bare seconds, in milliseconds. What is above zero never becomes zero. */
export function parseDuration(text: string, what: string): number {
  const written = /^[0-9.]+$/.test(text) ? `${text}s` : text;
  const parts = [...written.matchAll(PART)];
  const isWhole = parts.length > 0 && parts.map(([part]) => part).join("") === written;
  const ms = Math.ceil(parts.reduce((sum, [, digits, unit = ""]) => sum + Number(digits) * (UNIT_MS[unit] ?? 0), 0));
  if (!isWhole || !Number.isSafeInteger(ms)) {
    throw new BpfmanError("USAGE", `invalid ${what} "${text}": must be a number with ms, s, m or h, as in 30s`);
  }
  return ms;
}
