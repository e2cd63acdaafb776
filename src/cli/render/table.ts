/** Renders tables without borders: a space on each side of a cell, and columns as wide as their widest cell. */
import { isPlain, printable } from "../../domain/printable.ts";
import type { Metadata } from "../../domain/program.ts";

const HEADING = "\x1b[1;32m";
const RESET = "\x1b[0m";

/** How an answer is rendered. */
export interface Look {
  /** Colours, for a terminal. */
  readonly styled: boolean;
  /** Width of the terminal; null to shorten nothing. */
  readonly columns: number | null;
}

export interface Table {
  /** Cells of the first line, bold and green if styled. */
  readonly heading: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** How many columns at the start are never shortened. */
  readonly uncut?: number;
}

interface Cell {
  readonly text: string;
  /** In terminal columns. */
  readonly width: number;
}

/** Spaces. */
const AROUND = 2;
/** Columns are not shortened below this, or below their heading. */
const COLUMN_MIN = 8;

/**
 * Renders one line per row, each with a newline. Cells are untrusted: characters that affect a terminal are escaped. On
 * a terminal, the widest columns are shortened until the lines fit.
 */
export function renderTable({ heading, rows, uncut = 0 }: Table, { styled, columns }: Look): string {
  const widths: number[] = [];
  const measured = (text: string, column: number): Cell => {
    const cell = cellOf(text);
    if (cell.width > (widths[column] ?? 0)) widths[column] = cell.width;
    return cell;
  };
  const lines = [heading, ...rows].map((cells) => cells.map(measured));
  const shown = columns === null ? lines : fitted(lines, widths, { columns, uncut });
  return shown.map((cells, at) => `${renderRow(cells, widths, styled && at === 0)}\n`).join("");
}

/** Most cells are plain. */
function cellOf(text: string): Cell {
  if (isPlain(text)) return { text, width: text.length };
  const shown = printable(text);
  return { text: shown, width: Bun.stringWidth(shown) };
}

/** Shortens one column at a time, starting with the widest, and the cells wider than it. Updates `widths`. */
function fitted(
  lines: readonly (readonly Cell[])[],
  widths: number[],
  { columns, uncut }: { readonly columns: number; readonly uncut: number },
): readonly (readonly Cell[])[] {
  const least = (lines[0] ?? []).map(({ width }, at) => (at < uncut ? (widths[at] ?? 0) : Math.max(width, COLUMN_MIN)));
  // A space beyond the edge would wrap, and leave an empty line after each row.
  let over = widths.reduce((sum, width) => sum + width + AROUND, 0) - columns;
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
  // If only half of a two-column character fits, it is cut as well.
  const kept = [width - 1, width - 2].map((end) => Bun.sliceAnsi(cell.text, 0, end));
  const text = `${kept.find((each) => Bun.stringWidth(each) < width) ?? ""}…`;
  return { text, width: Bun.stringWidth(text) };
}

/** Omits everything right of the last non-empty cell, so that long values do not wrap every line. */
function renderRow(cells: readonly Cell[], widths: readonly number[], styled: boolean): string {
  let last = cells.length - 1;
  while (last >= 0 && cells[last]?.text === "") last--;
  let row = "";
  for (let column = 0; column <= last; column++) {
    const { text, width } = cells[column] as Cell;
    const missing = (widths[column] ?? 0) - width;
    const padding = column === last || missing === 0 ? "" : " ".repeat(missing);
    row += ` ${styled && text !== "" ? `${HEADING}${text}${RESET}` : text}${padding} `;
  }
  return row;
}

/** A value that may be absent. */
type Value = string | number | boolean | null;
export type Fact = readonly [label: string, value: Value | readonly Value[]];

/** The values of a fact: `key=value`, sorted. */
export const metadataLines = (metadata: Metadata): string[] =>
  Object.entries(metadata)
    .map(([key, value]) => `${key}=${value}`)
    .sort();

/**
 * Renders a table of labelled facts: the label before its first value, further values below it, `None` for no value.
 * Values are never shortened, because no other output shows them in full.
 */
export function renderFacts(title: string, facts: readonly Fact[], { styled }: Look): string {
  const rows = facts.flatMap(([label, value]) => {
    const values = [value].flat() as readonly Value[];
    return (values.length === 0 ? [null] : values).map((each, at) => [
      at === 0 ? label : "",
      each === null || each === "" ? "None" : String(each),
    ]);
  });
  return renderTable({ heading: [title], rows }, { styled, columns: null });
}
