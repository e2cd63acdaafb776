/** Tables without borders: a blank before and after each cell, columns as wide as their widest cell. */
import { printable } from "../../domain/printable.ts";

const HEADING = "\x1b[1;32m";
const RESET = "\x1b[0m";

/** How an answer is shown. */
export interface Look {
  /** Colours, for a terminal. */
  readonly styled: boolean;
  /** Width of the terminal; null where nothing is shortened. */
  readonly columns: number | null;
}

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

/** The blanks around a cell. */
const AROUND = 2;
/** A column is not made narrower than this, nor than its heading. */
const COLUMN_MIN = 8;

/**
 * One line for each row, each with its newline. Cells come from outside: what a terminal would act on is escaped. On a
 * terminal the widest columns are shortened until the lines fit.
 */
export function renderTable({ heading, rows }: Table, { styled, columns }: Look): string {
  const widths: number[] = [];
  const measured = (text: string, column: number): Cell => {
    const shown = printable(text);
    const width = Bun.stringWidth(shown);
    if (width > (widths[column] ?? 0)) widths[column] = width;
    return { text: shown, width };
  };
  const lines = [heading, ...rows].map((cells) => cells.map(measured));
  const shown = columns === null ? lines : fitted(lines, widths, columns);
  return shown.map((cells, at) => `${renderRow(cells, widths, styled && at === 0)}\n`).join("");
}

/** Takes one column at a time from the widest, which `widths` says afterwards, and shortens the cells that are wider. */
function fitted(lines: readonly (readonly Cell[])[], widths: number[], columns: number): readonly (readonly Cell[])[] {
  const least = (lines[0] ?? []).map(({ width }) => Math.max(width, COLUMN_MIN));
  // The blank behind the last cell may stand outside.
  let over = widths.reduce((sum, width) => sum + width + AROUND, -1) - columns;
  while (over > 0) {
    const room = widths.map((width, column) => (width > (least[column] ?? 0) ? width : 0));
    const widest = room.indexOf(Math.max(...room));
    if ((room[widest] ?? 0) === 0) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
    over--;
  }
  return lines.map((cells) => cells.map((cell, column) => shortened(cell, widths[column] ?? cell.width)));
}

function shortened(cell: Cell, width: number): Cell {
  if (cell.width <= width) return cell;
  // It takes a character of two columns also where only the first of them fits.
  const kept = [width - 1, width - 2].map((end) => Bun.sliceAnsi(cell.text, 0, end));
  const text = `${kept.find((each) => Bun.stringWidth(each) < width) ?? ""}…`;
  return { text, width: Bun.stringWidth(text) };
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

/**
 * A table of labelled facts: the label before its first value, further values below; `None` where there is none. Values
 * are never shortened: nothing else shows all of them.
 */
export function renderFacts(
  title: string,
  facts: readonly (readonly [label: string, value: Field | readonly Field[]])[],
  { styled }: Look,
): string {
  const rows = facts.flatMap(([label, value]) => {
    const values: readonly Field[] = isList(value) ? (value.length === 0 ? [null] : value) : [value];
    return values.map((each, at) => [at === 0 ? label : "", each === null || each === "" ? "None" : String(each)]);
  });
  return renderTable({ heading: [title], rows }, { styled, columns: null });
}

const isList = (value: Field | readonly Field[]): value is readonly Field[] => Array.isArray(value);
