/** What an agent that never waits asks for again and again. */
import { beforeEach, describe, expect, test } from "bun:test";
import { FAILED_LOAD_MS, FAILED_LOADS_MAX } from "../../../src/domain/limits.ts";
import { BpfmanError } from "../../../src/errors/error.ts";
import { forAgent } from "../../../src/grpc/agent-loops.ts";
import type { Run } from "../../../src/grpc/bpfman-v1.ts";

const CALL = { signal: new AbortController().signal };
let asked: { name: string; request: unknown }[] = [];
let outcome: () => unknown = () => ({});
let nowMs = 0;
let run: Run;
beforeEach(() => {
  asked = [];
  nowMs = 0;
  const inner = async (name: string, request: unknown) => {
    asked.push({ name, request });
    return outcome();
  };
  run = forAgent(inner as unknown as Run, () => nowMs);
});

const refuse = (error: BpfmanError) => () => {
  throw error;
};
const load = (url: string) => run("program/load", { url }, CALL).catch((cause: BpfmanError) => cause.message);

test("loads take the place of older ones, and nothing else is changed", async () => {
  outcome = () => ({});
  await load("a");
  await run("program/get", { programId: 1 }, CALL);
  expect(asked).toEqual([
    { name: "program/load", request: { url: "a", supersede: true } },
    { name: "program/get", request: { programId: 1 } },
  ]);
});

test("what failed is answered from memory for a while, for the same request only", async () => {
  let failures = 0;
  outcome = () => {
    throw new BpfmanError("IMAGE_NOT_FOUND", `failure ${++failures}`);
  };
  expect([await load("a"), await load("a"), await load("b"), await load("a")]).toEqual([
    ...["failure 1", "failure 1", "failure 2", "failure 1"],
  ]);
  nowMs = FAILED_LOAD_MS - 1;
  expect(await load("a")).toBe("failure 1");
  nowMs = FAILED_LOAD_MS;
  expect(await load("a")).toBe("failure 3");
  expect(asked).toHaveLength(3);
});

test("what was cancelled or worked is asked for again", async () => {
  outcome = refuse(new BpfmanError("CANCELLED", "cancelled"));
  await load("a");
  outcome = () => ({});
  await load("a");
  await load("a");
  expect(asked).toHaveLength(3);
});

test("it remembers no more than it has room for", async () => {
  outcome = refuse(new BpfmanError("IMAGE_NOT_FOUND", "no"));
  for (let number = 0; number <= FAILED_LOADS_MAX; number++) await load(String(number));
  expect(asked).toHaveLength(FAILED_LOADS_MAX + 1);
  await load(String(FAILED_LOADS_MAX));
  expect(asked).toHaveLength(FAILED_LOADS_MAX + 1);
  await load("0");
  expect(asked).toHaveLength(FAILED_LOADS_MAX + 2);
});

describe("an application that is there", () => {
  const METADATA = { "bpfman.io/uuid": "1b3c", "bpfman.io/ProgramName": "counter" };
  const REQUEST = {
    source: { image: { url: "a/b:v1", pullPolicy: "Always", registryAuth: null } },
    programs: [
      { type: "tcx", name: "count" },
      { type: "kprobe", name: "back" },
      { type: "fentry", name: "enter", attachFunction: "do_it" },
    ],
    globalData: { size: { base64: "AQA=" } },
    metadata: METADATA,
    mapOwnerId: null,
  };
  const entry = (id: number, type: string, name: string, attachFunction: string | null = null) => ({
    ...{ program_id: id, state: null as string | null, kernel: { id } as object | null },
    record: {
      load: {
        ...{ program_type: type, program_name: name, attach_func: attachFunction, source_path: null },
        ...{ image_source: { url: "a/b:v1" }, global_data: { size: "AQA=" } },
      },
      meta: { metadata: METADATA },
    },
  });
  const there = () => [entry(3, "fentry", "enter", "do_it"), entry(1, "tcx", "count"), entry(2, "kretprobe", "back")];
  /** What was asked of the service, with these programs there. */
  async function askedFor(programs: readonly object[], request: object = REQUEST): Promise<string[]> {
    asked = [];
    outcome = () => (asked.at(-1)?.name === "program/list" ? { programs } : asked.at(-1));
    await run("program/load", request, CALL);
    return asked.map(({ name }) => name);
  }

  test("is not loaded again, and answered in the order that was asked for", async () => {
    outcome = () => (asked.at(-1)?.name === "program/list" ? { programs: there() } : asked.at(-1)?.request);
    expect(await run("program/load", REQUEST, CALL)).toEqual({
      programs: [{ programId: 1 }, { programId: 2 }, { programId: 3 }],
    } as never);
    expect(asked[0]).toEqual({ name: "program/list", request: { metadataSelector: METADATA } });
  });

  test("is loaded again if a program has gone, or has lost its pin, or there is one too many", async () => {
    const again = ["program/list", "program/load"];
    expect(await askedFor(there().slice(1))).toEqual(again);
    expect(await askedFor(there().with(0, { ...entry(3, "fentry", "enter", "do_it"), kernel: null }))).toEqual(again);
    expect(await askedFor(there().with(0, { ...entry(3, "fentry", "enter", "do_it"), state: "unpinned" }))).toEqual(
      again,
    );
    expect(await askedFor([...there(), entry(4, "tcx", "count")])).toEqual(again);
    expect(await askedFor([])).toEqual(again);
  });

  test("is loaded if it is to be another one", async () => {
    for (const change of [
      { source: { image: { ...REQUEST.source.image, url: "a/b:v2" } } },
      { source: { file: "/x.o" } },
      { globalData: {} },
      { globalData: { size: { base64: "AgA=" } } },
      { metadata: { ...METADATA, "bpfman.io/ProgramName": "other" } },
      { mapOwnerId: 7 },
      { programs: REQUEST.programs.with(0, { type: "tc", name: "count" }) },
      { programs: REQUEST.programs.with(2, { type: "fentry", name: "enter", attachFunction: "do_that" }) },
    ])
      expect([change, await askedFor(there(), { ...REQUEST, ...change })]).toEqual([
        change,
        ["program/list", "program/load"],
      ]);
    expect(await askedFor(there(), { ...REQUEST, metadata: {} })).toEqual(["program/load"]);
  });
});
