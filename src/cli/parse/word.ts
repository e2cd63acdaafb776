import type { ErrorCode } from "../../errors/codes.ts";
import { BpfmanError } from "../../errors/error.ts";
import { didYouMean } from "../../errors/suggest.ts";

interface Choice<Word extends string> {
  /** What the word is, for the message: `direction`. */
  readonly what: string;
  readonly words: readonly Word[];
  readonly code: ErrorCode;
}

/** The same in any letter case, with blanks around it: how the noun-verb grammar takes words. */
export const parseAnyCase = <Word extends string>(text: string, choice: Choice<Word>): Word =>
  parseWord(text.trim().toLowerCase(), choice);

/** One of the words that are allowed, exactly as written. The error lists them all. */
export function parseWord<Word extends string>(text: string, { what, words, code }: Choice<Word>): Word {
  const found = words.find((word) => word === text);
  if (found !== undefined) return found;
  const hint = text.includes(",") ? "one word is expected, without commas" : didYouMean(text, words);
  throw new BpfmanError(code, `invalid ${what} "${text}": must be one of ${words.join(", ")}`, {
    details: { value: text, expected: words },
    ...(hint === null ? {} : { hint }),
  });
}
