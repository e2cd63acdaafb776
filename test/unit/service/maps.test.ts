/** What map commands print and say when the kernel fails them midway: the real service behind the real command line. */
import { beforeEach, expect, test } from "bun:test";
import { type MapId, programId } from "../../../src/domain/ids.ts";
import { BpfmanError } from "../../../src/errors/error.ts";
import type { KernelMap, MapBatch, OpenMap } from "../../../src/platform/kernel.ts";
import type { Invoke } from "../../../src/service/invoke.ts";
import { cli } from "../../fakes/cli-host.ts";
import type { TestBed } from "../../fakes/fake-host.ts";
import { beforeEachServiceBed } from "../../fakes/service-bed.ts";

let bed: TestBed;
let invoke: Invoke;
let changes: string[] = [];
beforeEachServiceBed((made, call) => {
  [bed, invoke] = [made, call];
});
beforeEach(async () => {
  changes = [];
  await invoke("program/load", {
    source: { file: "/x.o" },
    programs: [{ type: "tcx", name: "count" }],
    application: "demo",
  });
});

const kernelMap = (): KernelMap =>
  bed.kernel
    .mapIds()
    .flatMap((id) => bed.kernel.map(id) ?? [])
    .find(({ name }) => name === "counters") as KernelMap;
const counters = (): MapId => kernelMap().id;
const FAILURE = new BpfmanError("KERNEL_CALL_FAILED", "read map 1: it changes faster than it can be read");

/** An open map that counts what is changed in it. */
function open(id: MapId, more: Partial<OpenMap> = {}): OpenMap {
  const map = bed.kernel.map(id) ?? kernelMap();
  const changed = (what: string) => void changes.push(what);
  return {
    map,
    processors: null,
    valueBytes: map.valueSize,
    types: () => null,
    lookup: () => null,
    contains: () => false,
    update: () => changed("update"),
    delete: () => changes.push("delete") > 0,
    take: () => changes.push("take") > 0,
    batches: () => [],
    close: () => {},
    ...more,
  };
}

const letOpen = (more: Partial<OpenMap>): void => {
  bed.kernel.openMap = (id) => open(id, more);
};
/** A batch whose entries have the keys from `first`, and values that are larger by a hundred. */
function batch(first: number, count: number): MapBatch {
  const [keys, values] = [new Uint32Array(count), new BigUint64Array(count)];
  for (let i = 0; i < count; i++) [keys[i], values[i]] = [first + i, BigInt(first + i + 100)];
  return { keys: new Uint8Array(keys.buffer), values: new Uint8Array(values.buffer), count, next: "k00" };
}
const run = (line: string, signal?: AbortSignal) =>
  cli(line, {
    ...(signal === undefined ? {} : { signal }),
    answer: ({ name, request, context }) => invoke(name as "map/dump", request, context),
  });

test("a dump that fails midway: what was printed is valid JSON, the error says that it is not all", async () => {
  letOpen({
    *batches() {
      yield batch(0, 2);
      throw FAILURE;
    },
  });
  const lines = await run("map dump counters");
  // Typed by the saved bytecode: the kernel says nothing.
  expect(lines).toMatchObject({ code: 1, out: '{"key":0,"value":100}\n{"key":1,"value":101}\n' });
  expect(lines.err).toStartWith(
    "error: read map 1: it changes faster than it can be read; the output is not complete: it ends after 2 entries\n",
  );
  const list = await run("map dump counters -o json");
  expect(list.code).toBe(1);
  expect(JSON.parse(list.err).error).toMatchObject({ code: "KERNEL_CALL_FAILED", details: { entries: 2 } });
  expect(JSON.parse(list.out)).toEqual([
    { key: 0, value: 100 },
    { key: 1, value: 101 },
  ]);
});

test("so it is if a piece was handed over in the middle of an entry", async () => {
  const COUNT = 10_000;
  letOpen({
    *batches() {
      yield batch(0, COUNT);
      throw FAILURE;
    },
  });
  const { code, out, err } = await run("map dump counters");
  expect(code).toBe(1);
  expect(err).toContain(`it ends after ${COUNT} entries`);
  const entries = out.trimEnd().split("\n");
  expect(entries.map((line) => JSON.parse(line).key)).toEqual(Array.from({ length: COUNT }, (_, i) => i));
});

test("a dump that fails at once prints nothing", async () => {
  letOpen({
    // biome-ignore lint/correctness/useYield: it fails before
    *batches() {
      throw FAILURE;
    },
  });
  for (const form of ["", " -o json"]) {
    const { code, out, err } = await run(`map dump counters${form}`);
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toContain("read map 1: it changes faster than it can be read");
    expect(err).not.toContain("not complete");
  }
});

test("a dump that is interrupted says so", async () => {
  const interrupt = new AbortController();
  letOpen({
    *batches() {
      yield batch(0, 1);
      interrupt.abort();
      yield batch(1, 1);
      yield batch(2, 1);
    },
  });
  const { code, out, err } = await run("map dump counters", interrupt.signal);
  expect({ code, out }).toEqual({ code: 130, out: '{"key":0,"value":100}\n{"key":1,"value":101}\n' });
  expect(err).toContain("interrupted; the output is not complete: it ends after 2 entries");
});

const COMMANDS = ["get %", "dump %", "lookup % 0", "update % 0 1", "delete % 0", "clear %"];

test("a map that vanishes between being found and being opened is said to be gone", async () => {
  bed.kernel.openMap = () => null;
  const id = counters();
  for (const named of [String(id), "counters", "demo/counters"]) {
    for (const command of COMMANDS) {
      const { code, out, err } = await run(`map ${command.replace("%", named)}`);
      expect({ command, code, out }).toEqual({ command, code: 3, out: "" });
      expect(err).toStartWith(`error: map ${id} (counters) does not exist any more\n`);
    }
  }
  expect(await run("map list -o json")).toMatchObject({ code: 0, out: '{\n  "maps": []\n}\n', err: "" });
});

test("a frozen map is read, and nothing tries to change it", async () => {
  letOpen({
    map: { ...kernelMap(), frozen: true },
    lookup: () => new Uint8Array(8),
    batches: () => [{ ...batch(0, 1), next: null }],
  });
  expect(await run("map lookup counters 0")).toMatchObject({ code: 0, out: "0\n" });
  expect(await run("map dump counters")).toMatchObject({ code: 0, out: '{"key":0,"value":100}\n' });
  for (const command of COMMANDS.slice(3)) {
    const { code, out, err } = await run(`map ${command.replace("%", "counters")}`);
    expect({ command, code, out }).toEqual({ command, code: 5, out: "" });
    expect(err).toContain("is frozen: it cannot be changed any more");
  }
  expect(changes).toEqual([]);
});

test("a map that is none of bpfman's is read, and changed only on demand", async () => {
  const id = counters();
  bed.write(({ store }) => {
    for (const { id: program, maps } of store.programs()) {
      store.setMaps(
        program,
        maps.map((map) => ({ ...map, foreign: true })),
      );
    }
  });
  letOpen({ batches: () => [{ ...batch(0, 1), next: null }] });
  expect(await run(`map dump ${id}`)).toMatchObject({ code: 0, err: "" });
  for (const command of COMMANDS.slice(3)) {
    const { code, out, err } = await run(`map ${command.replace("%", String(id))}`);
    expect({ command, code, out }).toEqual({ command, code: 4, out: "" });
    expect(err).toContain("is not bpfman's: another tool made it");
    expect(err).toContain("--foreign");
  }
  expect(changes).toEqual([]);
  expect(await run(`map update ${id} 0 1 --foreign`)).toMatchObject({ code: 0 });
  expect(changes).toEqual(["update"]);
});

test("a clear that fails midway says how far it came, and so does the history", async () => {
  letOpen({
    update(key) {
      if (key?.[0] === 3) throw new BpfmanError("KERNEL_CALL_FAILED", "change an entry of map 1: no memory");
      changes.push("update");
    },
  });
  const { code, out, err } = await run("map clear counters");
  expect({ code, out, changes }).toEqual({ code: 1, out: "", changes: ["update", "update", "update"] });
  expect(err).toContain("change an entry of map 1: no memory; 3 entries were cleared before");
  const { operations } = await invoke("history/list", {});
  expect(operations.at(-1)).toMatchObject({
    operation: "map/clear",
    result: "KERNEL_CALL_FAILED",
    place: `map ${counters()} counters`,
  });
});

test("a map that programs share is found by each of their names for it", async () => {
  const id = counters();
  await invoke("program/load", { source: { file: "/x.o" }, programs: [{ type: "xdp", name: "filter" }] });
  const [one, other] = (await invoke("program/list", {})).programs.map(({ program_id }) => program_id);
  bed.write(({ store }) => store.setMaps(programId(Number(other)), [{ id, name: "totals", pinPath: null }]));
  letOpen({ batches: () => [{ ...batch(0, 1), next: null }] });
  for (const named of ["counters", "totals", `${one}/counters`, `${other}/totals`, String(id)]) {
    // With the types of the first one.
    expect(await run(`map dump ${named}`)).toMatchObject({ code: 0, out: '{"key":0,"value":100}\n' });
    expect(JSON.parse((await run(`map get ${named} -o json`)).out).programs).toEqual([one, other]);
  }
  for (const named of [`${one}/totals`, "total"]) {
    expect(await run(`map dump ${named}`)).toMatchObject({ code: 3, out: "" });
  }
  // A program's name is no application, and the hint says what the maps are called.
  expect((await run("map dump filter/counters")).err).toContain("there are: counters");
});
