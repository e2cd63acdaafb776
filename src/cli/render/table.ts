/** Tables without borders: a blank before and after each cell, columns as wide as their widest cell. */
import { printable } from "../../domain/printable.ts";

const HEADING = "\x1b[1;32m";
const RESET = "\x1b[0m";

export interface Table {
  /** Cells of the first line; bold and green when styled. */
  readonly heading: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** What stands in a cell, and how many columns of the terminal it takes. */
interface Cell {
  readonly text: string;
  readonly width: number;
}

/** One line for each row, each with its newline. Cells come from outside: what a terminal would act on is escaped. */
export function renderTable({ heading, rows }: Table, styled: boolean): string {
  const widths: number[] = [];
  const measured = (text: string, column: number): Cell => {
    const shown = printable(text);
    const width = Bun.stringWidth(shown);
    if (width > (widths[column] ?? 0)) widths[column] = width;
    return { text: shown, width };
  };
  const lines = [heading, ...rows].map((cells) => cells.map(measured));
  return lines.map((cells, at) => `${renderRow(cells, widths, styled && at === 0)}\n`).join("");
}

/** What stands right of the last cell with text is left out: long values must not wrap every line of the table. */
function renderRow(cells: readonly Cell[], widths: readonly number[], styled: boolean): string {
  const last = cells.findLastIndex(({ text }) => text !== "");
  let row = "";
  for (let column = 0; column <= last; column++) {
    const { text, width } = cells[column] as Cell;
    const padding = column === last ? "" : " ".repeat((widths[column] ?? 0) - width);
    row += ` ${styled && text !== "" ? `${HEADING}${text}${RESET}` : text}${padding} `;
  }
  return row;
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
