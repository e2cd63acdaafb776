/** What a command finds to be gone: pins that somebody removed, and what belonged to sessions that have ended. */
import { expect, test } from "bun:test";
import { BY_ITSELF } from "../../../src/domain/history.ts";
import { mapId, programId } from "../../../src/domain/ids.ts";
import type { Host } from "../../../src/platform/host.ts";
import { createInvoke, type Invoke, Series } from "../../../src/service/invoke.ts";
import type { TestBed } from "../../fakes/fake-host.ts";
import { beforeEachServiceBed } from "../../fakes/service-bed.ts";
import { programRecordOf } from "../../fakes/records.ts";

const TRACEPOINT = { kind: "tracepoint", tracepoint: "sched/sched_switch" };
let bed: TestBed;
let invoke: Invoke;
beforeEachServiceBed((made, call) => {
  [bed, invoke] = [made, call];
});

/** Rows of programs and links whose pins are gone, and which the kernel does not know. */
function insertLost(count: number): void {
  bed.write(({ store, pins: { paths } }) => {
    for (let index = 0; index < count; index++) {
      const id = programId(1000 + index);
      const maps = [{ id: mapId(5000 + index), name: "m", pinPath: paths.map(id, "m") }];
      const places = { pinPath: paths.program(id), mapPinPath: paths.mapDirectory(id) };
      store.insertProgram(programRecordOf(id, { ...places, maps }), "ready");
      const details = { kind: "tracepoint", group: "g", name: "n" } as const;
      const draft = { programId: id, details, metadata: {}, createdAt: new Date(0) };
      store.settleLink(store.insertLink(draft, paths.link).id, (9000 + index) as never);
    }
  });
}

/** Counts the calls of a port, and the rows or names that they return. */
const counting = <T extends object>(port: T, count: (work: number) => void): T =>
  new Proxy(port, {
    get: (target, key) => {
      const value = Reflect.get(target, key);
      if (typeof value !== "function") return value;
      return (...parameters: unknown[]) => {
        const result = value.apply(target, parameters);
        count(1 + (Array.isArray(result) ? result.length : 0));
        return result;
      };
    },
  });

test("the work for programs without pins grows with their number, not with its square", async () => {
  let work = 0;
  const count = (more: number): void => {
    work += more;
  };
  const { openHost } = bed.runtime;
  const counted = createInvoke({
    ...bed.runtime,
    openHost: async (...given) => {
      const host: Host = await openHost(...given);
      const ports = { store: counting(host.store, count), kernel: counting(host.kernel, count) };
      return { ...host, ...ports, pins: counting(host.pins, count), files: counting(host.files, count) };
    },
  });
  const works: number[] = [];
  for (const number of [10, 40, 70]) {
    insertLost(number);
    work = 0;
    await counted("program/unload", { programId: 1, ignoreMissing: true });
    works.push(work);
    bed.inspect(({ store }) => expect(store.brief()).toEqual([]));
  }
  const [ten = 0, forty = 0, seventy = 0] = works;
  expect(seventy - forty).toBe(forty - ten);
});

test("what is not removed before the command dies, the next one removes", async () => {
  insertLost(6);
  bed.faults.reset();
  bed.faults.dieAt = 9;
  await invoke("program/unload", { programId: 1, ignoreMissing: true }).catch(() => {});
  bed.faults.reset();
  const left = bed.inspect(({ store }) => store.brief().length);
  expect(left).toBeGreaterThan(0);
  expect(left).toBeLessThan(12);
  await invoke("program/unload", { programId: 1, ignoreMissing: true });
  bed.inspect(({ store }) => expect(store.brief()).toEqual([]));
});

const history = () =>
  bed.inspect(({ store }) =>
    [...store.operations(null)].map(({ operation, result, facts }) => ({ operation, result, ...facts })).reverse(),
  );

test("unloading what has just been found to be gone succeeds, and says so", async () => {
  for (const remove of [
    (id: number) => invoke("program/unload", { programId: id }),
    (id: number) => invoke("program/delete", { programId: id }),
  ]) {
    insertLost(1);
    const answer = await remove(1000);
    expect(answer).toEqual(
      "unloaded" in answer
        ? { program_id: 1000, detached: [], unloaded: true, already_gone: true }
        : { deleted: [1000], detached: [] },
    );
    expect(await remove(1000).catch((cause) => cause.code)).toBe("PROGRAM_NOT_FOUND");
  }
  expect(bed.logged.filter((line) => line.startsWith("warn"))).toEqual([
    "warn programs that lost their pins are gone; forgetting 1000",
    "warn links that lost their pins are gone; forgetting 1",
    "warn program 1000 was gone already: only what was left of it has been removed",
    "warn programs that lost their pins are gone; forgetting 1000",
    "warn links that lost their pins are gone; forgetting 2",
  ]);
});

test("so does unloading several of them by one command", async () => {
  insertLost(3);
  const series = new Series();
  for (const programId of [1000, 1001, 1002]) {
    const gone = { program_id: programId, detached: [], unloaded: true, already_gone: true } as const;
    expect(await invoke("program/unload", { programId }, { series })).toEqual(gone);
  }
  await series.end();
});

test("so does detaching", async () => {
  insertLost(2);
  expect(await invoke("link/detach", { linkId: 2 })).toEqual({ link_id: 2, detached: true, already_gone: true });
  expect(bed.logged).toContain("warn link 2 was gone already: only what was left of it has been removed");
  insertLost(1);
  expect(await invoke("link/delete", { linkId: 3 })).toEqual({ deleted: [], detached: [3] });
  expect(await invoke("link/detach", { linkId: 3 }).catch((cause) => cause.code)).toBe("LINK_NOT_FOUND");
});

test("the history has what recovery removed, and ends of sessions", async () => {
  insertLost(2);
  const load = { source: { file: "/x.o" }, programs: [{ type: "tracepoint", name: "on_openat" }] };
  const owner = "77:1:1";
  const { programs } = await invoke("program/load", load, { owner });
  const id = programs[0]?.record?.program_id ?? 0;
  await invoke("link/attach", { programId: id, attach: TRACEPOINT }, { owner });
  bed.ended.add(owner);
  await invoke("program/unload", { programId: 1 }).catch(() => {});
  expect(history()).toEqual([
    { operation: BY_ITSELF.recovery, result: "ok", programs: [1000, 1001], links: [1, 2] },
    expect.objectContaining({ operation: "program/load", result: "ok", programs: [id], source: "/x.o" }),
    expect.objectContaining({
      ...{ operation: "link/attach", result: "ok", programs: [id], links: [3] },
      place: "tracepoint sched/sched_switch",
    }),
    { operation: BY_ITSELF.sessionEnd, result: "ok", programs: [id], links: [3] },
    expect.objectContaining({ operation: "program/unload", result: "PROGRAM_NOT_FOUND", programs: [1] }),
  ]);
  expect(history().at(-1)).toMatchObject({ message: "program 1 does not exist" });
});

test("a chain without any pin is taken off its hook, and its programs are forgotten", async () => {
  const program = { source: { file: "/x.o" }, programs: [{ type: "tc", name: "count" }] };
  const place = { kind: "tc", iface: "eth0", direction: "ingress", priority: 1 };
  const hook = { netns: null, ifindex: 2, direction: "ingress" } as const;
  const filter = { priority: 50, handle: 1 };
  const attached = async () => {
    const id = (await invoke("program/load", program)).programs[0]?.record?.program_id as number;
    await invoke("link/attach", { programId: id, attach: place });
    return id;
  };
  const next = () => invoke("link/detach", { linkId: 4711, ignoreMissing: true });

  const id = await attached();
  bed.kernel.pins.clear();
  await next();
  expect(bed.kernel.tcFilterProgram(hook, filter)).toBeNull();
  bed.inspect(({ store }) => expect([store.brief(), store.dispatchers()]).toEqual([[], []]));

  // What somebody else has put there meanwhile stays.
  const other = await attached();
  expect(other).not.toBe(id);
  const theirs = (await invoke("program/load", program)).programs[0]?.record?.program_id as never;
  bed.kernel.replaceTc({ path: `/fake/fs/prog_${theirs}`, kind: "program", id: theirs }, hook, filter);
  bed.kernel.pins.delete(`/fake/fs/prog_${other}`);
  await next();
  expect(bed.kernel.tcFilterProgram(hook, filter)).toBe(theirs);
});
