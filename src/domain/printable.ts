/** Makes untrusted text safe to show to people. */

/**
 * Characters that can mislead a terminal or a reader: control characters (C0, C1, DEL), which move the cursor or end a
 * line; format characters, which reorder text (bidirectional controls) or have no width; U+2028 and U+2029, which end
 * lines; other invisible characters; and lone surrogates.
 */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;
const UNSAFE_IN_BLOCK = /(?![\n\t])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;

/** Matches most text, and is cheaper than checking each character's properties. */
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

/** Reports whether text is plain ASCII, which is as wide on a terminal as it is long. */
export const isPlain = (text: string): boolean => PLAIN.test(text);

/**
 * Escapes everything in a single line that affects a terminal or is invisible. Printable text is returned unchanged.
 */
export const printable = (text: string): string => (PLAIN.test(text) ? text : text.replace(UNSAFE, escaped));

/** Like `printable`, for multi-line text: line ends and tabs are kept. */
export const printableBlock = (text: string): string => text.replace(UNSAFE_IN_BLOCK, escaped);

/** Like `printableBlock`, for a JSON text: the result parses to the same value. */
export const printableJson = (json: string): string =>
  PLAIN.test(json) ? json : json.replace(UNSAFE_IN_BLOCK, escapedInJson);
