import { printableJson } from "../../domain/printable.ts";

/** Two-space indent and a trailing newline. Escapes characters that affect a terminal; the value is unchanged. */
export const renderJson = (value: unknown): string => `${printableJson(JSON.stringify(value, null, 2))}\n`;

/** Keys of answers whose objects contain users' own keys. */
const FREE = new Set(["metadata", "global_data"]);

/**
 * Reports whether newer bpfman's JSON lacks this key in an object with these keys. Its typed clients reject unknown
 * keys.
 */
function isOurs(key: string, beside: object): boolean {
  switch (key) {
    case "prog_pin_present":
    case "map_dir_present":
    case "bytecode_present":
    case "absolute_source_path":
    case "attachment":
      return true;
    case "link_id":
      return "id" in beside;
    case "status":
      return "managed" in beside;
    default:
      return false;
  }
}

/**
 * Returns an answer as the noun-verb grammar prints it, without the additional fields listed in docs/differences.md.
 */
export function nounAnswer(answer: unknown): unknown {
  if (Array.isArray(answer)) return answer.map(nounAnswer);
  if (typeof answer !== "object" || answer === null || isRawJson(answer)) return answer;
  const kept = Object.entries(answer).filter(([key]) => !isOurs(key, answer));
  return Object.fromEntries(kept.map(([key, value]) => [key, FREE.has(key) ? value : nounAnswer(value)]));
}

/** Reports whether a value is a number with more digits than a double holds. */
const isRawJson = (value: object): boolean =>
  (JSON as unknown as { isRawJSON(value: unknown): boolean }).isRawJSON(value);
