import { existsSync } from "node:fs";
import { afterEach, beforeEach, expect, spyOn, test } from "bun:test";
import type { Runtime } from "../../../src/platform/runtime.ts";
import { SERIES_TURN_MS } from "../../../src/domain/limits.ts";
import { createInvoke, Series } from "../../../src/service/invoke.ts";
import { makeTestBed, type TestBed } from "../../fakes/fake-host.ts";
import { serviceObject } from "../../objects/service-object.ts";

let bed: TestBed;
beforeEach(() => {
  bed = makeTestBed();
  bed.files.contents.set("/x.o", serviceObject());
});
afterEach(() => bed.close());

const REQUEST = { source: { file: "/x.o" }, programs: [{ type: "tcx", name: "count", attachFunction: null }] };
const fail = (reason: string) => () => {
  throw new Error(reason);
};
const badLock = (): Runtime => ({
  ...bed.runtime,
  openLock: async () => ({ acquire: async () => ({ release: fail("the disk is gone") }) }),
});

test("what fails after a change is a warning, and the answer stays", async () => {
  const runtime: Runtime = {
    ...badLock(),
    openHost: async (mode, owner) => {
      const host = await bed.runtime.openHost(mode, owner);
      const close = () => {
        host.close();
        throw new Error("the file is gone");
      };
      return { ...host, close };
    },
  };
  const answer = await createInvoke(runtime)("program/load", REQUEST);
  expect(answer.programs).toHaveLength(1);
  expect(bed.logged).toEqual(["warn database not closed", "warn lock not released cleanly"]);
});

test("and the error stays that of the operation", async () => {
  const missing = createInvoke(badLock())("program/unload", { programId: 4711 });
  expect(await missing.catch((error) => error)).toMatchObject({ code: "PROGRAM_NOT_FOUND" });
  expect(bed.logged).toEqual(["warn lock not released cleanly"]);
});

test("where there is nothing yet, a change that cannot change anything makes nothing", async () => {
  const opened: string[] = [];
  let untouched = true;
  const runtime: Runtime = {
    ...bed.runtime,
    isUntouched: async () => untouched,
    openLock: () => {
      opened.push("lock");
      return bed.runtime.openLock();
    },
    openHost: (mode, owner) => {
      opened.push(mode);
      return bed.runtime.openHost(mode, owner);
    },
  };
  const invoke = createInvoke(runtime);
  const hook = { type: "xdp", nsid: 1, ifindex: 2 };
  const attach = { kind: "tcx", iface: "eth0", direction: "ingress", priority: 5 };
  const wrong = { ...REQUEST, programs: [{ type: "tcx", name: "nothing" }] };
  for (const [name, request, code] of [
    ["program/unload", { programId: 5 }, "PROGRAM_NOT_FOUND"],
    ["program/delete", { programId: 5 }, "PROGRAM_NOT_FOUND"],
    ["link/detach", { linkId: 5 }, "LINK_NOT_FOUND"],
    ["link/delete", { linkId: 5 }, "LINK_NOT_FOUND"],
    ["link/update", { linkId: 5, priority: 1 }, "LINK_NOT_FOUND"],
    ["link/attach", { programId: 5, attach }, "PROGRAM_NOT_FOUND"],
    ["dispatcher/delete", hook, "DISPATCHER_NOT_FOUND"],
    ["program/load", wrong, "FUNCTION_NOT_FOUND"],
    ["program/load", { ...REQUEST, source: { file: "/no.o" } }, "FILE_NOT_FOUND"],
  ] as const) {
    expect([name, await invoke(name, request).catch((error) => error.code)]).toEqual([name, code]);
  }
  expect(await invoke("program/unload", { programId: 5, ignoreMissing: true })).toMatchObject({ unloaded: false });
  expect(await invoke("program/delete", { all: true })).toEqual({ deleted: [], detached: [] });
  expect([...new Set(opened)]).toEqual(["read"]);
  expect(existsSync(bed.databasePath)).toBe(false);

  // What is right is loaded; and rows of this boot are looked after, whatever became of the directory.
  opened.splice(0);
  await invoke("program/load", REQUEST);
  expect(opened).toEqual(["read", "lock", "write"]);
  opened.splice(0);
  await invoke("link/detach", { linkId: 5 }).catch(() => {});
  expect(opened).toEqual(["read", "lock", "write"]);
  untouched = false;
  opened.splice(0);
  await invoke("link/detach", { linkId: 5 }).catch(() => {});
  expect(opened).toEqual(["lock", "write"]);
});

test("changes of a series share the lock and the look for what is left, but not for long, and not after a failure", async () => {
  const happened: string[] = [];
  const saying = <T>(what: string, work: () => T): T => {
    happened.push(what);
    return work();
  };
  const runtime: Runtime = {
    ...bed.runtime,
    openLock: async () => {
      const port = await bed.runtime.openLock();
      return {
        acquire: async (timeoutMs, signal) => {
          const lock = await port.acquire(timeoutMs, signal);
          happened.push("lock");
          return { release: (how) => saying("release", () => lock.release(how)) };
        },
      };
    },
    openHost: async (mode, owner) => {
      const host = await bed.runtime.openHost(mode, owner);
      const { pins, store } = host;
      return {
        ...host,
        pins: { ...pins, prepare: () => saying("recover", pins.prepare) },
        store: { ...store, flush: () => saying("flush", store.flush) },
      };
    },
  };
  const invoke = createInvoke(runtime);
  const load = async () => (await invoke("program/load", REQUEST)).programs[0]?.record?.program_id;
  const ids = [await load(), await load(), await load(), await load(), await load()];
  const series = new Series();
  const unload = (programId: unknown) =>
    invoke("program/unload", { programId }, { series }).then(
      () => happened.push("unloaded"),
      (error) => happened.push(error.code),
    );
  happened.splice(0);
  for (const id of [ids[0], ids[1], 4711, ids[2]]) await unload(id);
  const [begin, end] = [
    ["lock", "recover"],
    ["flush", "release"],
  ];
  expect(happened).toEqual([...begin, "unloaded", "unloaded", ...end, "PROGRAM_NOT_FOUND", ...begin, "unloaded"]);

  happened.splice(0);
  const later = performance.now() + SERIES_TURN_MS;
  const clock = spyOn(performance, "now").mockImplementation(() => later);
  await unload(ids[3]);
  clock.mockRestore();
  expect(happened).toEqual([...end, "unloaded"]);
  await unload(ids[4]);
  await series.end();
  await series.end();
  expect(happened.slice(3)).toEqual([...begin, "unloaded", ...end]);
  const { operations } = await invoke("history/list", {});
  const ended = ["ok", "ok", "PROGRAM_NOT_FOUND", "ok", "ok", "ok"];
  expect(operations.map(({ result }) => result).slice(-ended.length)).toEqual(ended);
});
