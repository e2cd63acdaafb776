/** What the compiler and the verifier say, at its places. */
import { expect, test } from "bun:test";
import { pathToFileURL } from "node:url";
import { DiagnosticsOf } from "../../../lsp/diagnostics.ts";
import type { CheckedProgramAnswer, DiagnosticAnswer, RefusalAnswer } from "../../../src/domain/check-answer.ts";

const FILES: Readonly<Record<string, string>> = {
  "/src/main.bpf.c": '#include <linux/bpf.h>\n#include "sub/one.h"\n\tint ü = missing;\n',
  "/src/sub/one.h": "#pragma once\n  broken here\n",
};
const NAME = { start: { line: 9, character: 4 }, end: { line: 9, character: 9 } };
const uri = (path: string): string => pathToFileURL(path).href;
const MAIN = uri("/src/main.bpf.c");
const HEADER = uri("/src/sub/one.h");

const collect = () =>
  new DiagnosticsOf({
    main: "/src/main.bpf.c",
    uriOf: uri,
    read: (path) => (FILES[path] === undefined ? null : new TextEncoder().encode(FILES[path])),
    programRange: (name) => (name === "count" ? NAME : null),
  });

const say = (message: string, more: Partial<DiagnosticAnswer>): DiagnosticAnswer => ({
  ...{ severity: "error", message, option: null, file: "/src/main.bpf.c", line: 3, column: 11 },
  ...more,
});
const refused = (name: string, refusal: Partial<RefusalAnswer>): CheckedProgramAnswer => ({
  ...{ name, section: "xdp", type: "xdp", verdict: "refused", reason: null, cost: null, baseline: null },
  refusal: {
    ...{ code: "VERIFIER_REJECTED", message: "load", reason: "R1 is bad", hint: null, source: null },
    ...{ path: [], acquired: null, verifier_log: null },
    ...refusal,
  },
});
const at = (file: string | null, line: number, column: number | null, text: string | null) => ({
  ...{ instruction: 1, function: "f", file, line, column, text },
});

test("nothing is an answer too", () => {
  expect([...collect().found]).toEqual([[MAIN, []]]);
});

test("of the compiler: the word, the option, and notes beside it", () => {
  const diagnostics = collect();
  diagnostics.addCompiler([
    say("unknown", { severity: "warning", option: "-Wx" }),
    say("declared here", { severity: "note", line: 1, column: 1 }),
    say("in the driver", { severity: "note", file: null, line: null, column: null }),
    say("too many errors", { file: null, line: null, column: null }),
  ]);
  const [warning, general, ...others] = diagnostics.found.get(MAIN) ?? [];
  expect(others).toEqual([]);
  // The column is in bytes; the letter before it has two.
  const range = { start: { line: 2, character: 9 }, end: { line: 2, character: 16 } };
  expect(warning).toMatchObject({ range, severity: 2, source: "clang", code: "-Wx", message: "unknown" });
  expect(warning?.relatedInformation?.map(({ message }) => message)).toEqual(["declared here"]);
  expect(general).toMatchObject({ range: { start: { line: 0 } }, message: "too many errors" });
});

test("of the compiler in an included file: there, and where it is included", () => {
  const diagnostics = collect();
  diagnostics.addCompiler([say("unknown type", { file: "sub/one.h", line: 2, column: 3 })]);
  const range = { start: { line: 1, character: 2 }, end: { line: 1, character: 8 } };
  expect(diagnostics.found.get(HEADER)).toMatchObject([{ range, message: "unknown type" }]);
  const [include] = diagnostics.found.get(MAIN) ?? [];
  expect(include).toMatchObject({ range: { start: { line: 1 } }, message: "in one.h, line 2: unknown type" });
  expect(include?.relatedInformation?.[0]?.location).toEqual({ uri: HEADER, range });
});

test("of the verifier: by the text in the object, even if the file has changed since", () => {
  const diagnostics = collect();
  const text = "\t/* ü𝄞 */ *value += 1;";
  diagnostics.addProgram(
    refused("count", {
      hint: "check it",
      source: at("/src/main.bpf.c", 40, 17, text),
      path: [at("/src/sub/one.h", 2, null, "  x;"), at(null, 1, null, null)],
      acquired: at("/src/main.bpf.c", 39, 2, "\ty();"),
    }),
  );
  const [found] = diagnostics.found.get(MAIN) ?? [];
  expect(found?.message).toBe('the verifier refuses "count": R1 is bad\ncheck it');
  expect(found?.range).toEqual({ start: { line: 39, character: 13 }, end: { line: 39, character: 23 } });
  expect(
    found?.relatedInformation?.map(({ location, message }) => [location.uri, location.range.start.line, message]),
  ).toEqual([
    [MAIN, 38, "the reference was acquired here"],
    [HEADER, 1, "this led to it"],
  ]);
});

test("of the verifier without a line: at the program, or at the beginning", () => {
  const diagnostics = collect();
  diagnostics.addProgram(refused("count", {}));
  diagnostics.addProgram(refused("by_macro", {}));
  const found = diagnostics.found.get(MAIN) ?? [];
  expect(found.map(({ range }) => range.start.line)).toEqual([9, 0]);
});
