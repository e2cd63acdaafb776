/** Parses numbers and durations. Each accepts only decimal digits unless stated otherwise. */
import { ID_MAX, MAP_ENTRIES_MAX } from "../../domain/limits.ts";
import type { ErrorCode } from "../../errors/codes.ts";
import { BpfmanError } from "../../errors/error.ts";

interface Range {
  readonly what: string;
  readonly min: number;
  readonly max: number;
  readonly code: ErrorCode;
  /** Where such numbers are listed. */
  readonly seen?: string;
}

function parseWhole(text: string, { what, min, max, code, seen }: Range): number {
  const value = /^[0-9]+$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= min && value <= max)) {
    const hint = /^[0-9]+(,[0-9]+)+$/.test(text) ? "separate several numbers with spaces" : seen;
    throw new BpfmanError(code, `invalid ${what} "${text}": must be a whole number from ${min} to ${max}`, {
      ...(hint === undefined ? {} : { hint }),
    });
  }
  return value;
}

/** Largest PID: pid_t is a signed 32-bit integer. */
const PID_MAX = 0x7fff_ffff;

export const parseProgramId = (text: string): number =>
  parseWhole(text, {
    what: "program id",
    min: 1,
    max: ID_MAX,
    code: "USAGE",
    seen: 'see "bpfman list programs"',
  });

export const parseLinkId = (text: string): number =>
  parseWhole(text, {
    what: "link id",
    min: 1,
    max: ID_MAX,
    code: "USAGE",
    seen: 'see "bpfman list links"',
  });

/** Of a map of the kernel. */
export const parseMapId = (text: string): number =>
  parseWhole(text, { what: "map id", min: 1, max: ID_MAX, code: "USAGE", seen: 'see "bpftool map list"' });

/** max_entries of a map. */
export const parseEntries = (text: string): number =>
  parseWhole(text, { what: "number of entries", min: 1, max: MAP_ENTRIES_MAX, code: "USAGE" });

export const parsePid = (text: string): number =>
  parseWhole(text, {
    what: "pid",
    min: 1,
    max: PID_MAX,
    code: "USAGE",
    seen: "ps shows the PIDs of running processes",
  });

export const parsePriority =
  (max: number) =>
  (text: string): number =>
    parseWhole(text, { what: "priority", min: 0, max, code: "INVALID_PRIORITY" });

const IN_DISPATCHERS = 'see "bpfman dispatcher list"';

/** Inode of a network namespace. */
export const parseNsid = (text: string): number =>
  parseWhole(text, { what: "namespace id", min: 1, max: ID_MAX, code: "USAGE", seen: IN_DISPATCHERS });

export const parseIfindex = (text: string): number =>
  parseWhole(text, { what: "interface index", min: 1, max: ID_MAX, code: "USAGE", seen: IN_DISPATCHERS });

/** Bytes, in decimal or as `0x` hex. */
export function parseOffset(text: string): number {
  const value = /^([0-9]+|0[xX][0-9a-fA-F]+)$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(value)) return value;
  throw new BpfmanError("USAGE", `invalid offset "${text}": must be a number of bytes, in decimal or as 0x hex`, {
    // Elsewhere, -o is the output format.
    ...(text === "json" || text === "text" ? { hint: `-o is the offset here; write "--output ${text}"` } : {}),
  });
}

/** Converts 0 to null, where newer bpfman uses 0 for "none". */
export const zeroForNone =
  <T>(parse: (text: string, where: string) => T) =>
  (text: string, where: string): T | null =>
    text === "0" ? null : parse(text, where);

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

/**
 * Parses `500ms`, `30s`, `1.5m`, `1h30m`, or plain seconds; returns milliseconds. Rounds up, so a positive duration
 * never becomes zero.
 */
export function parseDuration(text: string, where: string): number {
  const written = /^[0-9.]+$/.test(text) ? `${text}s` : text;
  const parts = [...written.matchAll(PART)];
  const isWhole = parts.length > 0 && parts.map(([part]) => part).join("") === written;
  const ms = Math.ceil(parts.reduce((sum, [, digits, unit = ""]) => sum + Number(digits) * (UNIT_MS[unit] ?? 0), 0));
  if (!isWhole || !Number.isSafeInteger(ms)) {
    throw new BpfmanError(
      "USAGE",
      `invalid duration${where} "${text}": must be a number with ms, s, m or h, as in 30s`,
    );
  }
  return ms;
}
