import { printableJson } from "../../domain/printable.ts";

/** Two-space indent and one newline at the end. Escapes what a terminal would act on; the value stays the same. */
export const renderJson = (value: unknown): string => `${printableJson(JSON.stringify(value, null, 2))}\n`;

/** Keys of answers under which people's own keys stand. */
const FREE = new Set(["metadata", "global_data"]);

/** Whether newer bpfman's JSON has no such key in an object that has these: its typed clients refuse unknown ones. */
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

/** An answer as the noun-verb grammar prints it: without what docs/differences.md says that the others have besides. */
export function nounAnswer(answer: unknown): unknown {
  if (Array.isArray(answer)) return answer.map(nounAnswer);
  if (typeof answer !== "object" || answer === null || isRawJson(answer)) return answer;
  const kept = Object.entries(answer).filter(([key]) => !isOurs(key, answer));
  return Object.fromEntries(kept.map(([key, value]) => [key, FREE.has(key) ? value : nounAnswer(value)]));
}

/** A number with more digits than a double holds. */
const isRawJson = (value: object): boolean =>
  (JSON as unknown as { isRawJSON(value: unknown): boolean }).isRawJSON(value);
