import type { Database } from "bun:sqlite";
import { BpfmanError } from "../errors/error.ts";

/** Number of the newest step applied to this database; 0 for one without a schema. Throws SCHEMA_TOO_NEW. */
function schemaVersion(database: Database, migrations: readonly string[], path: string): number {
  const row = database.query<{ user_version: number }, []>("PRAGMA user_version").get();
  const version = row?.user_version ?? 0;
  if (version > migrations.length) {
    throw new BpfmanError(
      "SCHEMA_TOO_NEW",
      `open database "${path}": its schema has version ${version}, this bpfman knows up to ${migrations.length}`,
      { details: { path, version, known: migrations.length } },
    );
  }
  return version;
}

/**
 * The version of a database that is bpfman's or empty; changes nothing. Throws SCHEMA_TOO_NEW, DATABASE_UNUSABLE.
 */
export function ownVersion(database: Database, migrations: readonly string[], path: string): number {
  // One snapshot: another process may be making the tables at this moment.
  return database.transaction(() => {
    const version = schemaVersion(database, migrations, path);
    if (version === 0) refuseForeign(database, path);
    return version;
  })();
}

/**
 * Brings the schema up to date, all steps in one transaction: it is applied as a whole or not at all. Of several
 * processes that come at once, one does it and the others find it done.
 */
export function migrate(database: Database, migrations: readonly string[], path: string): void {
  if (schemaVersion(database, migrations, path) === migrations.length) return;
  database
    .transaction(() => {
      const version = schemaVersion(database, migrations, path);
      if (version === 0) refuseForeign(database, path);
      for (const step of migrations.slice(version)) database.run(step);
      database.run(`PRAGMA user_version = ${migrations.length}`);
    })
    .immediate();
}

/** A database without a version that has tables belongs to another program: adding ours would damage it. */
function refuseForeign(database: Database, path: string): void {
  const table = database.query<{ name: string }, []>("SELECT name FROM sqlite_schema LIMIT 1").get();
  if (table === null) return;
  throw new BpfmanError(
    "DATABASE_UNUSABLE",
    `open database "${path}": it holds a table "${table.name}" that is not bpfman's`,
    {
      details: { path, table: table.name },
      hint: "give another --state-dir; nothing was changed",
    },
  );
}
