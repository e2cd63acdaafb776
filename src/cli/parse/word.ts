/** Parses single words: from a fixed list, numbers and durations. Numbers have decimal digits only unless stated otherwise. */
import { ID_MAX, MAP_ENTRIES_MAX, NETFILTER_PRIORITY_MAX, NETFILTER_PRIORITY_MIN } from "../../domain/limits.ts";
import { LOG_LEVELS, type LogLevel } from "../../domain/log.ts";
import type { ErrorCode } from "../../errors/codes.ts";
import { BpfmanError } from "../../errors/error.ts";
import { didYouMean } from "../../errors/suggest.ts";

/**
 * Returns a parser for one of these words, exactly as written. `what` is what the word is, for messages: `direction`.
 * The error lists all words. `elsewhere` has what other tools call them.
 */
export const oneOf =
  <Word extends string>(
    what: string,
    words: readonly Word[],
    code: ErrorCode = "USAGE",
    elsewhere: Readonly<Record<string, Word>> = {},
  ) =>
  (text: string, where = ""): Word => {
    const found = words.find((word) => word === text);
    if (found !== undefined) return found;
    const meant = Object.entries(elsewhere).find(([word]) => word === text.toLowerCase());
    const near = meant === undefined ? didYouMean(text, words) : `here, it is called "${meant[1]}"`;
    throw new BpfmanError(code, `invalid ${what}${where} "${text}": must be one of ${words.join(", ")}`, {
      details: { value: text, expected: words },
      hint: text.includes(",") ? "one word is expected, without commas" : near,
    });
  };

export const LOG_LEVEL_DEFAULT: LogLevel = "warn";

/** As Go programs spell them. */
const SPELLINGS: Readonly<Record<string, LogLevel>> = { err: "error", warning: "warn" };

/**
 * Parses a level, or several for parts of newer bpfman: `info,manager=debug`. bpfman's log has no parts, so the most
 * verbose one applies, and nothing requested is missing. Throws USAGE.
 */
export function parseLogLevel(text: string, where: string): LogLevel {
  const terms = text.split(",").map((term) => term.trim());
  const named = terms.filter((term) => term !== "").map((term) => levelOf(term.slice(term.indexOf("=") + 1), where));
  const isBase = terms.some((term) => term !== "" && !term.includes("="));
  const levels: readonly LogLevel[] = isBase ? named : [...named, LOG_LEVEL_DEFAULT];
  return levels.reduce((most, level) => (LOG_LEVELS.indexOf(level) > LOG_LEVELS.indexOf(most) ? level : most), "off");
}

function levelOf(written: string, where: string): LogLevel {
  const word = written.trim().toLowerCase();
  return SPELLINGS[word] ?? oneOf("log level", LOG_LEVELS)(word, where);
}

interface Range {
  readonly min: number;
  readonly max: number;
  readonly code?: ErrorCode;
  /** Where such numbers are listed. */
  readonly seen?: string;
}

/** Returns a parser for a number in that range. */
export const whole =
  (what: string, { min, max, code = "USAGE", seen }: Range) =>
  (text: string): number => {
    const value = /^[0-9]+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw new BpfmanError(code, `invalid ${what} "${text}": must be a whole number from ${min} to ${max}`, {
      hint: /^[0-9]+(,[0-9]+)+$/.test(text) ? "separate several numbers with spaces" : (seen ?? null),
    });
  };

const id = (what: string, list: string) => whole(what, { min: 1, max: ID_MAX, seen: `see "${list}"` });

/**
 * A name is told from a number by its first character, and `APPLICATION/NAME` by the slash. `id` and `pinned` are words before
 * IDs of other tools.
 */
const idOrName =
  (parseId: (text: string) => number) =>
  (text: string): number | string =>
    /^([-+.0-9][^/]*|id|pinned|)$/.test(text) ? parseId(text) : text;

/** An ID, or for the service to find, a name. */
export const parseProgram = idOrName(id("program id", "bpfman list programs"));
export const parseLink = idOrName(id("link id", "bpfman list links"));
/** Of a map of the kernel. */
export const parseMapId = id("map id", "bpftool map list");
/** Inode of a network namespace. */
export const parseNsid = id("namespace id", "bpfman dispatcher list");
export const parseIfindex = id("interface index", "bpfman dispatcher list");

/** max_entries of a map. */
export const parseEntries = whole("number of entries", { min: 1, max: MAP_ENTRIES_MAX });

/** pid_t is a signed 32-bit integer. */
export const parsePid = whole("pid", { min: 1, max: 0x7fff_ffff, seen: "ps shows the PIDs of running processes" });

export const parseCpu = whole("processor", { min: 0, max: 0x7fff_ffff, seen: "see /sys/devices/system/cpu/online" });

export const parseCount = (what: string) => whole(what, { min: 1, max: Number.MAX_SAFE_INTEGER });

export const parsePriority = (max: number) => whole("priority", { min: 0, max, code: "INVALID_PRIORITY" });

/** Of a netfilter hook. */
export function parseSignedPriority(text: string): number {
  const value = /^[-+]?[0-9]+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= NETFILTER_PRIORITY_MIN && value <= NETFILTER_PRIORITY_MAX) return value + 0;
  const range = `${NETFILTER_PRIORITY_MIN} to ${NETFILTER_PRIORITY_MAX}`;
  throw new BpfmanError("INVALID_PRIORITY", `invalid priority "${text}": must be a whole number from ${range}`, {
    hint: "iptables and nftables use -300 (raw), -150 (mangle), -100 (dstnat), 0 (filter), 50 (security), 100 (srcnat)",
  });
}

/** `10%`, `2.5` */
export function parsePercent(text: string): number {
  const value = /^[0-9]+(\.[0-9]+)?%?$/.test(text) ? Number.parseFloat(text) : Number.NaN;
  if (Number.isFinite(value)) return value;
  throw new BpfmanError("USAGE", `invalid percentage "${text}": must be a number, as in 10%`);
}

/** Bytes, in decimal or as `0x` hex. */
export function parseOffset(text: string): number {
  const value = /^([0-9]+|0[xX][0-9a-fA-F]+)$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(value)) return value;
  throw new BpfmanError("USAGE", `invalid offset "${text}": must be a number of bytes, in decimal or as 0x hex`, {
    // Elsewhere, -o is the output format.
    hint: text === "json" || text === "text" ? `-o is the offset here; write "--output ${text}"` : null,
  });
}

/** Converts 0 to null, where newer bpfman uses 0 for "none". */
export const zeroForNone =
  <T>(parse: (text: string, where: string) => T) =>
  (text: string, where: string): T | null =>
    text === "0" ? null : parse(text, where);

const UNIT_MS: Readonly<Record<string, number>> = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1e3, m: 6e4, h: 3.6e6 };
/** Sticky: it stops at the first character that does not fit, however long the text is. */
const PART = /([0-9]+(?:\.[0-9]+)?)(ns|us|µs|ms|s|m|h)/guy;

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
    const why = isWhole ? "it is too long" : "must be a number with ms, s, m or h, as in 30s";
    throw new BpfmanError("USAGE", `invalid duration${where} "${text}": ${why}`);
  }
  return ms;
}
