/** Renders lines of source: where a program was rejected, or what a compiler complains about. */
import type { SourceLine } from "../../domain/object-file.ts";
import { printable } from "../../domain/printable.ts";

/** Renders the place of an instruction and its line; `word` says what happened there. */
export function renderLine(word: string, source: SourceLine): string[] {
  const { instruction, file, line, column, text } = source;
  const inside = `function ${printable(source.function)}, instruction ${instruction}`;
  if (line === null) return [`  ${word} ${inside} (compile with clang -g to see the line of source)`];
  const place = [file ?? "?", line, ...(column === null ? [] : [column])].join(":");
  const head = `  ${word} ${printable(place)} (${inside})`;
  if (text === null) return [head];
  const code = text.trimStart();
  // The compiler counts a tab as one column.
  const mark = column === null ? -1 : column - 1 - (text.length - code.length);
  const shown = printable(code.replaceAll("\t", " "));
  const number = String(line);
  const marked = mark >= 0 && mark <= code.length ? [`  ${" ".repeat(number.length)} | ${" ".repeat(mark)}^`] : [];
  return [head, `  ${number} | ${shown}`, ...marked];
}
