/** Databases that must be rejected, and left unchanged. */
import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import * as fs from "node:fs";
import { openWriter } from "../../../src/store/connection.ts";
import { SCHEMA } from "../../../src/store/migrate.ts";
import { openStore } from "../../../src/store/open-store.ts";
import { failureOf } from "../../expect/failure.ts";
import { linkDraftOf, programRecordOf } from "../../fakes/records.ts";
import { schemaOf } from "../../fakes/schema.ts";
import { temporaryDirectory } from "../../labs/temporary-directory.ts";

const directory = temporaryDirectory();
const path = () => directory.path("bpfman.db");
const open = (mode: "read" | "write") => openStore({ path: path(), mode, bootId: "boot-1" });

for (const mode of ["read", "write"] as const) {
  test(`a newer schema is rejected and left as it is (${mode})`, () => {
    open("write").close();
    const database = new Database(path());
    database.run("PRAGMA user_version = 999");
    database.close();
    const before = fs.readFileSync(path());
    const error = failureOf(() => open(mode));
    expect(error.code).toBe("SCHEMA_TOO_NEW");
    expect(error.message).toContain(
      `"${path()}": its schema has version 999, this bpfman knows up to ${SCHEMA.version}`,
    );
    expect(fs.readFileSync(path())).toEqual(before);
  });

  test(`a file that is not a database is rejected and left as it is (${mode})`, () => {
    const text = "This is not a database, but the only copy of a poem.\n".repeat(100);
    fs.writeFileSync(path(), text);
    const error = failureOf(() => open(mode));
    expect(error.code).toBe("DATABASE_UNUSABLE");
    expect(error.message).toBe(`open database "${path()}": file is not a database`);
    expect(error.details).toEqual({ path: path(), sqlite: "SQLITE_NOTADB" });
    expect(fs.readFileSync(path(), "utf8")).toBe(text);
    expect(fs.readdirSync(directory.path())).toEqual(["bpfman.db"]);
  });

  test(`a database of another program is rejected and left as it is (${mode})`, () => {
    const database = new Database(path());
    database.run("CREATE TABLE poems (text TEXT)");
    database.close();
    const error = failureOf(() => open(mode));
    expect(error.code).toBe("DATABASE_UNUSABLE");
    expect(error.message).toContain(`it holds a table "poems" that is not bpfman's`);
    const again = new Database(path(), { readonly: true });
    expect(again.query("SELECT name FROM sqlite_schema").all()).toEqual([{ name: "poems" }]);
    again.close();
  });

  test(`a damaged page is reported with path and SQLite's reason (${mode})`, () => {
    const writer = open("write");
    writer.transaction(() => {
      for (let id = 1; id <= 200; id++) writer.insertProgram(programRecordOf(id), "ready");
    });
    writer.close();
    const bytes = fs.readFileSync(path());
    bytes.fill(0xa5, 4096);
    fs.writeFileSync(path(), bytes);
    const error = failureOf(() => {
      const store = open(mode);
      try {
        store.programs();
      } finally {
        store.close();
      }
    });
    expect(error.code).toBe("DATABASE_UNUSABLE");
    expect(error.message).toContain(`"${path()}": database disk image is malformed`);
    // A copy of the one file with another's log beside it would be damaged again.
    expect(error.hint).toContain("-wal and -shm: restore them together");
    expect(fs.readFileSync(path())).toEqual(bytes);
  });

  test(`a directory in the database's place is rejected (${mode})`, () => {
    fs.mkdirSync(path());
    const error = failureOf(() => open(mode));
    expect([error.code, error.message]).toEqual([
      "DATABASE_UNUSABLE",
      `open database "${path()}": it is not a regular file`,
    ]);
  });
}

test("a directory that cannot be made is rejected with the call's errno", () => {
  fs.writeFileSync(directory.path("file"), "");
  const error = failureOf(() => openStore({ path: directory.path("file/x/bpfman.db"), mode: "write", bootId: "b" }));
  expect([error.code, error.sys?.name]).toEqual(["DATABASE_UNUSABLE", "ENOTDIR"]);
});

test("a directory may be a symbolic link of one's own, which has to lead to one", () => {
  fs.mkdirSync(directory.path("real"), { mode: 0o700 });
  fs.symlinkSync("real", directory.path("link"));
  const options = { path: directory.path("link/bpfman.db"), bootId: "boot-1" };
  openStore({ ...options, mode: "write" }).close();
  expect(fs.existsSync(directory.path("real/bpfman.db"))).toBe(true);
  fs.renameSync(directory.path("real"), directory.path("elsewhere"));
  for (const mode of ["read", "write"] as const) {
    const error = failureOf(() => openStore({ ...options, mode }));
    expect([error.code, error.message]).toEqual([
      "DATABASE_UNUSABLE",
      `use the state directory "${directory.path("link")}": it is a dangling symbolic link`,
    ]);
    expect(error.hint).toContain("make the directory");
  }
  expect(fs.existsSync(directory.path("real"))).toBe(false);
});

test("a directory that others can write to is rejected", () => {
  fs.mkdirSync(directory.path("open"));
  fs.chmodSync(directory.path("open"), 0o777);
  const error = failureOf(() => openStore({ path: directory.path("open/bpfman.db"), mode: "write", bootId: "b" }));
  expect(error.code).toBe("DATABASE_UNUSABLE");
  expect(error.message).toContain("other users can write to it (mode 777)");
  expect(fs.readdirSync(directory.path("open"))).toEqual([]);
});

test("a migration that fails is undone as a whole", () => {
  const options = { path: path(), busyTimeoutMs: 100 };
  openWriter({ ...options, schema: schemaOf(["CREATE TABLE a (x INTEGER)"]) }).close();
  const broken = ["CREATE TABLE a (x INTEGER)", "CREATE TABLE b (x INTEGER)", "CREATE TABLE c (nonsense"];
  expect(failureOf(() => openWriter({ ...options, schema: schemaOf(broken) })).code).toBe("DATABASE_UNUSABLE");
  const database = openWriter({ ...options, schema: schemaOf(["CREATE TABLE a (x INTEGER)"]) });
  expect(database.query("SELECT name FROM sqlite_schema").all()).toEqual([{ name: "a" }]);
  expect(database.query("PRAGMA user_version").get()).toEqual({ user_version: 1 });
  database.close();
});

test("migrations go on from where the database stands", () => {
  const options = { path: path(), busyTimeoutMs: 100 };
  const steps = ["CREATE TABLE a (x INTEGER)", "ALTER TABLE a ADD COLUMN y INTEGER DEFAULT 7"];
  const old = openWriter({ ...options, schema: schemaOf(steps.slice(0, 1)) });
  old.run("INSERT INTO a VALUES (1)");
  old.close();
  const database = openWriter({ ...options, schema: schemaOf(steps) });
  expect(database.query("SELECT * FROM a").all()).toEqual([{ x: 1, y: 7 }]);
  database.close();
});

const WRONG_PROGRAMS: readonly [column: string, value: string | number, says: string][] = [
  ["type", "xdq", "column type is not one of xdp, tc,"],
  ["image", '{"url":"x"}', "column image.digest is not text"],
  ["globals", '{"A":"***"}', "column globals.A is not base64"],
  ["globals", "[]", "column globals is not an object"],
  ["maps", '[{"id":0,"name":"m","pinPath":null}]', "column maps.0.id is not an id"],
  ["maps", '[{"id":1,"name":"m","pinPath":null,"colour":1}]', "column maps.0.colour is not a known field"],
  ["maps", "{}", "column maps is not a list"],
  ["metadata", "{nonsense", "column metadata is not JSON"],
  ["metadata", '{"a":1}', "column metadata.a is not text"],
  ["map_owner_id", -1, "column map_owner_id is not an id"],
  ["created_at_ms", Number.MAX_SAFE_INTEGER, "column created_at_ms is not a time"],
];
for (const [column, value, says] of WRONG_PROGRAMS) {
  test(`a program's row is not believed: ${column} = ${value}`, () => {
    const store = open("write");
    store.insertProgram(programRecordOf(5), "ready");
    const database = new Database(path());
    database.query(`UPDATE programs SET ${column} = ?`).run(value);
    database.close();
    const error = failureOf(() => store.programs());
    store.close();
    expect(error.code).toBe("DATABASE_UNUSABLE");
    expect(error.message).toContain(`row 5 of table "programs" cannot be understood: ${says}`);
    expect(error.details).toEqual({ path: path(), table: "programs", id: 5 });
  });
}

const WRONG_LINKS: readonly [details: string, says: string][] = [
  ['{"kind":"cgroup","fnName":"x"}', "column details.kind is not one of xdp,"],
  ['{"kind":"tracepoint","group":"sched"}', "column details.name is not text"],
  ['{"kind":"fentry","fnName":"x","offset":0}', "column details.offset is not a known field"],
  ['{"kind":"kprobe","fnName":"x","offset":-1}', "column details.offset is not a whole number from 0"],
  ["null", "column details is not an object"],
];
for (const [details, says] of WRONG_LINKS) {
  test(`a link's row is not believed: ${details}`, () => {
    const store = open("write");
    store.insertProgram(programRecordOf(5), "ready");
    store.insertLink(linkDraftOf(5), () => "/l");
    const database = new Database(path());
    database.query("UPDATE links SET details = ?").run(details);
    database.close();
    const error = failureOf(() => store.unsettledLinks());
    store.close();
    expect(error.code).toBe("DATABASE_UNUSABLE");
    expect(error.message).toContain(`row 1 of table "links" cannot be understood: ${says}`);
  });
}
