/** Shared by the queries of all tables: an open database, and the rows of this boot in it. */
import type { Database, SQLQueryBindings } from "bun:sqlite";
import type { ProcessIdentity } from "../domain/ids.ts";
import type { RowState } from "../domain/program.ts";
import { BpfmanError } from "../errors/error.ts";
import { type Fields, oneOf, Undecodable } from "./decode.ts";
import { named } from "./store-failure.ts";

export interface Opened {
  readonly database: Database;
  /** The SQLite file. */
  readonly path: string;
  readonly bootId: string;
  readonly mode: "read" | "write";
  /** The owner of new rows, whose session they end with; null for rows that stay. */
  owner: ProcessIdentity | null;
}

/** How the rows of a table are read. */
export interface Reading<T> {
  readonly table: "programs" | "links";
  readonly key: "program_id" | "link_id";
  readonly record: (row: Fields) => T;
}

const rowState = oneOf<RowState>(["pending", "ready", "removing"]);

/** Returns the decoded rows of one table. Errors name the row that cannot be decoded. */
export function select<T>(
  { database, path, bootId }: Opened,
  reading: Reading<T>,
  where: string,
  ...bindings: SQLQueryBindings[]
): { record: T; state: RowState }[] {
  return named(`read ${reading.table}`, path, () => {
    const sql = `SELECT * FROM ${reading.table} WHERE boot_id = ? AND ${where} ORDER BY ${reading.key}`;
    const rows = database.query<Fields, SQLQueryBindings[]>(sql).all(bootId, ...bindings);
    return rows.map((row) => decoded(row, reading, path));
  });
}

export const records = <T>(on: Opened, reading: Reading<T>, where: string, ...bindings: SQLQueryBindings[]): T[] =>
  select(on, reading, where, ...bindings).map(({ record }) => record);

/** Updates the row with that ID. If it does not exist, the caller's view of the state is wrong. */
export function update(
  on: Opened,
  reading: Reading<unknown>,
  rowId: number,
  set: Readonly<Record<string, SQLQueryBindings>>,
): void {
  const { table, key } = reading;
  const columns = Object.keys(set).map((column) => `${column} = ?`);
  const sql = `UPDATE ${table} SET ${columns.join(", ")} WHERE boot_id = ? AND ${key} = ?`;
  runUpdate(on, reading, rowId, { sql, values: Object.values(set) });
}

/** Runs an UPDATE of that row. Its last two parameters are the boot and the ID. */
export function runUpdate(
  { database, path, bootId }: Opened,
  { table }: Reading<unknown>,
  rowId: number,
  { sql, values }: { readonly sql: string; readonly values: readonly SQLQueryBindings[] },
): void {
  const action = `update ${table}`;
  const { changes } = named(action, path, () => database.query(sql).run(...values, bootId, rowId));
  if (changes === 1) return;
  throw new BpfmanError("STATE_CONFLICT", `${action} in database "${path}": no row ${rowId} of this boot`, {
    details: { path, table, id: rowId },
  });
}

export function remove({ database, path, bootId }: Opened, { table, key }: Reading<unknown>, rowId: number): void {
  named(`delete from ${table}`, path, () => {
    database.query(`DELETE FROM ${table} WHERE boot_id = ? AND ${key} = ?`).run(bootId, rowId);
  });
}

/**
 * Readers get one snapshot. Writers take the write lock at the start, because upgrading a read lock can fail halfway. One
 * within another is a savepoint. Bun's own transactions do the same, but prepare several statements first, which takes 0.14 ms.
 */
export function transaction<T>({ database, path, mode }: Opened, work: () => T): T {
  const isWithin = database.inTransaction;
  const [begin, commit, rollBack] = isWithin
    ? ["SAVEPOINT part", "RELEASE part", "ROLLBACK TO part; RELEASE part"]
    : [mode === "read" ? "BEGIN" : "BEGIN IMMEDIATE", "COMMIT", "ROLLBACK"];
  return named("run a transaction", path, () => {
    database.run(begin);
    try {
      const result = work();
      if (result instanceof Promise)
        throw new TypeError("a transaction cannot wait: it would commit at the first await");
      database.run(commit);
      return result;
    } catch (thrown) {
      // Some failures end the transaction themselves, a full disk for one.
      if (database.inTransaction) database.run(rollBack);
      throw thrown;
    }
  });
}

/** Throws DATABASE_UNUSABLE. */
export function decoded<T>(row: Fields, reading: Reading<T>, path: string): { record: T; state: RowState } {
  try {
    return { record: reading.record(row), state: rowState(row.state, "state") };
  } catch (thrown) {
    if (!(thrown instanceof Undecodable)) throw thrown;
    const { table, key } = reading;
    throw new BpfmanError(
      "DATABASE_UNUSABLE",
      `read database "${path}": row ${row[key]} of table "${table}" cannot be understood: column ${thrown.message}`,
      { details: { path, table, id: row[key] }, cause: thrown },
    );
  }
}
