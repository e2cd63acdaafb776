import { LOG_LEVELS, type LogLevel } from "../../domain/log.ts";
import { parseWord } from "./word.ts";

/** As Go's programs spell them. */
const SPELLINGS: Readonly<Record<string, LogLevel>> = { err: "error", warning: "warn" };

/**
 * A level, or several as newer bpfman writes them for parts of it: `info,manager=debug`. bpfman's log has no parts, so the
 * one that says most counts, and nothing that was asked for is missing. Throws USAGE.
 */
export function parseLogLevel(text: string, what: string): LogLevel {
  const terms = text.split(",").map((term) => term.trim());
  const named = terms.filter((term) => term !== "").map((term) => levelOf(term.slice(term.indexOf("=") + 1), what));
  const isBase = terms.some((term) => term !== "" && !term.includes("="));
  const levels: readonly LogLevel[] = isBase ? named : [...named, LOG_LEVEL_DEFAULT];
  return levels.reduce((most, level) => (LOG_LEVELS.indexOf(level) > LOG_LEVELS.indexOf(most) ? level : most), "off");
}

export const LOG_LEVEL_DEFAULT: LogLevel = "warn";

function levelOf(written: string, what: string): LogLevel {
  const word = written.trim().toLowerCase();
  return SPELLINGS[word] ?? parseWord(word, { what, words: LOG_LEVELS, code: "USAGE" });
}
