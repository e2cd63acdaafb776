/**
 * Every operation gives the same answer and the same error on the command line and over JSON-RPC. Both edges take the
 * same steps in turn on the real kernel; IDs, times and paths that must differ are masked before the comparison.
 */
import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { LinkAnswer, LoadAnswer } from "../../src/domain/answer.ts";
import { OPERATIONS, type OperationName } from "../../src/service/operations.ts";
import { buildBpf } from "../../scripts/build-bpf.ts";
import { executable } from "../labs/executable.ts";
import { RpcProcess } from "../labs/rpc-process.ts";

const ROOT = resolve(import.meta.dir, "../..");
const OBJECT = join(ROOT, "dist/bpf/fixtures/life.bpf.o");
const bytesOf = (file: string) => ({ name: file, base64: readFileSync(file).toString("base64") });
const REFUSED = join(ROOT, "dist/bpf/fixtures/refused.bpf.o");
const MISSING = 4294967295;

buildBpf();
const bpfman = executable();

/** A document of a desired state, in the test's own directory. */
function desired(): string {
  const path = bpfman.path("state.json");
  const program = { name: "on_openat", attach: [{ kind: "tracepoint", tracepoint: "syscalls/sys_enter_openat" }] };
  writeFileSync(path, JSON.stringify({ applications: { app: { objects: [{ path: OBJECT, programs: [program] }] } } }));
  return path;
}

/** The same, applied already, so that neither of two finds it otherwise than the other. */
function applied(): string {
  const path = desired();
  Bun.spawnSync(bpfman.command("apply", path));
  return path;
}

/** Ids that earlier steps made. */
interface Made {
  program: number;
  link: number;
}

interface Step {
  readonly operation: OperationName;
  readonly words: (made: Made) => readonly (string | number)[];
  readonly params: (made: Made) => unknown;
  /** Takes what the command answers for one id out of the list that it prints for several. */
  readonly unwrap?: string;
  /** What else two runs of it cannot have in common. */
  readonly varies?: RegExp;
  /** The part of the answer that the command prints, one by one. */
  readonly part?: string;
  readonly keep?: (answer: never, made: Made) => void;
}

const step = (operation: OperationName, words: Step["words"], params: Step["params"]): Step => ({
  operation,
  words,
  params,
});
const load = ["load", "file", "--path", OBJECT];
const openat = { type: "tracepoint", name: "on_openat" };
const tracepoint = { kind: "tracepoint", tracepoint: "syscalls/sys_enter_openat" };
/** Nobody listens there. */
const NO_REGISTRY = "127.0.0.1:1/x/y:z";

const LOADED: Step = {
  ...step(
    "program/load",
    () => [...load, "--programs", "tracepoint:on_openat", "--set", "LIMIT=10", "-a", "app", "-m", "k=v"],
    () => ({
      source: { file: OBJECT },
      programs: [openat],
      globals: { LIMIT: 10 },
      application: "app",
      metadata: { k: "v" },
    }),
  ),
  keep: ({ programs }: LoadAnswer, made) => {
    made.program = programs[0]?.record?.program_id ?? 0;
  },
};
const ATTACHED: Step = {
  ...step(
    "link/attach",
    (made) => ["attach", made.program, "tracepoint", "--tracepoint", tracepoint.tracepoint, "-m", "a=b"],
    (made) => ({ programId: made.program, attach: tracepoint, metadata: { a: "b" } }),
  ),
  keep: ({ record }: LinkAnswer, made) => {
    made.link = record.id;
  },
};

const STEPS: readonly Step[] = [
  step(
    "version",
    () => ["version"],
    () => ({}),
  ),
  LOADED,
  step(
    "program/load",
    () => [...load, "--programs", "tracepoint:nope"],
    () => ({ source: { object: bytesOf(OBJECT) }, programs: [{ type: "tracepoint", name: "nope" }] }),
  ),
  step(
    "program/load",
    () => ["load", "file", "--path", "/nowhere.o", "--programs", "xdp:a"],
    () => ({ source: { file: "/nowhere.o" }, programs: [{ type: "xdp", name: "a" }] }),
  ),
  step(
    "program/load",
    () => [...load, "--programs", "tracepoint:on_openat", "-g", "LIMIT=0A"],
    () => ({ source: { file: OBJECT }, programs: [openat], globalData: { LIMIT: "0A" } }),
  ),
  step(
    "program/load",
    () => [...load, "--programs", "tracepoint:on_openat", "--set", "LIMIT=-1"],
    () => ({ source: { file: OBJECT }, programs: [openat], globals: { LIMIT: -1 } }),
  ),
  ATTACHED,
  step(
    "link/attach",
    (made) => ["attach", made.program, "tracepoint", "--tracepoint", "syscalls/sys_enter_opena"],
    (made) => ({ programId: made.program, attach: { kind: "tracepoint", tracepoint: "syscalls/sys_enter_opena" } }),
  ),
  step(
    "link/attach",
    () => ["attach", MISSING, "fentry"],
    () => ({ programId: MISSING, attach: { kind: "fentry" } }),
  ),
  step(
    "program/get",
    (made) => ["get", "program", made.program],
    (made) => ({ programId: made.program }),
  ),
  step(
    "program/get",
    () => ["get", "program", MISSING],
    () => ({ programId: MISSING }),
  ),
  step(
    "program/get",
    () => ["get", "program", "app/on_openat"],
    () => ({ programId: "app/on_openat" }),
  ),
  step(
    "program/get",
    () => ["get", "program", "on_opena"],
    () => ({ programId: "on_opena" }),
  ),
  step(
    "program/list",
    () => ["list", "programs", "-p", "tracepoint"],
    () => ({ programType: "tracepoint" }),
  ),
  step(
    "link/list",
    () => ["list", "links", "--application", "app"],
    () => ({ application: "app" }),
  ),
  step(
    "link/get",
    (made) => ["get", "link", made.link],
    (made) => ({ linkId: made.link }),
  ),
  step(
    "link/get",
    () => ["get", "link", "on_openat"],
    () => ({ linkId: "on_openat" }),
  ),
  step(
    "link/get",
    () => ["get", "link", MISSING],
    () => ({ linkId: MISSING }),
  ),
  // Its answer is the noun-verb grammar's: without the keys that newer bpfman's lacks.
  step(
    "program/replace",
    (made) => ["program", "replace", made.program, "--path", REFUSED],
    (made) => ({ programIds: [made.program], source: { file: REFUSED } }),
  ),
  step(
    "program/replace",
    () => ["program", "replace", MISSING, "--path", OBJECT],
    () => ({ programIds: [MISSING], source: { file: OBJECT } }),
  ),
  step(
    "link/read",
    (made) => ["iter", made.link],
    (made) => ({ linkId: made.link }),
  ),
  step(
    "link/update",
    (made) => ["link", "update", made.link, "--priority", 7],
    (made) => ({ linkId: made.link, priority: 7 }),
  ),
  step(
    "dispatcher/list",
    () => ["dispatcher", "list"],
    () => ({}),
  ),
  step(
    "dispatcher/get",
    () => ["dispatcher", "get", "xdp", 1, 1],
    () => ({ type: "xdp", nsid: 1, ifindex: 1 }),
  ),
  step(
    "dispatcher/delete",
    () => ["dispatcher", "delete", "xdp", 1, 1],
    () => ({ type: "xdp", nsid: 1, ifindex: 1 }),
  ),
  step(
    "map/list",
    (made) => ["map", "list", "--program", made.program],
    (made) => ({ programId: made.program }),
  ),
  step(
    "map/get",
    (made) => ["map", "get", `${made.program}/counters_of_life`],
    (made) => ({ map: `${made.program}/counters_of_life` }),
  ),
  step(
    "map/update",
    (made) => ["map", "update", `${made.program}/counters_of_life`, 0, 7],
    (made) => ({ map: `${made.program}/counters_of_life`, key: 0, value: "7" }),
  ),
  step(
    "map/update",
    (made) => ["map", "update", `${made.program}/counters_of_life`, 99, 7],
    (made) => ({ map: `${made.program}/counters_of_life`, key: 99, value: 7 }),
  ),
  step(
    "map/lookup",
    (made) => ["map", "lookup", `${made.program}/counters_of_life`, 0],
    (made) => ({ map: `${made.program}/counters_of_life`, key: 0 }),
  ),
  step(
    "map/delete",
    (made) => ["map", "delete", `${made.program}/counters_of_life`, 0],
    (made) => ({ map: `${made.program}/counters_of_life`, key: 0 }),
  ),
  step(
    "map/clear",
    (made) => ["map", "clear", `${made.program}/counters_of_life`],
    (made) => ({ map: `${made.program}/counters_of_life` }),
  ),
  {
    ...step(
      "map/dump",
      (made) => ["map", "dump", `${made.program}/.rodata`],
      (made) => ({ map: `${made.program}/.rodata` }),
    ),
    part: "entries",
  },
  step(
    "map/events",
    (made) => ["map", "events", made.program],
    (made) => ({ source: made.program }),
  ),
  step(
    "map/events",
    (made) => ["events", `${made.program}/counters_of_life`],
    (made) => ({ source: `${made.program}/counters_of_life` }),
  ),
  {
    ...step(
      "link/detach",
      (made) => ["detach", made.link],
      (made) => ({ linkId: made.link }),
    ),
    unwrap: "detached",
  },
  step(
    "link/detach",
    (made) => ["detach", made.link],
    (made) => ({ linkId: made.link }),
  ),
  step(
    "link/delete",
    () => ["link", "delete", "on_openat"],
    () => ({ linkId: "on_openat" }),
  ),
  {
    ...step(
      "program/stats",
      (made) => ["stats", made.program, "--interval", "1ms", "--members"],
      (made) => ({ programIds: [made.program], intervalMs: 1, members: true }),
    ),
    varies: /^interval_ms$/,
  },
  step(
    "program/stats",
    () => ["stats", MISSING],
    () => ({ programIds: [MISSING] }),
  ),
  {
    ...step(
      "metrics",
      () => ["metrics"],
      () => ({}),
    ),
    varies: /^value$/,
  },
  {
    ...step(
      "program/unload",
      (made) => ["unload", made.program],
      (made) => ({ programId: made.program }),
    ),
    unwrap: "unloaded",
  },
  step(
    "program/run",
    () => ["run", OBJECT, "on_openat", "-m", "k=v"],
    () => ({ source: { file: OBJECT }, programs: [{ name: "on_openat" }], metadata: { k: "v" } }),
  ),
  step(
    "program/run",
    () => ["run", OBJECT, "on_openat", "--iface", "lo"],
    () => ({ source: { file: OBJECT }, programs: [{ name: "on_openat" }], attach: { iface: "lo" } }),
  ),
  step(
    "program/run",
    () => ["run", OBJECT, "tcx:count"],
    () => ({ source: { file: OBJECT }, programs: [{ type: "tcx", name: "count" }] }),
  ),
  step(
    "program/unload",
    (made) => ["unload", made.program],
    (made) => ({ programId: made.program }),
  ),
  step(
    "history/list",
    (made) => ["history", "--program", made.program],
    (made) => ({ programId: made.program }),
  ),
  step(
    "history/list",
    () => ["history", "--failed", "--link", MISSING],
    () => ({ linkId: MISSING, failed: true }),
  ),
  LOADED,
  ATTACHED,
  step(
    "link/delete",
    (made) => ["link", "delete", made.link],
    (made) => ({ linkId: made.link }),
  ),
  LOADED,
  step(
    "program/delete",
    (made) => ["program", "delete", made.program],
    (made) => ({ programId: made.program }),
  ),
  step(
    "doctor",
    () => ["doctor"],
    () => ({}),
  ),
  step(
    "repair",
    () => ["repair", "--dry-run"],
    () => ({ dryRun: true }),
  ),
  step(
    "repair",
    () => ["repair"],
    () => ({}),
  ),
  step(
    "restore",
    () => ["restore", "--dry-run"],
    () => ({ dryRun: true }),
  ),
  step(
    "restore",
    () => ["restore", "--forget", "link:4711"],
    () => ({ forget: { link: 4711 } }),
  ),
  step(
    "restore",
    () => ["restore", "--wait", "10ms"],
    () => ({ waitMs: 10 }),
  ),
  step(
    "image/pull",
    () => ["image", "pull", "--image-url", NO_REGISTRY],
    () => ({ url: NO_REGISTRY }),
  ),
  step(
    "image/list",
    () => ["image", "list"],
    () => ({}),
  ),
  step(
    "image/prune",
    () => ["image", "prune", "--dry-run"],
    () => ({ dryRun: true }),
  ),
  step(
    "image/inspect",
    () => ["image", "inspect", NO_REGISTRY],
    () => ({ url: NO_REGISTRY }),
  ),
  step(
    "image/verify",
    () => ["image", "verify", NO_REGISTRY],
    () => ({ url: NO_REGISTRY }),
  ),
  step(
    "image/build",
    () => ["image", "build", "--tag", NO_REGISTRY, "--bytecode", "/nowhere.o"],
    () => ({ tag: NO_REGISTRY, bytecode: { file: "/nowhere.o" } }),
  ),
  step(
    "object/inspect",
    () => ["inspect", OBJECT],
    () => ({ file: OBJECT }),
  ),
  step(
    "object/inspect",
    () => ["inspect", OBJECT],
    () => ({ object: bytesOf(OBJECT) }),
  ),
  step(
    "object/check",
    () => ["check", OBJECT],
    () => ({ files: [bytesOf(OBJECT)] }),
  ),
  step(
    "object/check",
    () => ["check", REFUSED, "--programs", "reads_null", "harmless"],
    () => ({ files: [REFUSED], programs: [{ name: "reads_null" }, { name: "harmless" }] }),
  ),
  step(
    "object/check",
    () => ["check", OBJECT, "--baseline", REFUSED],
    () => ({ files: [OBJECT], baseline: REFUSED }),
  ),
  step(
    "image/generateBuildArgs",
    () => ["image", "generate-build-args", "--bytecode", OBJECT],
    () => ({ bytecode: { file: OBJECT } }),
  ),
  step(
    "apply",
    () => ["apply", desired(), "--dry-run", "--prune"],
    () => ({ documents: [{ file: desired() }], dryRun: true, prune: true }),
  ),
  step(
    "apply",
    () => ["apply", applied()],
    () => ({ documents: [{ file: applied() }] }),
  ),
  step(
    "apply",
    () => ["apply", "/nowhere.yaml"],
    () => ({ documents: [{ file: "/nowhere.yaml" }] }),
  ),
  {
    ...step(
      "export",
      () => ["export"],
      () => ({}),
    ),
    part: "document",
  },
  step(
    "export",
    () => ["export", "--application", "nobody"],
    () => ({ application: "nobody" }),
  ),
];

/** Its leaf speaks with shells: test/e2e/completions.test.ts. */
const WITHOUT_JSON: readonly string[] = ["complete"];
/** What it reads is gone then: test/e2e/events.test.ts. */
const TAKEN_OUT: readonly string[] = ["trace"];

test("there is a step for each operation", () => {
  const covered = new Set<string>([...STEPS.map(({ operation }) => operation), ...WITHOUT_JSON, ...TAKEN_OUT]);
  const commanded = Object.entries(OPERATIONS).flatMap(([name, row]) => ("hasNoCommand" in row ? [] : name));
  expect(commanded.filter((name) => !covered.has(name))).toEqual([]);
});

/** What two runs of the same cannot have in common: ids, times, sizes that the kernel rounds, digits in paths. */
const DIFFERENT = /^(id|.*_id|.*_ids|pid|programs|links|map_used_by|detached|deleted|memlock|runtime|run_count|.*_us)$/;

function masked(value: unknown, varies: RegExp = DIFFERENT, key = ""): unknown {
  if (Array.isArray(value)) return value.map((part) => masked(part, varies, key));
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, masked(part, varies, name)]));
  }
  if (typeof value === "number" && (DIFFERENT.test(key) || varies.test(key))) return "N";
  return typeof value === "string" ? value.replaceAll(/0x[0-9a-f]+|\d+/g, "N") : value;
}

interface Result {
  readonly answer?: unknown;
  readonly error?: unknown;
}

async function byCommand({ words, unwrap }: Step, made: Made): Promise<Result> {
  const asked = ["--output", "json", "--error-format", "json"];
  const { code, out, error } = await bpfman.run(...words(made).map(String), ...asked);
  // 10: it was answered, and the answer is that something is refused.
  if (code !== 0 && code !== 10) return { error: JSON.parse(error).error };
  const answer = JSON.parse(out);
  return { answer: unwrap === undefined ? answer : answer[unwrap][0] };
}

async function byRequest(server: RpcProcess, { operation, params, part }: Step, made: Made): Promise<Result> {
  const { result, error } = await server.call(operation, params(made));
  if (error === undefined) return { answer: part === undefined ? result : (result as Record<string, unknown>)[part] };
  const { data, message } = error;
  return {
    error: {
      code: data?.code,
      kind: data?.kind,
      message,
      hint: data?.hint,
      details: data?.details,
      verifier_log: data?.verifierLog,
    },
  };
}

test("by the command line and by JSON-RPC", async () => {
  const server = new RpcProcess(bpfman.command("rpc"));
  await server.initialize();
  const [here, there]: [Made, Made] = [
    { program: 0, link: 0 },
    { program: 0, link: 0 },
  ];
  for (const [index, each] of STEPS.entries()) {
    const results = [await byCommand(each, here), await byRequest(server, each, there)] as const;
    for (const [at, made] of [here, there].entries()) each.keep?.(results[at]?.answer as never, made);
    const name = `${index}: ${each.operation}`;
    const [answer, wanted] = [results[1], results[0]].map((result) => masked(result, each.varies) as object);
    expect({ name, ...answer }).toEqual({ name, ...wanted });
  }
  expect(await server.close()).toMatchObject({ code: 0, error: "" });
}, 120_000);
