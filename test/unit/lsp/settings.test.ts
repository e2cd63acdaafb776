import { expect, test } from "bun:test";
import { readOptions, readSettings, SETTINGS_DEFAULT } from "../../../lsp/settings.ts";

test("settings, with or without their name, beside wrong and unknown ones", () => {
  const others = { ...SETTINGS_DEFAULT, check: false };
  expect(readSettings({ compilerErrors: false }, others)).toEqual({ ...others, compilerErrors: false });
  expect(readSettings({ bpfman: { debounceMs: 5, codeLens: "no", x: 1 } }, others)).toEqual({
    ...others,
    debounceMs: 5,
  });
  for (const nothing of [null, undefined, [], {}, "x", 5, { bpfman: [] }, { bpfman: null }, { debounceMs: -1 }]) {
    expect(readSettings(nothing, others)).toEqual(others);
  }
});

test("the command of the helper is a list of words; anything else is none", () => {
  expect(readOptions({ command: ["a", "-b"], trusted: false, other: 1 })).toEqual({
    command: ["a", "-b"],
    trusted: false,
  });
  for (const command of ["a b", [], [1], {}, null]) expect(readOptions({ command }).command ?? null).toBeNull();
  for (const nothing of [null, undefined, [], "x"]) expect(readOptions(nothing)).toEqual({});
});
