import { parseExactJson } from "../../domain/exact-json.ts";
import { reasonOf } from "../../errors/sys-failure.ts";
import { usageError } from "../command.ts";

/**
 * What looks like JSON is parsed as JSON, with all digits; any other word is text: an address, a name. `what` it is, for messages:
 * `key`. Throws USAGE.
 */
export function parseJsonWord(word: string, what: string): unknown {
  if (!/^\s*([[{"]|(-?(0|[1-9]\d*)(\.\d+)?|true|false|null)\s*$)/.test(word)) return word;
  try {
    return parseExactJson(word);
  } catch (thrown) {
    // The engine says how its stack overflowed.
    const reason =
      thrown instanceof RangeError ? "it is nested too deeply" : `it is not valid JSON: ${reasonOf(thrown)}`;
    throw usageError(`invalid ${what} "${word}": ${reason}`, "quote it for the shell, as in '{\"port\":53}'");
  }
}
