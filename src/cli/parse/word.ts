/** Parses words from a fixed list: directions, types, levels. */
import { LOG_LEVELS, type LogLevel } from "../../domain/log.ts";
import type { ErrorCode } from "../../errors/codes.ts";
import { BpfmanError } from "../../errors/error.ts";
import { didYouMean } from "../../errors/suggest.ts";

/**
 * Returns a parser for one of these words, exactly as written. `what` is what the word is, for messages: `direction`.
 * The error lists all words.
 */
export const oneOf =
  <Word extends string>(what: string, words: readonly Word[], code: ErrorCode = "USAGE") =>
  (text: string, where = ""): Word => {
    const found = words.find((word) => word === text);
    if (found !== undefined) return found;
    throw new BpfmanError(code, `invalid ${what}${where} "${text}": must be one of ${words.join(", ")}`, {
      details: { value: text, expected: words },
      hint: text.includes(",") ? "one word is expected, without commas" : didYouMean(text, words),
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
