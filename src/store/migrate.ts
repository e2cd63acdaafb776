import type { Database } from "bun:sqlite";
import { BpfmanError } from "../errors/error.ts";

/** What the tables are to look like. */
export interface Schema {
  /** Number of steps: the `user_version` of a database that is up to date. */
  readonly version: number;
  /** The steps themselves, fetched where one is due: almost every command finds a database that is up to date. */
  steps(): readonly string[];
}

/** The product's. A test holds the number against the steps. */
export const SCHEMA: Schema = {
  version: 5,
  steps: () => (require("./migrations.ts") as typeof import("./migrations.ts")).MIGRATIONS,
};

/** Number of the newest step applied to this database; 0 for one without a schema. Throws SCHEMA_TOO_NEW. */
function versionOf(database: Database, known: number, path: string): number {
  const row = database.query<{ user_version: number }, []>("PRAGMA user_version").get();
  const version = row?.user_version ?? 0;
  if (version > known) {
    throw new BpfmanError(
      "SCHEMA_TOO_NEW",
      `open database "${path}": its schema has version ${version}, this bpfman knows up to ${known}`,
      { details: { path, version, known } },
    );
  }
  return version;
}

/**
 * The version of a database that is bpfman's or empty; changes nothing. Throws SCHEMA_TOO_NEW, DATABASE_UNUSABLE.
 */
export function ownVersion(database: Database, { version: known }: Schema, path: string): number {
  const found = versionOf(database, known, path);
  if (found > 0) return found;
  // One snapshot: another process may be making the tables at this moment.
  return database.transaction(() => {
    const version = versionOf(database, known, path);
    if (version === 0) refuseForeign(database, path);
    return version;
  })();
}

/**
 * Brings the schema up to date, all steps in one transaction: it is applied as a whole or not at all. Of several
 * processes that come at once, one does it and the others find it done.
 */
export function migrate(database: Database, schema: Schema, path: string): void {
  database
    .transaction(() => {
      const version = versionOf(database, schema.version, path);
      if (version === 0) refuseForeign(database, path);
      for (const step of schema.steps().slice(version)) database.run(step);
      database.run(`PRAGMA user_version = ${schema.version}`);
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
