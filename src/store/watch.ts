import { constants, Database } from "bun:sqlite";
import * as fs from "node:fs";
import { dirname } from "node:path";
import { isThere, type OpenOptions } from "./connection.ts";
import { countConnection } from "./whole.ts";
import { CHANGES_POLL_MS, CHANGES_POLL_UNWATCHED_MS } from "../domain/limits.ts";

/**
 * Looks again this long after a file was written: a commit becomes visible in shared memory, which nothing tells of, a
 * moment after it has been written to the log.
 */
const LOOKS_AFTER_WRITE_MS = [1, 5, 25, 100];

/**
 * Calls `changed` when the database at `path` may have changed, by whichever process. The folder's events say when to
 * look, and a slow poll finds what they miss; SQLite's own counter says whether there was a commit. The database may
 * appear, go, or be replaced meanwhile.
 */
export function watchDatabase(options: Omit<OpenOptions, "schema">, changed: () => void): { close(): void } {
  const { path } = options;
  const folder = dirname(path);
  let database: Database | null = null;
  let closed = (): void => {};
  let seen = "";
  let folderWatch: fs.FSWatcher | null = null;
  let writtenAgain = false;
  const looks = new Set<NodeJS.Timeout>();

  function closeDatabase(): void {
    database?.close();
    database = null;
    closed();
  }

  /** Which file it is, and the number of commits by others that its connection has seen. */
  function state(): string {
    const stat = fs.statSync(path, { throwIfNoEntry: false });
    const file = stat === undefined ? "" : `${stat.dev}:${stat.ino}`;
    if (database === null || !seen.startsWith(`${file} `)) {
      closeDatabase();
      // Merely looking at a database of which a part is missing would change what is left of it.
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
      // Locked or being replaced: whoever reads it next will say so.
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

  function watchFolder(): void {
    if (folderWatch !== null) return;
    try {
      folderWatch = fs.watch(folder, lookSoon);
      folderWatch.on("error", () => {
        folderWatch?.close();
        folderWatch = null;
      });
    } catch {
      // The folder is not there yet, or there are too many watches: the poll goes on.
    }
  }

  let poll: NodeJS.Timeout;
  function watchOn(): void {
    watchFolder();
    look();
    poll = setTimeout(watchOn, folderWatch === null ? CHANGES_POLL_UNWATCHED_MS : CHANGES_POLL_MS);
  }
  watchOn();
  return {
    close() {
      clearTimeout(poll);
      for (const timer of looks) clearTimeout(timer);
      folderWatch?.close();
      closeDatabase();
    },
  };
}
