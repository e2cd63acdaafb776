import { SQLiteError } from "bun:sqlite";
import { BpfmanError } from "../errors/error.ts";
import { ioFailure } from "../errors/sys-failure.ts";

/**
 * Converts an SQLite error to the error shown to users when `action`, as in "open database", failed on the file at
 * `path`. Result codes: https://www.sqlite.org/rescode.html. Other errors are returned unchanged.
 */
export function databaseFailure(thrown: unknown, action: string, path: string): unknown {
  if (!(thrown instanceof SQLiteError)) return thrown;
  const name = thrown.code ?? "SQLITE_ERROR";
  const message = `${action} "${path}": ${thrown.message}`;
  const parts = { details: { path, sqlite: name }, cause: thrown };
  // Extended codes append to the primary code's name: SQLITE_BUSY_SNAPSHOT, SQLITE_IOERR_WRITE.
  const family = name.split("_").slice(0, 2).join("_");
  switch (family) {
    case "SQLITE_BUSY":
    case "SQLITE_LOCKED":
      return new BpfmanError("LOCK_TIMEOUT", message, {
        ...parts,
        hint: "another process keeps the database locked; try again",
      });
    case "SQLITE_CONSTRAINT":
      return new BpfmanError("STATE_CONFLICT", message, parts);
    case "SQLITE_FULL":
      return new BpfmanError("IO_FAILED", message, {
        ...parts,
        hint: `free some space on the file system of "${path}"; detaching and unloading work meanwhile`,
      });
    case "SQLITE_IOERR":
      return new BpfmanError("IO_FAILED", message, parts);
    case "SQLITE_CORRUPT":
    case "SQLITE_NOTADB":
      return new BpfmanError("DATABASE_UNUSABLE", message, {
        ...parts,
        hint:
          "nothing was changed; it belongs with the files of its name that end in -wal and -shm: restore them together; " +
          "or run: bpfman repair, which writes a new one from the pins and the kernel, while programs keep running",
      });
    default:
      return new BpfmanError("DATABASE_UNUSABLE", message, parts);
  }
}

/** Runs one step on the open database; failures name the action. */
export function named<T>(action: string, path: string, step: () => T): T {
  try {
    return step();
  } catch (thrown) {
    throw databaseFailure(thrown, `${action} in database`, path);
  }
}

/** Creates the error for a failure with the file itself: directories, permissions. */
export function fileFailure(thrown: unknown, action: string, path: string): BpfmanError {
  return ioFailure(thrown, { action, path, code: "DATABASE_UNUSABLE" });
}
