import { expect, test } from "bun:test";
import type { Invoke } from "../../../src/service/invoke.ts";
import { beforeEachServiceBed } from "../../fakes/service-bed.ts";

const LOAD = { source: { file: "/x.o" }, programs: [{ type: "tcx", name: "count" }], application: "demo" };
const TCX = { kind: "tcx", iface: "eth0", direction: "ingress", priority: 50 };
let invoke: Invoke;
beforeEachServiceBed((_bed, call) => {
  invoke = call;
});

test("what was done and what failed, with who, on what, and at what cost; the newest last", async () => {
  const { programs } = await invoke("program/load", LOAD);
  const id = programs[0]?.record?.program_id ?? 0;
  await invoke("link/attach", { programId: id, attach: TCX });
  await invoke("link/attach", { programId: id, attach: { ...TCX, iface: "nosuch" } }).catch(() => {});
  await invoke("program/unload", { programId: id });
  await invoke("link/detach", { linkId: 9 }).catch(() => {});
  const { operations } = await invoke("history/list", {});
  const done = { result: "ok", message: null, verification: null, source: null };
  expect(operations).toMatchObject([
    {
      ...{ id: 1, at: "2026-03-04T05:06:07.008Z", boot_id: "boot-1", operation: "program/load", result: "ok" },
      ...{ user: { uid: 0, login_uid: 1000, sudo_uid: null }, parent: { pid: 1, command: "init" } },
      ...{ programs: [id], links: [], place: null, source: "/x.o", message: null },
      verification: { instructions: expect.any(Number), load_us: expect.any(Number) },
    },
    { ...done, operation: "link/attach", programs: [id], links: [1], place: "tcx eth0 ingress" },
    {
      ...{ operation: "link/attach", programs: [id], links: [], place: "tcx nosuch ingress" },
      ...{ result: "INTERFACE_NOT_FOUND", message: 'no interface "nosuch"' },
    },
    { ...done, operation: "program/unload", programs: [id], links: [1] },
    { operation: "link/detach", programs: [], links: [9], result: "LINK_NOT_FOUND" },
  ]);

  const ids = async (request: object) => (await invoke("history/list", request)).operations.map((each) => each.id);
  expect(await ids({ programId: id })).toEqual([1, 2, 3, 4]);
  expect(await ids({ linkId: 1 })).toEqual([2, 4]);
  expect(await ids({ failed: true })).toEqual([3, 5]);
  expect(await ids({ limit: 2 })).toEqual([4, 5]);
  expect(await ids({ programId: id, failed: true, limit: 1 })).toEqual([3]);
  expect(await ids({ programId: 77 })).toEqual([]);
  expect(await ids({ since: "2026-03-04T05:06:07.008Z" })).toEqual([1, 2, 3, 4, 5]);
  expect(await ids({ since: "2026-03-04T07:06:08+02:00" })).toEqual([]);
  expect(await ids({ since: "yesterday" }).catch((cause) => cause.code)).toBe("INVALID_REQUEST");
});

test("another caller can be named, as by the server of a session", async () => {
  const caller = { uid: 0, loginUid: null, sudoUid: null, parentPid: 99, parentCommand: "agent" };
  await invoke("program/load", LOAD, { caller });
  expect((await invoke("history/list", {})).operations).toMatchObject([{ parent: { pid: 99, command: "agent" } }]);
});
