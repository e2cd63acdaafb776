import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import type { OperationEntry } from "../../../src/domain/history.ts";
import { OPERATION_IDS_MAX, OPERATION_TEXT_CHARS_MAX, OPERATIONS_MAX } from "../../../src/domain/limits.ts";
import { MIGRATIONS } from "../../../src/store/migrations.ts";
import { openStore } from "../../../src/store/open-store.ts";
import { temporaryDirectory } from "../../labs/temporary-directory.ts";

const directory = temporaryDirectory();
const ENTRY: OperationEntry = {
  operation: "program/load",
  startedAt: new Date(1_767_323_045_678),
  durationMs: 12.5,
  caller: { uid: 0, loginUid: 1000, sudoUid: 1000, parentPid: 42, parentCommand: "sudo" },
  result: "ok",
  facts: { programs: [5], links: [], verified_instructions: 12, load_ms: 1.5, source: "x.o" },
};
const open = (bootId = "boot-1") => openStore({ path: directory.path("bpfman.db"), mode: "write", bootId });

test("the history is appended to, and neither changed nor shortened", () => {
  const store = open();
  store.appendOperation(ENTRY);
  store.appendOperation({ ...ENTRY, result: "VERIFIER_REJECTED" });
  store.close();
  const database = new Database(directory.path("bpfman.db"));
  expect(() => database.run("UPDATE operations SET result = 'ok'")).toThrow("append-only");
  expect(() => database.run("DELETE FROM operations")).toThrow("append-only");
  database.close();
  const later = open("boot-2");
  expect([...later.operations(null)]).toEqual([
    { ...ENTRY, id: 2, bootId: "boot-1", result: "VERIFIER_REJECTED" },
    { ...ENTRY, id: 1, bootId: "boot-1" },
  ]);
  expect([...later.operations(new Date(1_767_323_045_679))]).toEqual([]);
  later.close();
});

/** Fills the table as it was at a step of the schema. */
function fill(database: Database, rows: number): void {
  database.run(`INSERT INTO operations (boot_id, operation, started_at_ms, duration_ms, uid, parent_pid, result, details)
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})
    SELECT 'boot-1', 'link/attach', i, 1, 0, 1, 'INVALID_ATTACH', '{}' FROM n`);
}
const extent = (database: Database) =>
  database.query("SELECT count(*) AS rows, min(operation_id) AS oldest FROM operations").get();

test("the oldest entries make room, those of failed operations too", () => {
  open().close();
  const database = new Database(directory.path("bpfman.db"));
  fill(database, OPERATIONS_MAX + 5);
  expect(extent(database)).toEqual({ rows: OPERATIONS_MAX, oldest: 6 });
  database.close();
  const store = open();
  store.appendOperation({ ...ENTRY, result: "INVALID_ATTACH" });
  expect([...store.operations(null)].map(({ id }) => id).slice(0, 2)).toEqual([OPERATIONS_MAX + 6, OPERATIONS_MAX + 5]);
  store.close();
  const after = new Database(directory.path("bpfman.db"));
  expect(extent(after)).toEqual({ rows: OPERATIONS_MAX, oldest: 7 });
  after.close();
});

test("a history that grew too long under an earlier version is cut, and its entries can be read", () => {
  const database = new Database(directory.path("bpfman.db"), { create: true });
  for (const step of MIGRATIONS.slice(0, 5)) database.run(step);
  database.run("PRAGMA user_version = 5");
  fill(database, OPERATIONS_MAX + 100);
  const details =
    '{"program":7,"links":[1,2],"deleted":[8],"detached":[2,3],"verified_instructions":[3,4],"load_ms":2}';
  database.run(`INSERT INTO operations (boot_id, operation, started_at_ms, duration_ms, uid, parent_pid, result, details)
    VALUES ('boot-1', 'program/delete', 9, 1, 0, 1, 'ok', '${details}'), ('boot-1', 'x', 9, 1, 0, 1, 'ok', '[')`);
  database.close();
  const store = open();
  const [damaged, old, ...rest] = store.operations(null);
  store.close();
  expect(rest.length).toBe(OPERATIONS_MAX - 2);
  expect(old).toMatchObject({
    caller: { uid: 0, loginUid: null, sudoUid: null, parentPid: 1, parentCommand: null },
    facts: { programs: [7, 8], links: [1, 2, 3], verified_instructions: 7, load_ms: 2 },
  });
  expect(damaged).toMatchObject({ operation: "x", facts: {} });
});

test("one entry is bounded", () => {
  const store = open();
  const many = Array.from({ length: 5000 }, (_, index) => index + 1);
  store.appendOperation({ ...ENTRY, facts: { programs: many, links: many, message: "x".repeat(100_000) } });
  const [entry] = store.operations(null);
  store.close();
  expect(entry?.facts.programs).toEqual(many.slice(0, OPERATION_IDS_MAX));
  expect(entry?.facts.links).toEqual(many.slice(0, OPERATION_IDS_MAX));
  expect(entry?.facts.message).toHaveLength(OPERATION_TEXT_CHARS_MAX);
});
