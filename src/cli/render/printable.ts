/**
 * C0 and C1 controls and DEL, which move the cursor or start an escape sequence, and the characters that reorder text
 * (bidirectional controls) or end a line (U+2028, U+2029).
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the point
const UNSAFE = /[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the point
const UNSAFE_IN_BLOCK = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

const SHORT: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function escaped(character: string): string {
  const code = character.charCodeAt(0);
  return SHORT[character] ?? (code > 0xff ? `\\u${code.toString(16)}` : `\\x${code.toString(16).padStart(2, "0")}`);
}

/** Text from outside, made safe for a terminal: one line, nothing that it would act on. */
export const printable = (text: string): string => text.replace(UNSAFE, escaped);

/** The same for text of many lines: line ends and tabs stay. */
export const printableBlock = (text: string): string => text.replace(UNSAFE_IN_BLOCK, escaped);
