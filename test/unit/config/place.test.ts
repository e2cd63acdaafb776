import { expect, test } from "bun:test";
import { locator, placeAt } from "../../../src/config/place.ts";

const at = (text: string, ...keys: string[]): string => {
  const { line, column } = placeAt(text, locator(text)(keys));
  return `${line}:${column}`;
};

test("keys of tables and dotted keys", () => {
  const text = "a = 1\n[b]\n  c.d = 2\n[b.e]\nf = 3 # g = 4\n";
  expect(at(text, "a")).toBe("1:1");
  expect(at(text, "b")).toBe("2:2");
  expect(at(text, "b", "c")).toBe("3:3");
  expect(at(text, "b", "c", "d")).toBe("3:5");
  expect(at(text, "b", "e")).toBe("4:4");
  expect(at(text, "b", "e", "f")).toBe("5:1");
});

test("a key that is not written has the place of the nearest table above it", () => {
  expect(at("[a]\n[a.b]\n", "a", "b", "missing")).toBe("2:4");
  expect(at("# nothing\n[a]\n", "b")).toBe("1:1");
  expect(at("", "a")).toBe("1:1");
});

test("quoted keys, with dots and escapes inside", () => {
  const text = `["a.b"]\n'c d' = 1\n"e\\t\\u0041\\U00000042\\x43" = 2\n"x]=" . "y" = 3\n`;
  expect(at(text, "a.b")).toBe("1:2");
  expect(at(text, "a.b", "c d")).toBe("2:1");
  expect(at(text, "a.b", "e\tABC")).toBe("3:1");
  expect(at(text, "a.b", "x]=", "y")).toBe("4:9");
});

test("text in strings and comments is not taken for keys", () => {
  const text = [
    "# x = 0",
    'a = """',
    'x = 1 \\""" still',
    '"""',
    "b = '''",
    "x = 2",
    "''''",
    'c = "x = 3 \\" # "',
    "d = 'x = 4' # x = 5",
    "x = 6",
  ].join("\n");
  expect(at(text, "x")).toBe("10:1");
  expect(at(text, "d")).toBe("9:1");
});

test("inline tables and arrays, over several lines", () => {
  const text = "a = { b = [1, { c = 2 }], d.e = [ # f\n  [ 3 ], { g = '}]' }\n] }\nh = 2026-01-02 03:04:05\ni = 1\n";
  expect(at(text, "a", "b")).toBe("1:7");
  expect(at(text, "a", "b", "1", "c")).toBe("1:17");
  expect(at(text, "a", "d", "e")).toBe("1:29");
  expect(at(text, "a", "d", "e", "1", "g")).toBe("2:12");
  expect(at(text, "h")).toBe("4:1");
  expect(at(text, "i")).toBe("5:1");
});

test("arrays of tables count", () => {
  const text = "[[a]]\nb = 1\n[[a]]\nb = 2\n[a.c]\nd = 3\n[[a.e]]\nf = 4\n";
  expect(at(text, "a", "0", "b")).toBe("2:1");
  expect(at(text, "a", "1", "b")).toBe("4:1");
  expect(at(text, "a", "1", "c", "d")).toBe("6:1");
  expect(at(text, "a", "1", "e", "0", "f")).toBe("8:1");
});

test("any text comes to an end", () => {
  for (const text of [
    "]",
    "}",
    "= =",
    '"""',
    "[",
    "[[",
    "a = [",
    "a = {",
    "a = [[[{",
    ",",
    '"',
    "\\",
    "a.",
    "a = [1 2",
    "\0",
  ]) {
    expect(at(text, "nothing")).toBe("1:1");
  }
});
