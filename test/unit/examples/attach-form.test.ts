/** The questions of the example extension, and the params built from the answers. */
import { expect, test } from "bun:test";
import { lacksFunction, questionsFor, selectorOf, targetOf } from "../../../examples/vscode/src/attach-form.ts";
import { ATTACHABLE_TYPES } from "../../../src/domain/kinds.ts";
import { attachTarget } from "../../../src/service/requests/attach-request.ts";
import { parse } from "valibot";

test.each(ATTACHABLE_TYPES.map((type) => [type]))("%s: every question has its place in the params", (type) => {
  const answers = Object.fromEntries(questionsFor(type).map(({ name, value }) => [name, value || "a"]));
  const target: Record<string, unknown> = parse(attachTarget(), targetOf(type, answers));
  for (const [name, value] of Object.entries(answers)) expect(String(target[name])).toBe(value);
});

test("programs are taken as the server offers them", () => {
  expect(selectorOf("tcx:a")).toEqual({ type: "tcx", name: "a", attachFunction: null });
  expect(selectorOf("fentry:b:do_sys_open")).toEqual({ type: "fentry", name: "b", attachFunction: "do_sys_open" });
  expect(["tcx:a", "fentry:b:c", "fentry:b", "lsm:b"].map(lacksFunction)).toEqual([false, false, true, true]);
});
