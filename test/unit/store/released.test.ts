/** Databases as each release left them, kept in test/fixtures/databases: this version migrates them and loses no row. */
import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { SCHEMA } from "../../../src/store/migrate.ts";
import { openStore } from "../../../src/store/open-store.ts";
import { temporaryDirectory } from "../../labs/temporary-directory.ts";

const ROOT = resolve(import.meta.dir, "../../..");
const KEPT = join(ROOT, "test/fixtures/databases");
const releases = readdirSync(KEPT).map((file) => basename(file, ".sql"));
const sqlOf = (release: string): string => readFileSync(join(KEPT, `${release}.sql`), "utf8");
const directory = temporaryDirectory();

test("each says of which schema it is", () => {
  const versions = releases.map((each) => /^PRAGMA user_version = (\d+);\n/.exec(sqlOf(each))?.[1]);
  expect(versions.length).toBeGreaterThan(0);
  expect(versions).not.toContain(undefined);
});

describe.each(releases)("of %s", (release) => {
  /** Rows of each table, as that release's SQL gives them. */
  function create(path: string): Map<string, number> {
    const database = new Database(path, { create: true });
    database.run("PRAGMA journal_mode = WAL");
    database.run(sqlOf(release));
    const count = (table: string) => database.query<{ n: number }, []>(`SELECT count(*) AS n FROM ${table}`).get()?.n;
    const rows = new Map(["programs", "links", "dispatchers", "operations"].map((table) => [table, count(table) ?? 0]));
    database.close();
    return rows;
  }

  test("opens, is of this schema afterwards, and has its rows", () => {
    mkdirSync(directory.path("state"));
    const path = directory.path("state/bpfman.db");
    const rows = create(path);
    expect(rows.get("programs")).toBeGreaterThan(0);
    const database = new Database(path, { readonly: true });
    const { boot_id: bootId } = database.query<{ boot_id: string }, []>("SELECT boot_id FROM programs").get() ?? {
      boot_id: "",
    };
    database.close();
    const store = openStore({ path, mode: "write", bootId, busyTimeoutMs: 1000 });
    expect(store.programs()).toHaveLength(rows.get("programs") ?? 0);
    expect(store.links()).toHaveLength(rows.get("links") ?? 0);
    expect(store.dispatchers()).toHaveLength(rows.get("dispatchers") ?? 0);
    expect([...store.operations(null)]).toHaveLength(rows.get("operations") ?? 0);
    store.close();
    const after = new Database(path, { readonly: true });
    expect(after.query("PRAGMA user_version").get()).toEqual({ user_version: SCHEMA.version });
    after.close();
  });
});
