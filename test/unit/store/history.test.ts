import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import type { OperationEntry } from "../../../src/platform/store.ts";
import { openStore } from "../../../src/store/open-store.ts";
import { temporaryDirectory } from "../../labs/temporary-directory.ts";

const directory = temporaryDirectory();
const ENTRY: OperationEntry = {
  operation: "program/load",
  startedAt: new Date(1_767_323_045_678),
  durationMs: 12.5,
  uid: 1000,
  parentPid: 42,
  result: "ok",
  details: { programs: [5], verifiedInstructions: 12 },
};

test("the history is appended to, and neither changed nor shortened", () => {
  const path = directory.path("bpfman.db");
  const store = openStore({ path, mode: "write", bootId: "boot-1" });
  store.appendOperation(ENTRY);
  store.appendOperation({ ...ENTRY, result: "VERIFIER_REJECTED" });
  store.close();

  const database = new Database(path);
  expect(() => database.run("UPDATE operations SET result = 'ok'")).toThrow("append-only");
  expect(() => database.run("DELETE FROM operations")).toThrow("append-only");
  expect(database.query("SELECT * FROM operations").all()).toEqual([
    {
      operation_id: 1,
      boot_id: "boot-1",
      operation: "program/load",
      started_at_ms: 1_767_323_045_678,
      duration_ms: 12.5,
      uid: 1000,
      parent_pid: 42,
      result: "ok",
      details: '{"programs":[5],"verifiedInstructions":12}',
    },
    expect.objectContaining({ operation_id: 2, result: "VERIFIER_REJECTED" }),
  ]);
  database.close();
});
