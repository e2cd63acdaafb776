import { expect, test } from "bun:test";
import type { CheckAnswer } from "../../../src/domain/check-answer.ts";
import { renderCheck } from "../../../src/cli/render/check.ts";
import { renderGithub } from "../../../src/cli/render/check-github.ts";
import { renderSarif } from "../../../src/cli/render/check-sarif.ts";

/** Names and texts come from files of anybody. */
const HOSTILE = "%0A::stop\n::set-env name=x::y,z:\u001b[31m";
const answer: CheckAnswer = {
  kernel: "6.18.0",
  passed: false,
  baseline: null,
  files: [
    {
      path: `/x/${HOSTILE}.o`,
      kind: "object",
      diagnostics: [{ severity: "warning", message: HOSTILE, option: HOSTILE, file: HOSTILE, line: 1, column: 2 }],
      refusal: null,
      programs: [
        {
          name: HOSTILE,
          section: "tc",
          type: "tc",
          verdict: "refused",
          reason: null,
          cost: null,
          baseline: null,
          refusal: {
            code: "VERIFIER_REJECTED",
            message: HOSTILE,
            reason: HOSTILE,
            hint: HOSTILE,
            source: { instruction: 1, function: HOSTILE, file: `/x/${HOSTILE}`, line: 3, column: 4, text: HOSTILE },
            path: [{ instruction: 0, function: HOSTILE, file: HOSTILE, line: 2, column: null, text: HOSTILE }],
            acquired: null,
            verifier_log: HOSTILE,
          },
        },
      ],
    },
  ],
};

test("nothing in an object can make a workflow command of its own", () => {
  const lines = renderGithub(answer).trimEnd().split("\n");
  expect(lines.map((line) => line.split(" ")[0])).toEqual(["::warning", "::error", "::notice"]);
  for (const line of lines) {
    const [, , properties = ""] = /^(::\w+) (.*?)::/.exec(line) ?? [];
    for (const property of properties.split(",")) expect(property).toMatch(/^(file|line|col|title)=[^:,]*$/);
    expect(line).not.toContain("\u001b");
    expect(line.replaceAll(/%(25|0A|0D|3A|2C)/g, "")).not.toContain("%");
  }
});

test("nothing in an object can break SARIF, its addresses or the terminal", () => {
  const text = renderSarif(answer);
  expect(text).not.toContain("\u001b");
  const [run] = JSON.parse(text).runs;
  for (const { locations } of run.results) {
    for (const { physicalLocation } of locations) expect(physicalLocation.artifactLocation.uri).toMatch(/^[!-~]+$/);
  }
  const shown = renderCheck(answer, { styled: false, columns: null });
  expect(shown).not.toContain("\u001b");
  expect(shown).not.toMatch(/^::/m);
});
