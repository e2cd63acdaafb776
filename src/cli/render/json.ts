/** DEL and the C1 controls: JSON lets them through, terminals act on them. */
const LEFT_BY_JSON = /[\x7f-\x9f]/g;

/** Two-space indent and one newline at the end. Escapes what a terminal would act on; the value stays the same. */
export function renderJson(value: unknown): string {
  const text = JSON.stringify(value, null, 2);
  return `${text.replace(LEFT_BY_JSON, (character) => `\\u00${character.charCodeAt(0).toString(16)}`)}\n`;
}
