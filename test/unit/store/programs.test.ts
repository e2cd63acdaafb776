import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { mapId, programId } from "../../../src/domain/ids.ts";
import { SUCCESSORS_MAX } from "../../../src/domain/limits.ts";
import { MIGRATIONS } from "../../../src/store/migrations.ts";
import { openStore } from "../../../src/store/open-store.ts";
import { linkDraftOf, programRecordOf } from "../../fakes/records.ts";
import { temporaryDirectory } from "../../labs/temporary-directory.ts";

const directory = temporaryDirectory();
const writer = (bootId = "boot-1") => openStore({ path: directory.path("state/bpfman.db"), mode: "write", bootId });

test("a program's record comes back as it was, every field", () => {
  const store = writer();
  const record = programRecordOf(5, {
    type: "fentry",
    attachFunction: "do_unlinkat",
    image: { url: "quay.io/x/y:latest", digest: "sha256:00", pullPolicy: "IfNotPresent" },
    sourcePath: null,
    gplCompatible: false,
    globals: { EMPTY: new Uint8Array(0), LIMIT: new Uint8Array([0, 128, 255]) },
    mapOwnerId: programId(3),
    requestedMapOwnerId: programId(3),
    metadata: { "": "", ["__proto__"]: "own", constructor: "too", "new\nline": "\u0000 ✓" },
  });
  store.insertProgram(record, "ready");
  expect(store.program(programId(5))).toStrictEqual(record);
  store.close();
  const again = writer();
  expect(again.programs()).toStrictEqual([record]);
  expect(Object.keys(again.programs()[0]?.metadata ?? {}).sort()).toEqual(
    ["", "__proto__", "constructor", "new\nline"].sort(),
  );
  again.close();
});

test("a globals key called __proto__ survives", () => {
  const store = writer();
  const globals = Object.fromEntries([["__proto__", new Uint8Array([7])]]);
  store.insertProgram(programRecordOf(5, { globals }), "ready");
  const read = store.program(programId(5))?.globals ?? {};
  expect(Object.entries(read)).toEqual([["__proto__", new Uint8Array([7])]]);
  store.close();
});

test("programs are listed by id, those that are ready only", () => {
  const store = writer();
  store.insertProgram(programRecordOf(30), "ready");
  store.insertProgram(programRecordOf(4), "ready");
  store.insertProgram(programRecordOf(7), "pending");
  store.insertProgram(programRecordOf(100), "removing");
  expect(store.programs().map(({ id }) => Number(id))).toEqual([4, 30]);
  expect(store.program(programId(7))).toBeNull();
  expect(store.program(programId(8))).toBeNull();
  expect(store.unsettledPrograms()).toStrictEqual([
    { record: programRecordOf(7), state: "pending" },
    { record: programRecordOf(100), state: "removing" },
  ]);
  store.setProgramState(programId(7), "ready");
  expect(store.programs().map(({ id }) => Number(id))).toEqual([4, 7, 30]);
  store.close();
});

test("a program id is taken once in a boot, and again in the next", () => {
  const store = writer();
  store.insertProgram(programRecordOf(5), "ready");
  expect(() => store.insertProgram(programRecordOf(5), "pending")).toThrow(
    expect.objectContaining({ code: "STATE_CONFLICT" }),
  );
  store.close();
  const next = writer("boot-2");
  expect(next.programs()).toEqual([]);
  expect(next.program(programId(5))).toBeNull();
  expect(next.unsettledPrograms()).toEqual([]);
  next.insertProgram(programRecordOf(5, { name: "second" }), "ready");
  next.deleteProgram(programId(5));
  next.close();
  const first = writer("boot-1");
  expect(first.programs()).toStrictEqual([programRecordOf(5)]);
  first.close();
});

test("changing a row that is not of this boot is a conflict that names it", () => {
  const store = writer();
  store.insertProgram(programRecordOf(5), "ready");
  store.close();
  const next = writer("boot-2");
  expect(() => next.setProgramState(programId(5), "removing")).toThrow(
    expect.objectContaining({
      code: "STATE_CONFLICT",
      details: { path: directory.path("state/bpfman.db"), table: "programs", id: 5 },
    }),
  );
  next.deleteProgram(programId(5));
  next.close();
  const first = writer();
  expect(first.programs()).toHaveLength(1);
  first.close();
});

test("a program that has links cannot be deleted", () => {
  const store = writer();
  store.insertProgram(programRecordOf(5), "ready");
  const link = store.insertLink(linkDraftOf(5), (id) => `/links/${id}`);
  expect(() => store.deleteProgram(programId(5))).toThrow(expect.objectContaining({ code: "STATE_CONFLICT" }));
  store.deleteLink(link.id);
  store.deleteProgram(programId(5));
  expect(store.programs()).toEqual([]);
  store.close();
});

test("users of a program's maps are counted in every state, also without their owner", () => {
  const store = writer();
  const sharing = { mapOwnerId: programId(5), requestedMapOwnerId: programId(5) };
  store.insertProgram(programRecordOf(9, sharing), "pending");
  store.insertProgram(programRecordOf(5), "ready");
  store.insertProgram(programRecordOf(7, sharing), "removing");
  store.insertProgram(programRecordOf(6), "ready");
  expect(store.mapUsers(programId(5)).map(Number)).toEqual([5, 7, 9]);
  store.deleteProgram(programId(5));
  expect(store.mapUsers(programId(5)).map(Number)).toEqual([7, 9]);
  expect(store.mapUsers(programId(1)).map(Number)).toEqual([]);
  store.close();
});

test("a transaction that throws leaves nothing, and the throw comes out untouched", () => {
  const store = writer();
  const reason = new Error("no");
  expect(() =>
    store.transaction(() => {
      store.insertProgram(programRecordOf(5), "ready");
      store.insertLink(linkDraftOf(5), () => "/l");
      throw reason;
    }),
  ).toThrow(reason);
  expect(store.programs()).toEqual([]);
  expect(store.unsettledLinks()).toEqual([]);
  expect(store.transaction(() => store.programs().length)).toBe(0);
  store.close();
});

test("a transaction inside another is undone by itself", () => {
  const store = writer();
  store.transaction(() => {
    store.insertProgram(programRecordOf(5), "ready");
    try {
      store.transaction(() => {
        store.insertProgram(programRecordOf(6), "ready");
        throw new Error("inner");
      });
    } catch {}
  });
  expect(store.programs().map(({ id }) => Number(id))).toEqual([5]);
  store.close();
});

test("a transaction that would wait is rejected and leaves nothing", () => {
  const store = writer();
  const work = async () => store.insertProgram(programRecordOf(5), "ready");
  expect(() => store.transaction(work)).toThrow(TypeError);
  expect(store.programs()).toEqual([]);
  store.close();
});

test("which pins of maps programs use is told of all of them, in whatever state", () => {
  const store = writer();
  const map = (name: string, pinPath: string | null) => ({ id: mapId(1), name, pinPath });
  store.insertProgram(programRecordOf(1, { maps: [map("own", "/own"), map("shared", "/shared")] }), "ready");
  store.insertProgram(programRecordOf(2, { maps: [map("shared", "/shared"), map(".rodata", null)] }), "ready");
  store.insertProgram(programRecordOf(3, { maps: [map("shared", "/shared"), map("new", "/new")] }), "pending");
  store.insertProgram(programRecordOf(4, { maps: [] }), "removing");
  const mapPinPath = (id: number) => programRecordOf(id).mapPinPath;
  expect(store.mapUses()).toEqual([
    { id: programId(1), mapPinPath: mapPinPath(1), mapPins: ["/own", "/shared"] },
    { id: programId(2), mapPinPath: mapPinPath(2), mapPins: ["/shared"] },
    { id: programId(3), mapPinPath: mapPinPath(3), mapPins: ["/shared", "/new"] },
    { id: programId(4), mapPinPath: mapPinPath(4), mapPins: [] },
  ]);
  store.insertProgram(programRecordOf(5, { maps: [map("odd", '/in "quotes"/\u00e4')] }), "ready");
  const using = (...paths: string[]) => store.mapUses(paths).map(({ id }) => Number(id));
  expect([using(), using("/nothing"), using("/own"), using("/shared"), using("/new", "/own")]).toEqual([
    ...[[], [], [1], [1, 2, 3]],
    [1, 3],
  ]);
  expect([using('/in "quotes"/\u00e4'), using('/in "quotes"'), using(mapPinPath(4))]).toEqual([[5], [5], [4]]);
  const other = new Database(directory.path("state/bpfman.db"));
  other.run("UPDATE programs SET maps = '[' WHERE program_id = 2");
  other.close();
  expect([using("/nothing"), using("/own")]).toEqual([[2], [1, 2]]);
  store.close();
});

test("rows from before there was a typed path have the absolute one, and their time is the kernel's to say", () => {
  const path = directory.path("bpfman.db");
  const database = new Database(path, { create: true });
  for (const step of MIGRATIONS.slice(0, 3)) database.run(step);
  database.run("PRAGMA user_version = 3");
  const columns =
    "boot_id, program_id, state, name, type, section, bytecode_path, source_path, license, gpl_compatible";
  const rest = "globals, pin_path, map_pin_path, maps, metadata, created_at_ms, announced";
  database.run(`INSERT INTO programs (${columns}, ${rest}) VALUES
    ('boot-1', 5, 'ready', 'f', 'tcx', 'tc', '/b.o', '/home/me/counter.o', 'GPL', 1, '{}', '/p', '/m', '[]', '{}', 1, 1)`);
  database.close();
  const store = openStore({ path, mode: "write", bootId: "boot-1" });
  const old = store.program(programId(5));
  expect(old).toMatchObject({
    sourcePath: "/home/me/counter.o",
    absoluteSourcePath: "/home/me/counter.o",
    loadedAt: null,
  });
  store.deleteProgram(programId(5));
  const { entries } = store.changes(0, 10);
  const [loaded, unloaded] = entries.slice(-2);
  expect(loaded).toMatchObject({ kind: "program/didLoad", record: { absoluteSourcePath: "/home/me/counter.o" } });
  expect(unloaded).toMatchObject({ kind: "program/didUnload", record: old });
  store.close();
});

test("the newest successors are known, and of one program the newest of this boot", () => {
  const store = writer();
  const [old, next] = [programId(5), programId(9)];
  store.addSuccessor(old, next);
  const replaced = { id: next, restored: false };
  expect([store.successor(old), store.predecessor(next), store.successor(next)]).toEqual([replaced, old, null]);
  store.transaction(() => {
    for (let id = 100; id < 100 + SUCCESSORS_MAX - 1; id++) store.addSuccessor(programId(id), programId(id + 1));
  });
  expect(store.successor(old)).toEqual(replaced);
  store.addSuccessor(programId(7), programId(8));
  expect(store.successor(old)).toBeNull();
  store.dropSuccessor(programId(7));
  expect(store.successor(programId(7))).toBeNull();
  store.close();
  const later = writer("boot-2");
  expect(later.successor(programId(100))).toBeNull();
  later.close();
});

test("what takes a program's place takes over to whom it belongs, and who shares its maps", () => {
  const store = openStore({
    ...{ path: directory.path("state/bpfman.db"), mode: "write", bootId: "boot-1", owner: "1:2:3" },
  });
  const [old, sharing, next] = [programId(5), programId(6), programId(9)];
  store.insertProgram(programRecordOf(old), "ready");
  store.insertProgram(programRecordOf(sharing, { mapOwnerId: old, requestedMapOwnerId: old }), "ready");
  store.beginChange("op");
  store.insertProgram(programRecordOf(next, { mapOwnerId: old, requestedMapOwnerId: old }), "ready");
  expect(store.brief().map(({ owner }) => owner)).toEqual(["1:2:3", "1:2:3", "change:op"]);
  store.transaction(() => {
    store.settleChange();
    store.takeOver(old, next, { maps: true });
  });
  expect(store.brief().map(({ owner }) => owner)).toEqual(["1:2:3", "1:2:3", "1:2:3"]);
  expect(store.program(next)).toMatchObject({ mapOwnerId: null, requestedMapOwnerId: null });
  expect(store.program(sharing)).toMatchObject({ mapOwnerId: next, requestedMapOwnerId: next });
  store.close();
});
