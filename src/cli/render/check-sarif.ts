/** SARIF 2.1.0 (OASIS): what code scanning services read. */
import { isAbsolute } from "node:path";
import { pathToFileURL } from "node:url";
import type { CheckAnswer } from "../../domain/check-answer.ts";
import type { SourceLine } from "../../domain/object-file.ts";
import { fromHere, type Problem, problemsOf } from "./check-problems.ts";
import { renderJson } from "./json.ts";

const SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

type Place = Pick<Problem, "file" | "line" | "column">;

function locationOf({ file, line, column }: Place) {
  const uri = isAbsolute(file) ? pathToFileURL(file).href : file.split("/").map(encodeURIComponent).join("/");
  const region =
    line === null ? {} : { region: { startLine: line, ...(column === null ? {} : { startColumn: column }) } };
  return { physicalLocation: { artifactLocation: { uri }, ...region } };
}

const stepOf = ({ file, line, column, text }: SourceLine) => ({
  location: {
    ...locationOf({ file: fromHere(file ?? "unknown"), line, column }),
    ...(text === null ? {} : { message: { text: text.trim() } }),
  },
});

function resultOf(problem: Problem) {
  const { level, rule, message, program, path, log } = problem;
  const place = locationOf(problem);
  const steps = [...path.map(stepOf), { location: place }];
  return {
    ruleId: rule,
    level,
    message: { text: message },
    locations: [{ ...place, ...(program === null ? {} : { logicalLocations: [{ name: program, kind: "function" }] }) }],
    ...(path.length === 0 ? {} : { codeFlows: [{ threadFlows: [{ locations: steps }] }] }),
    ...(log === null ? {} : { properties: { verifier_log: log } }),
  };
}

export function renderSarif(answer: CheckAnswer): string {
  const problems = problemsOf(answer);
  const rules = [...new Set(problems.map(({ rule }) => rule))].map((id) => ({ id }));
  return renderJson({
    $schema: SCHEMA,
    version: "2.1.0",
    runs: [
      {
        tool: { driver: { name: "bpfman", rules } },
        // Columns are counted in bytes, as the compiler does; there is no word for that.
        columnKind: "unicodeCodePoints",
        invocations: [{ executionSuccessful: true }],
        results: problems.map(resultOf),
        properties: { kernel: answer.kernel },
      },
    ],
  });
}
