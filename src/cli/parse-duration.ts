import { BpfmanError } from "../errors/error.ts";

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** `500ms`, `30s`, `1.5m`, `2h`, or bare seconds, in milliseconds. What is above zero never becomes zero. */
export function parseDuration(text: string): number {
  const [, digits, unit = "s"] = /^([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)?$/.exec(text) ?? [];
  const ms = digits === undefined ? Number.NaN : Math.ceil(Number(digits) * (UNIT_MS[unit] ?? Number.NaN));
  if (!Number.isSafeInteger(ms)) {
    throw new BpfmanError("USAGE", `invalid duration "${text}": must be a number with ms, s, m or h, as in 30s`);
  }
  return ms;
}
