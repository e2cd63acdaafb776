/**
 * What the verifier of this kernel refuses. The marks in fifty.bpf.c say which line a refusal must be blamed on, and
 * docs/refusals.md has what several kernels say; UPDATE_REFUSALS=1 writes the column of this one.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { release, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import { renderCheck } from "../../src/cli/render/check.ts";
import { renderGithub } from "../../src/cli/render/check-github.ts";
import { renderSarif } from "../../src/cli/render/check-sarif.ts";
import { renderJson } from "../../src/cli/render/json.ts";
import type { CheckAnswer, CheckedProgramAnswer } from "../../src/domain/check-answer.ts";
import type { Settings } from "../../src/domain/settings.ts";
import { connect } from "../../src/runtime.ts";
import { sarifErrors } from "../expect/sarif.ts";
import { compileBpf } from "../objects/compile.ts";

buildBpf();
const ROOT = resolve(import.meta.dir, "../..");
const object = (name: string): string => join(ROOT, `dist/bpf/fixtures/${name}.bpf.o`);
const FIXTURES = [object("fifty"), object("proprietary")];
/** Nothing is read or written there. */
const SETTINGS: Settings = {
  runtimeDir: "/nonexistent/bpfman-check",
  stateDir: null,
  cacheDir: null,
  configFile: null,
  caFile: null,
  lockTimeoutMs: 1000,
  logLevel: "off",
};

const PAGE = join(ROOT, "docs/refusals.md");
/** As in the head of a column of that page. */
const HERE = `Linux ${release().split(".").slice(0, 2).join(".")}`;

const isAtLeast = (major: number, minor: number): boolean => {
  const [here = 0, its = 0] = release().split(".").map(Number);
  return here > major || (here === major && its >= minor);
};
/** What some kernels accept. */
const ACCEPTED: Readonly<Record<string, boolean>> = {
  // Programs of root may read stack that was not written.
  key_unset: isAtLeast(6, 3),
};

interface SarifResult {
  readonly level: string;
  readonly locations: readonly [
    {
      readonly physicalLocation: {
        readonly artifactLocation: { readonly uri: string };
        readonly region: { readonly startLine: number; readonly startColumn: number };
      };
      readonly logicalLocations: readonly [{ readonly name: string }];
    },
  ];
}

/** The lines that are marked, by program: in it, or with its name behind the mark. */
function markedLines(file: string): Map<string, Set<number>> {
  const marked = new Map<string, Set<number>>();
  let program = "";
  for (const [index, text] of readFileSync(join(ROOT, file), "utf8").split("\n").entries()) {
    program = /^int (\w+)\(/.exec(text)?.[1] ?? program;
    const [mark, named = program] = /\/\/ refused here(?:: (\w+))?/.exec(text) ?? [];
    if (mark !== undefined) marked.set(named, (marked.get(named) ?? new Set()).add(index + 1));
  }
  return marked;
}

const MARKED = new Map([
  ...markedLines("test/fixtures/bpf/fifty.bpf.c"),
  ...markedLines("test/fixtures/bpf/proprietary.bpf.c"),
]);
const refused = [...MARKED.keys()].filter((name) => ACCEPTED[name] !== true);

test("there are more than fifty refusals", () => expect(refused.length).toBeGreaterThan(50));

test("a function that this kernel does not have is what is refused, not the program's section", async () => {
  const directory = mkdtempSync(join(tmpdir(), "bpfman-check-"));
  try {
    const path = join(directory, "x.o");
    writeFileSync(path, compileBpf('SEC("fentry/no_function_of_any_kernel") int on_entry(void *ctx) { return 0; }'));
    const { files } = await (await connect(SETTINGS, () => {}))("object/check", { files: [path] });
    const [program] = files[0]?.programs ?? [];
    expect(program).toMatchObject({ type: "fentry", verdict: "refused", refusal: { code: "SYMBOL_NOT_FOUND" } });
  } finally {
    rmSync(directory, { recursive: true });
  }
});

describe("the offending line of each refusal", () => {
  let answer: CheckAnswer;
  let places: ReadonlyMap<string, string>;
  const programs = ({ files }: CheckAnswer): CheckedProgramAnswer[] => files.flatMap((file) => file.programs);

  beforeAll(async () => {
    const invoke = await connect(SETTINGS, () => {});
    answer = await invoke("object/check", { files: FIXTURES });
    expect(answer).toMatchObject({ passed: false, kernel: release() });
    for (const { name, verdict, refusal, cost } of programs(answer)) {
      expect({ name, verdict }).toEqual({ name, verdict: ACCEPTED[name] === true ? "accepted" : "refused" });
      if (verdict === "accepted") expect(cost?.verified_instructions).toBeGreaterThan(0);
      else {
        expect({ name, code: refusal?.code }).toEqual({ name, code: "VERIFIER_REJECTED" });
        expect(refusal?.reason).not.toBe("");
        expect(refusal?.verifier_log).toMatch(/processed \d+ insns/);
      }
    }
    const found = programs(answer).flatMap(({ name, refusal }) =>
      refusal === null ? [] : [[name, refusal.source] as const],
    );
    for (const [name, source] of found) {
      expect({ name, line: source?.line, isMarked: MARKED.get(name)?.has(source?.line ?? 0) }).toMatchObject({
        name,
        isMarked: true,
      });
      expect({ name, column: source?.column }).toEqual({ name, column: expect.any(Number) });
    }
    places = new Map(
      found.map(([name, source]) => [
        name,
        `${source?.file?.replace(`${ROOT}/`, "")}:${source?.line}:${source?.column}`,
      ]),
    );
    expect([...places.keys()].sort()).toEqual([...refused].sort());
  }, 300_000);

  test("as JSON", () => {
    const { files }: CheckAnswer = JSON.parse(renderJson(answer));
    const found = files.flatMap((file) =>
      file.programs.flatMap(({ name, refusal }): [string, string][] => {
        const { file: path, line, column } = refusal?.source ?? {};
        return refusal === null ? [] : [[name, `${path?.replace(`${ROOT}/`, "")}:${line}:${column}`]];
      }),
    );
    expect(new Map(found)).toEqual(new Map(places));
  });

  test("as text", () => {
    const text = renderCheck(answer, { styled: false, columns: null });
    for (const [name, place] of places) {
      expect(text).toMatch(
        new RegExp(`^${name}: refused \\(VERIFIER_REJECTED\\): .+\n  at \\S*${RegExp.escape(place)} `, "m"),
      );
    }
  });

  test("as workflow commands", () => {
    const lines = renderGithub(answer).trimEnd().split("\n");
    expect(lines.pop()).toMatch(/^::notice title=bpfman check::Linux .* refused$/);
    const found = new Map(
      lines.map((line) => {
        const [, file, at, column, name] =
          /^::error file=([^,:]+),line=(\d+),col=(\d+),title=(\w+)%3A VERIFIER_REJECTED::Linux .+ refuses \4: .+$/.exec(
            line,
          ) ?? [line];
        return [name ?? line, `${file}:${at}:${column}`];
      }),
    );
    expect(found).toEqual(new Map(places));
  });

  test("as SARIF that its schema accepts", () => {
    const log = JSON.parse(renderSarif(answer));
    expect(sarifErrors(log)).toBeNull();
    const results: readonly SarifResult[] = log.runs[0].results;
    const found = results.map(({ level, locations: [location] }) => {
      expect(level).toBe("error");
      const { artifactLocation, region } = location.physicalLocation;
      const place = `${artifactLocation.uri}:${region.startLine}:${region.startColumn}`;
      return [location.logicalLocations[0].name, place] as const;
    });
    expect(new Map(found)).toEqual(new Map(places));
  });

  test("as docs/refusals.md says", () => {
    const page = readFileSync(PAGE, "utf8");
    const now = withColumn(page, programs(answer), places);
    if (process.env.UPDATE_REFUSALS !== undefined) writeFileSync(PAGE, now);
    else if (page.includes(`| ${HERE} |`)) expect(page).toBe(now);
  });
});

/** The page with what this kernel says: where, and in which words if its column is the last. */
function withColumn(
  page: string,
  programs: readonly CheckedProgramAnswer[],
  places: ReadonlyMap<string, string>,
): string {
  const start = page.indexOf("| program |");
  const [head = [], , ...old] = page
    .slice(start)
    .trimEnd()
    .split("\n")
    .map((line) => line.slice(2, -2).split(" | "));
  const kernels = [...new Set([...head.slice(1, -1), HERE])].sort(new Intl.Collator("en", { numeric: true }).compare);
  const rows = programs.map(({ name, refusal }) => {
    const before = old.find(([cell]) => cell === `\`${name}\``) ?? [];
    const cells = kernels.map((kernel) =>
      kernel === HERE
        ? (places.get(name)?.replace(/^.*?:/, "") ?? "accepted")
        : (before[head.indexOf(kernel)] ?? "not tried"),
    );
    const words = refusal?.reason.replaceAll("|", "/").replace(/\s+/g, " ");
    return [`\`${name}\``, ...cells, (kernels.at(-1) === HERE && words) || before.at(-1) || words || ""];
  });
  const lines = [["program", ...kernels, "the verifier says"], ["---", ...kernels.map(() => "--:"), "---"], ...rows];
  return `${page.slice(0, start)}${lines.map((cells) => `| ${cells.join(" | ")} |\n`).join("")}`;
}

test("the costs of what it accepts are all there, and nothing stays loaded", async () => {
  const invoke = await connect(SETTINGS, () => {});
  const { files, passed } = await invoke("object/check", { files: [object("life")] });
  expect(passed).toBe(true);
  for (const { cost } of files[0]?.programs ?? []) {
    expect(cost).toEqual({
      verified_instructions: expect.any(Number),
      total_states: expect.any(Number),
      peak_states: expect.any(Number),
      max_states_per_instruction: expect.any(Number),
      stack_bytes: expect.any(Number),
      verification_time_us: expect.any(Number),
      jited_bytes: expect.any(Number),
    });
  }
  // This process lives on: only descriptors could keep them.
  const held = readdirSync("/proc/self/fd").map((fd) => readlinkOf(`/proc/self/fd/${fd}`));
  expect(held.filter((link) => /bpf-(prog|map)/.test(link))).toEqual([]);
});

function readlinkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    // It was the descriptor of the listing itself.
    return "";
  }
}
