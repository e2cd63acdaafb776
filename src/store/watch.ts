import { constants, Database } from "bun:sqlite";
import * as fs from "node:fs";
import { dirname } from "node:path";
import { isThere, type OpenOptions } from "./connection.ts";
import { countConnection } from "./whole.ts";
import { CHANGES_POLL_MS, CHANGES_POLL_UNWATCHED_MS } from "../domain/limits.ts";

/**
 * Check again this long after a file was written: a commit becomes visible in shared memory, without any event, shortly
 * after it was written to the WAL.
 */
const LOOKS_AFTER_WRITE_MS = [1, 5, 25, 100];

/**
 * Calls `changed` when the database at `path` may have been changed by any process. Directory events trigger a check, a
 * slow poll catches what they miss, and SQLite's own counter tells whether there was a commit. The database may be
 * created, removed or replaced in the meantime.
 */
export function watchDatabase(options: Omit<OpenOptions, "schema">, changed: () => void): { close(): void } {
  const { path } = options;
  const directory = dirname(path);
  let database: Database | null = null;
  let closed = (): void => {};
  let seen = "";
  let directoryWatch: fs.FSWatcher | null = null;
  let writtenAgain = false;
  const looks = new Set<NodeJS.Timeout>();

  function closeDatabase(): void {
    database?.close();
    database = null;
    closed();
  }

  /** Identifies the file and the number of commits by other processes that its connection has seen. */
  function state(): string {
    const stat = fs.statSync(path, { throwIfNoEntry: false });
    const file = stat === undefined ? "" : `${stat.dev}:${stat.ino}`;
    if (database === null || !seen.startsWith(`${file} `)) {
      closeDatabase();
      // Opening an incomplete database, even for reading, would change what is left of it.
      if (isThere(options)) {
        database = new Database(path, constants.SQLITE_OPEN_READONLY);
        closed = countConnection();
      }
    }
    const row = database?.query<{ data_version: number }, []>("PRAGMA data_version").get();
    return `${file} ${row?.data_version ?? ""}`;
  }

  function look(): void {
    let now: string;
    try {
      now = state();
    } catch {
      // Locked or being replaced: the next read will report it.
      now = "";
    }
    if (now === seen) return;
    seen = now;
    changed();
  }

  function lookSoon(): void {
    writtenAgain = looks.size > 0;
    if (writtenAgain) return;
    for (const afterMs of LOOKS_AFTER_WRITE_MS) {
      const timer = setTimeout(() => {
        looks.delete(timer);
        look();
        if (looks.size === 0 && writtenAgain) lookSoon();
      }, afterMs);
      looks.add(timer);
    }
  }

  function watchDirectory(): void {
    if (directoryWatch !== null) return;
    try {
      directoryWatch = fs.watch(directory, lookSoon);
      directoryWatch.on("error", () => {
        directoryWatch?.close();
        directoryWatch = null;
      });
    } catch {
      // The directory does not exist yet, or there are too many watches. The poll continues.
    }
  }

  let poll: NodeJS.Timeout;
  function watchOn(): void {
    watchDirectory();
    look();
    poll = setTimeout(watchOn, directoryWatch === null ? CHANGES_POLL_UNWATCHED_MS : CHANGES_POLL_MS);
  }
  watchOn();
  return {
    close() {
      clearTimeout(poll);
      for (const timer of looks) clearTimeout(timer);
      directoryWatch?.close();
      closeDatabase();
    },
  };
}
