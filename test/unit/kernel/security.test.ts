import { expect, test } from "bun:test";
import { parseLockdown } from "../../../src/kernel/explain/security.ts";

const cases: [text: string, state: string | null][] = [
  ["[none] integrity confidentiality", "none"],
  ["none [integrity] confidentiality", "integrity"],
  ["none integrity [confidentiality]", "confidentiality"],
  ["none integrity confidentiality", null],
  ["[paranoia] none", null],
  ["", null],
];
test.each(cases)("%p", (text, state) => expect<string | null>(parseLockdown(text)).toBe(state));
