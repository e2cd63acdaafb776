/** What an agent that never waits asks for again and again. */
import { beforeEach, expect, test } from "bun:test";
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
