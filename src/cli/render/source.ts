import type { SourceLine } from "../../domain/object-file.ts";
import type { BpfmanError } from "../../errors/error.ts";
import { printable } from "../../domain/printable.ts";

/** Renders the source lines where a program was rejected; empty if the error has no source location. */
export function renderSource({ details }: BpfmanError): string[] {
  const { source, acquired } = details as { readonly source?: SourceLine | null; readonly acquired?: SourceLine };
  if (!source) return [];
  return [...renderLine("at", source), ...(acquired === undefined ? [] : renderLine("reference taken at", acquired))];
}

function renderLine(word: string, source: SourceLine): string[] {
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
