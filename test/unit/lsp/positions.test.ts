/** Columns in bytes, from 1, as UTF-16 code units, from 0. */
import { describe, expect, test } from "bun:test";
import { linesOf, rangeOf } from "../../../lsp/positions.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const rangeIn = (text: string, column: number | null, word = false) => {
  const { start, end } = rangeOf({ line: 7, column }, bytes(text), word);
  expect([start.line, end.line]).toEqual([6, 6]);
  return [start.character, end.character];
};
/** The column of a compiler at the first place of some text. */
const columnOf = (text: string, part: string): number => Buffer.byteLength(text.slice(0, text.indexOf(part))) + 1;

describe("a range", () => {
  test.each([
    ["int a;", "a"],
    ["\t\tint a;", "a"],
    ["/* ü */ a", "a"],
    ["/* 𝄞 */\ta", "a"],
    ['"日本語" 𝄞𝄞 a', "a"],
    ["e\u0301 a", "a"],
  ])("%j begins where the text has it", (text, part) => {
    const at = text.indexOf(part);
    expect(rangeIn(text, columnOf(text, part))).toEqual([at, text.length]);
    expect(rangeIn(text, columnOf(text, part), true)).toEqual([at, at + 1]);
  });

  test("ends with the text of the line", () => {
    expect(rangeIn("\tx = 1;  ", 2)).toEqual([1, 7]);
    expect(rangeIn("\tx = 1;  ", null)).toEqual([1, 7]);
  });

  test("of a word is that word, or one character", () => {
    expect(rangeIn("a + missing;", 5, true)).toEqual([4, 11]);
    expect(rangeIn("a 𝄞 b", 3, true)).toEqual([2, 4]);
  });

  test("of a column that is not there is the whole text", () => {
    expect(rangeIn("  x;", 99)).toEqual([2, 4]);
    expect(rangeIn("", 3)).toEqual([0, 0]);
    expect(rangeIn("   ", null)).toEqual([3, 3]);
    expect(rangeIn("x;", 0)).toEqual([0, 2]);
  });

  test("of bytes that are no UTF-8 counts what an editor shows for them", () => {
    const line = new Uint8Array([0xff, 0x20, 0x61]);
    expect(rangeOf({ line: 1, column: 3 }, line).start.character).toBe(2);
  });
});

test("lines end as clients of language servers have it", () => {
  const text = (parts: Uint8Array[]) => parts.map((part) => new TextDecoder().decode(part));
  expect(text(linesOf(bytes("a\nb\r\nc\rd\n")))).toEqual(["a", "b", "c", "d", ""]);
  expect(text(linesOf(bytes("")))).toEqual([""]);
});
