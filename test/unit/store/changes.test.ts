/** The change log: what the triggers write, how much of it they keep, and what readers learn about gaps. */
import { Database } from "bun:sqlite";
import { beforeEach, expect, test } from "bun:test";
import * as fs from "node:fs";
import { CHANGE_RECORD_BYTES_MAX, CHANGES_MAX } from "../../../src/domain/limits.ts";
import { kernelLinkId, type ProgramId, programId } from "../../../src/domain/ids.ts";
import type { StorePort } from "../../../src/platform/store.ts";
import { openStore } from "../../../src/store/open-store.ts";
import { keepStore } from "../../../src/store/kept.ts";
import { failureOf } from "../../expect/failure.ts";
import { linkDraftOf, programRecordOf } from "../../fakes/records.ts";
import { temporaryDirectory } from "../../labs/temporary-directory.ts";

const directory = temporaryDirectory();
const path = () => directory.path("bpfman.db");
const open = (mode: "read" | "write", bootId = "boot-1"): StorePort => openStore({ path: path(), mode, bootId });
let writer: StorePort;

beforeEach(() => {
  writer = open("write");
});

const load = (id: number, metadata: Readonly<Record<string, string>> = {}): ProgramId => {
  writer.insertProgram(programRecordOf(id, { metadata }), "pending");
  writer.setProgramState(programId(id), "ready");
  return programId(id);
};
const kinds = () => writer.changes(0, 1000).entries.map((entry) => entry.kind);

test("each change once, whatever states a row goes through", () => {
  const program = load(1);
  const link = writer.insertLink(linkDraftOf(program), () => "/pin");
  writer.settleLink(link.id, kernelLinkId(7));
  for (const state of ["removing", "ready", "removing"] as const) {
    writer.setLinkState(link.id, state);
    writer.setProgramState(program, state);
  }
  writer.deleteLink(link.id);
  writer.deleteProgram(program);
  expect(kinds()).toEqual(["program/didLoad", "link/didAttach", "link/didDetach", "program/didUnload"]);
});

test("what never was ready is not told, also when it is removed", () => {
  const program = load(1);
  const link = writer.insertLink(linkDraftOf(program), () => "/pin");
  writer.setLinkState(link.id, "removing");
  writer.deleteLink(link.id);
  writer.insertProgram(programRecordOf(2), "pending");
  writer.deleteProgram(programId(2));
  expect(kinds()).toEqual(["program/didLoad"]);
});

test("a transaction that is rolled back tells nothing, and gives no number away", () => {
  expect(() =>
    writer.transaction(() => {
      load(1);
      throw new Error("no");
    }),
  ).toThrow("no");
  load(2);
  expect(writer.changes(0, 10)).toMatchObject({ entries: [{ sequence: 1, programId: 2 }], latest: 1, complete: true });
});

test("the record is the row, in full", () => {
  const record = programRecordOf(1, { metadata: { a: "b" } });
  writer.insertProgram(record, "ready");
  const link = writer.insertLink(linkDraftOf(1), () => "/pin");
  writer.settleLink(link.id, kernelLinkId(7));
  const [loaded, attached] = writer.changes(0, 10).entries;
  expect(loaded).toMatchObject({ record });
  expect(attached).toMatchObject({ record: writer.link(link.id) });
});

test("every column that a record is made of is in the log", () => {
  const program = load(1);
  const link = writer.insertLink(linkDraftOf(program), () => "/pin");
  writer.settleLink(link.id, kernelLinkId(7));
  const key = { type: "xdp", nsid: 1, ifindex: 1 } as const;
  writer.beginRevision(key, { interface: "eth0", netns: null, filter: null });
  const seat = { type: "xdp", kernelLinkId: null, mode: "skb" } as const;
  writer.settleRevision(key, { revision: 1, programId: program, seat });
  const database = new Database(path(), { readonly: true });
  const own = ["boot_id", "state", "announced", "owner", "applied", "wanted"];
  const tables = { programs: "program/didLoad", links: "link/didAttach", dispatchers: "dispatcher/didChange" };
  for (const [table, kind] of Object.entries(tables)) {
    const columns = database.query<{ name: string }, []>(`PRAGMA table_info(${table})`).all();
    const row = database
      .query<{ record: string }, [string]>("SELECT record FROM changes WHERE kind = ?")
      .get(kind)?.record;
    const wanted = columns.map(({ name }) => name).filter((name) => !own.includes(name));
    expect({ table, columns: Object.keys(JSON.parse(row ?? "{}")).sort() }).toEqual({ table, columns: wanted.sort() });
  }
  database.close();
});

test("a record that is too large is left out, the change is told", () => {
  load(1, { large: "x".repeat(CHANGE_RECORD_BYTES_MAX) });
  writer.deleteProgram(programId(1));
  expect(writer.changes(0, 10).entries).toMatchObject([
    { kind: "program/didLoad", programId: 1, record: null },
    { kind: "program/didUnload", programId: 1, record: null },
  ]);
});

test("the log is bounded, and who missed something is told", () => {
  writer.transaction(() => {
    for (let id = 1; id <= CHANGES_MAX + 10; id++) writer.insertProgram(programRecordOf(id), "ready");
  });
  const reader = open("read");
  expect(reader.changes(0, 5)).toMatchObject({ complete: false, latest: CHANGES_MAX + 10 });
  expect(reader.changes(0, 5).entries.map((entry) => entry.sequence)).toEqual([11, 12, 13, 14, 15]);
  expect(reader.changes(9, 5).complete).toBe(false);
  expect(reader.changes(10, 5).complete).toBe(true);
  expect(reader.changes(CHANGES_MAX + 10, 5)).toMatchObject({ entries: [], complete: true });
  expect(reader.changes(CHANGES_MAX + 11, 5).complete).toBe(false);
});

test("after a restart of the machine nothing of before is told, and it is no continuation", () => {
  load(1);
  writer.close();
  writer = open("write", "boot-2");
  expect(writer.changes(1, 10)).toMatchObject({ entries: [], complete: false, latest: 1 });
  load(1);
  expect(writer.changes(1, 10)).toMatchObject({ entries: [{ sequence: 2 }], complete: false });
  expect(writer.changes(2, 10)).toMatchObject({ entries: [], complete: true });
});

const ownersOf = (store: StorePort): string[] => [...new Set(store.brief().flatMap(({ owner }) => owner ?? []))];

test("rows belong to who made them", () => {
  writer.close();
  writer = openStore({ path: path(), mode: "write", bootId: "boot-1", owner: "1:2:3" });
  const program = load(1);
  writer.insertLink(linkDraftOf(program), () => "/pin");
  writer.close();
  writer = open("write");
  load(2);
  expect(ownersOf(writer)).toEqual(["1:2:3"]);
  expect(writer.ownedBy("1:2:3")).toMatchObject({ programs: [{ id: 1 }], links: [] });
  expect(ownersOf(open("read", "boot-2"))).toEqual([]);
});

test("a kept reader sees each commit, and another file that takes the place", () => {
  const { read } = keepStore({ path: path(), bootId: "boot-1" });
  const ids = () => {
    const store = read();
    try {
      return store.programs().map(({ id }) => id as number);
    } finally {
      store.close();
    }
  };
  expect(ids()).toEqual([]);
  load(1);
  expect(ids()).toEqual([1]);
  const outer = read();
  writer.close();
  for (const file of ["", "-wal", "-shm"]) Bun.spawnSync(["rm", "-f", `${path()}${file}`]);
  expect(ids()).toEqual([]);
  writer = open("write");
  load(2);
  expect(ids()).toEqual([2]);
  // Still open for whoever uses it.
  expect(outer.programs().map(({ id }) => id as number)).toEqual([1]);
  outer.close();
  const newer = new Database(path());
  newer.run("PRAGMA user_version = 999");
  newer.close();
  expect(ids).toThrow(/version 999/);
});

test("a kept writer sees what others have written meanwhile, and another file that takes the place", () => {
  const { write: open } = keepStore({ path: path(), bootId: "boot-1" });
  /** What is there, after adding that program, for that session. */
  const add = (id: number, owner: `${number}:${number}:${number}` | null = null) => {
    const store = open(owner);
    try {
      store.insertProgram(programRecordOf(id), "ready");
      return store.brief().map((row) => [row.kind === "program" && Number(row.id), row.owner]);
    } finally {
      store.close();
    }
  };
  load(1);
  expect(add(2, "1:2:3").map(String)).toEqual(["1,", "2,1:2:3"]);
  load(3);
  writer.deleteProgram(programId(2));
  expect(add(4).map(String)).toEqual(["1,", "3,", "4,"]);
  // A change that was broken off inside a transaction.
  const broken = open(null);
  expect(() =>
    broken.transaction(() => {
      broken.insertProgram(programRecordOf(5), "ready");
      throw new Error("no");
    }),
  ).toThrow("no");
  broken.close();
  expect(add(6).map(String)).toEqual(["1,", "3,", "4,", "6,"]);
  writer.close();
  for (const file of ["", "-wal", "-shm"]) Bun.spawnSync(["rm", "-f", `${path()}${file}`]);
  writer = openStore({ path: path(), mode: "write", bootId: "boot-1" });
  load(7);
  expect(add(8).map(String)).toEqual(["7,", "8,"]);
  const newer = new Database(path());
  newer.run("PRAGMA user_version = 999");
  newer.close();
  expect(() => add(9)).toThrow(/version 999/);
});

/** Writes the log into the main file, as the commands of others do from time to time. */
function checkpoint(): void {
  const database = new Database(path());
  database.run("PRAGMA wal_checkpoint(TRUNCATE)");
  database.close();
}

/** What a damaged or replaced database shows to a session, whose connections are open. */
const kept = () => {
  const { read, write } = keepStore({ path: path(), bootId: "boot-1", busyTimeoutMs: 1000 });
  const using = <T>(store: StorePort, work: (store: StorePort) => T): T => {
    try {
      return work(store);
    } finally {
      store.close();
    }
  };
  return {
    add: (id: number) => using(write(null), (store) => store.insertProgram(programRecordOf(id), "ready")),
    ids: () => using(read(), (store) => store.programs().map(({ id }) => id as number)),
  };
};

test("a copy that is written into the main file, without its log, is what a session changes from then on", () => {
  load(1);
  writer.close();
  checkpoint();
  const backup = fs.readFileSync(path());
  const { add, ids } = kept();
  add(2);
  expect(ids()).toEqual([1, 2]);
  for (const ending of ["-wal", "-shm"]) fs.rmSync(`${path()}${ending}`);
  fs.writeFileSync(path(), backup);
  expect(ids()).toEqual([1]);
  add(3);
  expect(ids()).toEqual([1, 3]);
  // As other commands see it.
  writer = open("write");
  expect(writer.programs().map(({ id }) => id as number)).toEqual([1, 3]);
});

test("a session says so while its database is damaged, and goes on with the restored one", () => {
  load(1);
  writer.close();
  const { add, ids } = kept();
  add(2);
  checkpoint();
  const good = fs.readFileSync(path());
  fs.writeFileSync(path(), Buffer.alloc(good.length, "rubbish"));
  expect(failureOf(() => add(3)).code).toBe("DATABASE_UNUSABLE");
  expect(failureOf(ids).code).toBe("DATABASE_UNUSABLE");
  fs.writeFileSync(path(), good);
  add(3);
  expect(ids()).toEqual([1, 2, 3]);
  writer = open("write");
});
