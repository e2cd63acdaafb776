/** Text from outside, as part of what people read. */

/**
 * Characters that a terminal or a reader could be misled by: controls (C0, C1, DEL), which move the cursor or end a line;
 * format characters, which reorder text (bidirectional controls) or have no width; U+2028 and U+2029, which end lines;
 * other invisible ones; and halves of surrogate pairs.
 */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;
const UNSAFE_IN_BLOCK = /(?![\n\t])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;

/** Most text; not worth a look at each character's properties. */
const PLAIN = /^[ -~]*$/;

const SHORT: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function escaped(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  const hex = code.toString(16);
  if (code > 0xffff) return `\\u{${hex}}`;
  return SHORT[character] ?? (code > 0xff ? `\\u${hex.padStart(4, "0")}` : `\\x${hex.padStart(2, "0")}`);
}

const escapedInJson = (character: string): string =>
  character
    .split("")
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
    .join("");

/** One line, nothing in it that acts on a terminal or hides. What is printable already stays as it is. */
export const printable = (text: string): string => (PLAIN.test(text) ? text : text.replace(UNSAFE, escaped));

/** The same for text of many lines: line ends and tabs stay. */
export const printableBlock = (text: string): string => text.replace(UNSAFE_IN_BLOCK, escaped);

/** The same for a JSON text, whose value stays the same. */
export const printableJson = (json: string): string =>
  PLAIN.test(json) ? json : json.replace(UNSAFE_IN_BLOCK, escapedInJson);
