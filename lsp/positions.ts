/**
 * Places in sources. The compiler and BTF count columns from 1, in bytes of UTF-8; clients of language servers count from 0,
 * in UTF-16 code units.
 */
import type { Position, Range } from "vscode-languageserver";

const NEWLINE = 0x0a;
const RETURN = 0x0d;

/** Splits a file as the compiler and clients of language servers do: at LF, CR LF and CR. */
export function linesOf(file: Uint8Array): Uint8Array[] {
  const lines: Uint8Array[] = [];
  let start = 0;
  for (let at = 0; at < file.length; at++) {
    const byte = file[at];
    if (byte !== NEWLINE && byte !== RETURN) continue;
    lines.push(file.subarray(start, at));
    if (byte === RETURN && file[at + 1] === NEWLINE) at++;
    start = at + 1;
  }
  lines.push(file.subarray(start));
  return lines;
}

const decoder = new TextDecoder();

/** How many UTF-16 code units come before a column of a line. */
const unitsBefore = (line: Uint8Array, column: number): number =>
  decoder.decode(line.subarray(0, Math.max(0, column - 1))).length;

/** Where something is: its line, from 1, and its column, from 1 in bytes; null for the whole line. */
export interface Place {
  readonly line: number;
  readonly column: number | null;
}

/**
 * Returns what is marked: from the column to the end of the line's text, or all of the text. With `word`, only the word or
 * the character at the column.
 */
export function rangeOf({ line, column }: Place, bytes: Uint8Array, word = false): Range {
  const text = decoder.decode(bytes);
  const first = text.length - text.trimStart().length;
  const last = Math.max(first, text.trimEnd().length);
  const given = column === null ? first : unitsBefore(bytes, column);
  // A column beyond the text belongs to a line that has changed since.
  const start = given < last ? given : first;
  const end = word ? start + (/^(\w+|.)/u.exec(text.slice(start))?.[0].length ?? 0) : last;
  const at = (character: number): Position => ({ line: line - 1, character });
  return { start: at(start), end: at(end) };
}
