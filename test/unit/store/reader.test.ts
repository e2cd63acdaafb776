import { Database } from "bun:sqlite";
import { expect, spyOn, test } from "bun:test";
import * as fs from "node:fs";
import { programId } from "../../../src/domain/ids.ts";
import { openReader, openWriter } from "../../../src/store/connection.ts";
import { SCHEMA } from "../../../src/store/migrate.ts";
import { openStore } from "../../../src/store/open-store.ts";
import { linkDraftOf, programRecordOf } from "../../fakes/records.ts";
import { schemaOf } from "../../fakes/schema.ts";
import { temporaryDirectory } from "../../labs/temporary-directory.ts";

const directory = temporaryDirectory();
const open = (mode: "read" | "write") => openStore({ path: directory.path("state/bpfman.db"), mode, bootId: "boot-1" });
/** Name and content of every file of the state directory; the index of the WAL holds locks and read marks only. */
const content = () =>
  Object.fromEntries(
    fs
      .readdirSync(directory.path("state"))
      .sort()
      .map((name) => [name, name.endsWith("-shm") ? "" : fs.readFileSync(directory.path(`state/${name}`)).toHex()]),
  );

test("a missing database reads as an empty one, and stays missing", () => {
  const store = open("read");
  expect(store.programs()).toEqual([]);
  expect(store.links()).toEqual([]);
  expect(store.program(programId(1))).toBeNull();
  expect(store.unsettledPrograms()).toEqual([]);
  expect(store.mapUsers(programId(1))).toEqual([]);
  expect(store.transaction(() => store.programs())).toEqual([]);
  expect(() => store.insertProgram(programRecordOf(1), "ready")).toThrow();
  store.close();
  expect(fs.readdirSync(directory.path())).toEqual([]);
});

test("an empty file reads as an empty database and stays empty", () => {
  fs.mkdirSync(directory.path("state"));
  fs.writeFileSync(directory.path("state/bpfman.db"), "");
  const store = open("read");
  expect(store.programs()).toEqual([]);
  store.close();
  expect(content()).toEqual({ "bpfman.db": "" });
});

test("a reader changes no file and makes none", () => {
  const writer = open("write");
  writer.insertProgram(programRecordOf(5), "ready");
  writer.close();
  const before = content();
  expect(Object.keys(before)).toEqual(["bpfman.db", "bpfman.db-reserve", "bpfman.db-shm", "bpfman.db-wal"]);
  const reader = open("read");
  expect(reader.programs()).toStrictEqual([programRecordOf(5)]);
  expect(() => reader.deleteProgram(programId(5))).toThrow();
  expect(() => reader.insertLink(linkDraftOf(5), () => "/l")).toThrow();
  reader.close();
  expect(content()).toEqual(before);
});

test("a reader sees what an open writer has committed, before it is in the main file", () => {
  const writer = open("write");
  writer.insertProgram(programRecordOf(5), "ready");
  const reader = open("read");
  expect(reader.programs().map(({ id }) => Number(id))).toEqual([5]);
  writer.insertProgram(programRecordOf(6), "ready");
  expect(reader.programs().map(({ id }) => Number(id))).toEqual([5, 6]);
  reader.close();
  writer.close();
});

test("a reader's transaction is one snapshot", () => {
  const writer = open("write");
  writer.insertProgram(programRecordOf(5), "ready");
  const reader = open("read");
  reader.transaction(() => {
    expect(reader.programs()).toHaveLength(1);
    writer.insertProgram(programRecordOf(6), "ready");
    expect(reader.programs()).toHaveLength(1);
  });
  expect(reader.programs()).toHaveLength(2);
  reader.close();
  writer.close();
});

test("a copy of the main file alone can be read", () => {
  const writer = open("write");
  writer.insertProgram(programRecordOf(5), "ready");
  writer.close();
  fs.rmSync(directory.path("state/bpfman.db-shm"));
  fs.rmSync(directory.path("state/bpfman.db-wal"));
  const reader = open("read");
  expect(reader.programs()).toStrictEqual([programRecordOf(5)]);
  reader.close();
});

test("an older schema is read through a copy in memory", () => {
  const path = directory.path("bpfman.db");
  const first = ["CREATE TABLE things (a INTEGER) STRICT; INSERT INTO things VALUES (1)"];
  const both = [...first, "ALTER TABLE things ADD COLUMN b INTEGER; UPDATE things SET b = a + 1"];
  openWriter({ path, busyTimeoutMs: 100, schema: schemaOf(first) }).close();
  const before = fs.readFileSync(path);
  const reader = openReader({ path, busyTimeoutMs: 100, schema: schemaOf(both) });
  expect(reader.query("SELECT * FROM things").all()).toEqual([{ a: 1, b: 2 }]);
  expect(() => reader.run("DELETE FROM things")).toThrow("readonly");
  reader.close();
  expect(fs.readFileSync(path)).toEqual(before);
});

test("file and directory are for their owner alone", () => {
  open("write").close();
  const mode = (name: string) => fs.statSync(directory.path(name)).mode & 0o777;
  expect(mode("state")).toBe(0o700);
  for (const name of ["bpfman.db", "bpfman.db-wal", "bpfman.db-shm"]) expect(mode(`state/${name}`)).toBe(0o600);
});

test("the schema's number is that of its steps", () => {
  expect(SCHEMA.steps()).toHaveLength(SCHEMA.version);
});

test("the schema is strict, and writers sync at checkpoints, wait and check references", () => {
  const database = openWriter({ path: directory.path("bpfman.db"), busyTimeoutMs: 123, schema: SCHEMA });
  const pragma = (name: string) =>
    Object.values(database.query<Record<string, unknown>, []>(`PRAGMA ${name}`).get() ?? {})[0];
  expect(["journal_mode", "synchronous", "foreign_keys", "busy_timeout", "user_version"].map(pragma)).toEqual([
    "wal",
    1,
    1,
    123,
    SCHEMA.version,
  ]);
  const tables = database
    .query<{ strict: number }, []>(
      "SELECT strict FROM pragma_table_list WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
    )
    .all();
  expect(tables.length).toBeGreaterThanOrEqual(4);
  expect(tables.every((table) => table.strict === 1)).toBe(true);
  database.close();
});

test("any number of programs is listed in one query", () => {
  const writer = open("write");
  writer.transaction(() => {
    for (let id = 1; id <= 1000; id++) writer.insertProgram(programRecordOf(id), "ready");
  });
  writer.close();
  const reader = open("read");
  const query = spyOn(Database.prototype, "query");
  try {
    expect(reader.programs()).toHaveLength(1000);
    expect(query).toHaveBeenCalledTimes(1);
  } finally {
    query.mockRestore();
  }
  reader.close();
});

test("bun:sqlite leaves the database readable to others", () => {
  open("write").close();
  const other = new Database(directory.path("state/bpfman.db"), { readonly: true });
  expect(other.query("PRAGMA integrity_check").get()).toEqual({ integrity_check: "ok" });
  other.close();
});

test("a connection keeps its statements, however many there are", () => {
  const database = openWriter({ path: directory.path("many.db"), busyTimeoutMs: 0 });
  const first = database.query("SELECT 0");
  for (let each = 1; each < 150; each++) database.query(`SELECT ${each}`);
  expect(database.query("SELECT 0")).toBe(first);
  database.close();
});
