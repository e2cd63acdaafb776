/** Tables without borders: a blank before and after each cell, columns as wide as their widest cell. */
import { printable } from "./printable.ts";

const HEADING = "\x1b[1;32m";
const RESET = "\x1b[0m";

export interface Table {
  /** Cells of the first line; bold and green when styled. */
  readonly heading: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** One line for each row, each with its newline. Cells come from outside: what a terminal would act on is escaped. */
export function renderTable({ heading, rows }: Table, styled: boolean): string {
  const lines = [heading, ...rows].map((cells) => cells.map(printable));
  const widths: number[] = [];
  for (const cells of lines) {
    for (const [column, cell] of cells.entries()) widths[column] = Math.max(widths[column] ?? 0, Bun.stringWidth(cell));
  }
  return lines.map((cells, at) => `${renderRow(cells, widths, styled && at === 0)}\n`).join("");
}

/** What stands right of the last cell with text is left out: long values must not wrap every line of the table. */
function renderRow(cells: readonly string[], widths: readonly number[], styled: boolean): string {
  const last = cells.findLastIndex((cell) => cell !== "");
  const shown = cells.slice(0, last + 1).map((cell, column) => {
    const padding = column === last ? "" : " ".repeat((widths[column] ?? 0) - Bun.stringWidth(cell));
    return ` ${styled && cell !== "" ? `${HEADING}${cell}${RESET}` : cell}${padding} `;
  });
  return shown.join("");
}

/** A value that may be absent. */
export type Field = string | number | boolean | null;

/** A table of labelled facts: the label before its first value, further values below; `None` where there is none. */
export function renderFacts(
  title: string,
  facts: readonly (readonly [label: string, value: Field | readonly Field[]])[],
  styled: boolean,
): string {
  const rows = facts.flatMap(([label, value]) => {
    const values: readonly Field[] = isList(value) ? (value.length === 0 ? [null] : value) : [value];
    return values.map((each, at) => [at === 0 ? label : "", each === null || each === "" ? "None" : String(each)]);
  });
  return renderTable({ heading: [title], rows }, styled);
}

const isList = (value: Field | readonly Field[]): value is readonly Field[] => Array.isArray(value);
