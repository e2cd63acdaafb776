/** DEL and the C1 controls: JSON lets them through, terminals act on them. */
const LEFT_BY_JSON = /[\x7f-\x9f]/g;

/** Two-space indent and one newline at the end. Escapes what a terminal would act on; the value stays the same. */
export function renderJson(value: unknown): string {
  const text = JSON.stringify(value, null, 2);
  return `${text.replace(LEFT_BY_JSON, (character) => `\\u00${character.charCodeAt(0).toString(16)}`)}\n`;
}

/** Keys of answers under which people's own keys stand. */
const FREE = new Set(["metadata", "global_data"]);

/** Whether newer bpfman's JSON has no such key in an object that has these: its typed clients refuse unknown ones. */
function isOurs(key: string, beside: object): boolean {
  switch (key) {
    case "prog_pin_present":
    case "map_dir_present":
    case "bytecode_present":
    case "absolute_source_path":
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
