import { describe, expect, test } from "bun:test";
import { parseJson, unsafePart } from "../../../rpc/json.ts";
import { FRAME_BYTES_MAX, JSON_DEPTH_MAX } from "../../../src/domain/limits.ts";

const parse = (text: string | Uint8Array) => parseJson(typeof text === "string" ? Buffer.from(text) : text);
const nested = (levels: number) => "[".repeat(levels) + "]".repeat(levels);

describe("parse", () => {
  test("what JSON says", () => {
    expect(parse('{"a":[1,"]}[{\\"",{}]}')).toEqual({ kind: "value", value: { a: [1, ']}[{"', {}] } });
  });

  test.each(["", "{", "{a:1}", "'x'", "\ufeff{}", "[1,]", "NaN", '"\\x"', "{} {}"])("%j is malformed", (text) => {
    expect(parse(text).kind).toBe("malformed");
  });

  test("bytes that are not UTF-8 are malformed", () => {
    for (const bytes of [
      [0x22, 0xff, 0x22],
      [0x22, 0xed, 0xa0, 0x80, 0x22],
    ])
      expect(parse(Uint8Array.from(bytes)).kind).toBe("malformed");
  });

  test("nesting is bounded, brackets in strings do not count", () => {
    expect(parse(nested(JSON_DEPTH_MAX)).kind).toBe("value");
    expect(parse(nested(JSON_DEPTH_MAX + 1))).toMatchObject({ kind: "refused" });
    expect(parse(JSON.stringify('"\\'.repeat(500) + "[{".repeat(1000))).kind).toBe("value");
    expect(parse("[".repeat(FRAME_BYTES_MAX)).kind).toBe("refused");
  });
});

describe("what no operation should meet", () => {
  test.each([
    ['{"a":{"b":["x","\\ud800"]}}', "a.b.1"],
    ['{"\\udfff":1}', ""],
    ['{"m":{"__proto__":{"x":1}}}', "m.__proto__"],
    ['{"constructor":1}', "constructor"],
    ['[{"prototype":1}]', "0.prototype"],
  ])("%s", (text, field) => expect(unsafePart(JSON.parse(text))).toMatchObject({ field }));

  test.each(['{"a":"\\ud83d\\ude00"}', '{"toString":1,"a":[null,1,true]}', "null", '"x"'])("%s is fine", (text) => {
    expect(unsafePart(JSON.parse(text))).toBeNull();
  });
});
