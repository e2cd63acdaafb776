import type { Database } from "bun:sqlite";
import { BpfmanError } from "../errors/error.ts";

/** The schema the tables must have. */
export interface Schema {
  /** Number of steps: the `user_version` of an up-to-date database. */
  readonly version: number;
  /** The steps, loaded only if one is pending: almost every command finds an up-to-date database. */
  steps(): readonly string[];
}

/** bpfman's schema. A test compares the version with the number of steps. */
export const SCHEMA: Schema = {
  version: 11,
  steps: () => (require("./migrations.ts") as typeof import("./migrations.ts")).MIGRATIONS,
};

/** Returns the number of the newest step applied to this database; 0 without a schema. Throws SCHEMA_TOO_NEW. */
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
 * Returns the version of a database that is bpfman's or empty. Changes nothing. Throws SCHEMA_TOO_NEW,
 * DATABASE_UNUSABLE.
 */
export function ownVersion(database: Database, { version: known }: Schema, path: string): number {
  const found = versionOf(database, known, path);
  if (found > 0) return found;
  // Read one snapshot, because another process may be creating the tables.
  return database.transaction(() => {
    const version = versionOf(database, known, path);
    if (version === 0) refuseForeign(database, path);
    return version;
  })();
}

/**
 * Applies all pending steps in a single transaction, completely or not at all. If several processes start at once, one
 * migrates and the others find it done.
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

/** A database that has tables but no version belongs to another program: adding bpfman's tables would damage it. */
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
