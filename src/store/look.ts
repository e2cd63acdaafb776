/** Looks at a database as a whole, for `doctor`, and sets a lost one aside, for `repair`. */
import * as fs from "../../ffi/safe/file-system.ts";
import { BpfmanError } from "../errors/error.ts";
import { failing } from "../errors/sys-failure.ts";
import { DATABASE_BUSY_TIMEOUT_MS } from "../domain/limits.ts";
import type { DatabaseLook, DatabaseProblem } from "../platform/machine.ts";
import { disown } from "./belonging.ts";
import { openReader } from "./connection.ts";
import { openStore, type StoreOptions } from "./open-store.ts";
import { databaseFailure } from "./store-failure.ts";

/** How many of SQLite's complaints are read. */
const COMPLAINTS_MAX = 5;

type Looked = Omit<StoreOptions, "mode" | "owner" | "warn">;

export function lookAtDatabase(options: Looked): DatabaseLook {
  const { path } = options;
  try {
    const warnings: string[] = [];
    openStore({ ...options, mode: "read", warn: (message) => warnings.push(message) }).close();
    const [lost] = warnings;
    if (lost !== undefined) return { path, problem: { kind: "lost", what: lost, hint: null } };
    return { path, problem: complaintsOf(options) };
  } catch (thrown) {
    if (!(thrown instanceof BpfmanError)) throw thrown;
    return { path, problem: problemOf(thrown) };
  }
}

/** SQLITE_CORRUPT, SQLITE_NOTADB: https://www.sqlite.org/rescode.html */
const DAMAGED = /^SQLITE_(CORRUPT|NOTADB)/;

function problemOf({ code, message, hint, details }: BpfmanError): DatabaseProblem {
  if (code === "STATE_LOST") return { kind: "lost", what: message, hint: null };
  const damaged = DAMAGED.test(String(details.sqlite ?? ""));
  return { kind: damaged ? "damaged" : "unusable", what: message, hint: damaged ? null : hint };
}

/** Lets SQLite compare all pages, indexes and references. */
function complaintsOf({ path, busyTimeoutMs = DATABASE_BUSY_TIMEOUT_MS, isLive }: Looked): DatabaseProblem | null {
  const database = openReader({ path, busyTimeoutMs, ...(isLive && { isLive }) });
  try {
    const checks = [`PRAGMA integrity_check(${COMPLAINTS_MAX})`, "PRAGMA foreign_key_check"];
    const [integrity = [], references = []] = checks.map((sql) => database.query(sql).values());
    const found = integrity.map(([complaint]) => String(complaint)).filter((complaint) => complaint !== "ok");
    if (references.length > 0) found.push(`${references.length} rows refer to rows that do not exist`);
    if (found.length === 0) return null;
    return { kind: "damaged", what: `check database "${path}": ${found.join("; ")}`, hint: null };
  } catch (thrown) {
    const failure = databaseFailure(thrown, "check database", path);
    if (!(failure instanceof BpfmanError)) throw failure;
    return problemOf(failure);
  } finally {
    database.close();
  }
}

/** Renames the database's files that exist, and gives up the runtime directory. Throws IO_FAILED. */
export function setDatabaseAside({ path, runtimeDir }: Looked, now: Date): { moved: string[]; undo(): void } {
  const aside = `${path}.${now.toISOString().replaceAll(/[^0-9TZ]/g, "")}`;
  const done: { readonly from: string; readonly to: string }[] = [];
  const undo = (): void => {
    for (const { from, to } of done.reverse()) fs.renameSync(to, from);
  };
  try {
    for (const ending of ["", "-wal", "-shm"]) {
      const [from, to] = [`${path}${ending}`, `${aside}${ending}`];
      if (fs.lstatSync(from) === undefined) continue;
      failing("set aside", from, () => fs.renameSync(from, to));
      done.push({ from, to });
    }
    disown({ runtimeDir: runtimeDir ?? null });
  } catch (thrown) {
    undo();
    throw thrown;
  }
  return { moved: done.map(({ to }) => to), undo };
}
