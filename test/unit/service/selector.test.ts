import { describe, expect, test } from "bun:test";
import { BpfmanError } from "../../../src/errors/error.ts";
import { parseSelector } from "../../../src/service/selector.ts";

const METADATA = { app: "web", tier: "1", "bpfman.io/application": "demo", empty: "" };

describe("a selector", () => {
  test.each([
    [null, true],
    ["  ", true],
    ["app=web", true],
    ["app==web", true],
    ["app = web , tier=1", true],
    ["app=web,tier=2", false],
    ["app!=web", false],
    ["app!=db", true],
    ["nothing!=x", true],
    ["app in (db, web)", true],
    ["app in (db)", false],
    ["app in (db),tier=1", false],
    ["app notin (db,cache),tier=1", true],
    ["nothing notin (x)", true],
    ["nothing in (x)", false],
    ["tier", true],
    ["nothing", false],
    ["!nothing", true],
    ["!app", false],
    ["bpfman.io/application=demo", true],
    ["empty=", true],
    ["app=", false],
    ["toString", false],
    ["tier>0", true],
    ["tier > 1", false],
    ["tier<2,app=web", true],
    ["tier<-1", false],
    ["app>0", false],
    ["nothing<9", false],
  ])("%p", (text, matches) => {
    expect(parseSelector(text)(METADATA)).toBe(matches);
  });

  test.each(["=web", "app=>web", "app in web", "app,,tier", "a b", "app=we b", "app in (a b)", ",", "app in (a"])(
    "%p is refused, with the syntax",
    (text) => {
      const refused = (() => {
        try {
          return parseSelector(text);
        } catch (cause) {
          return cause;
        }
      })() as BpfmanError;
      expect(refused).toBeInstanceOf(BpfmanError);
      expect([refused.code, refused.message]).toEqual([
        "INVALID_SELECTOR",
        expect.stringMatching(/^invalid selector ".*": ".*" is not understood$/),
      ]);
      expect(refused.hint).toContain("key in (a,b)");
    },
  );

  test("of thousands of terms is rejected, and a long one does not take long", () => {
    expect(() => parseSelector(Array(300).fill("a=b").join(","))).toThrow("at most 256 terms");
    expect(() => parseSelector(`a${"(".repeat(4000)}`)).toThrow("not understood");
  });
});
