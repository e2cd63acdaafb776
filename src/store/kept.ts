/** Connections that stay open between operations, for a process that makes many. */
import * as fs from "node:fs";
import type { ProcessIdentity } from "../domain/ids.ts";
import type { StorePort } from "../platform/store.ts";
import { isThere } from "./connection.ts";
import { openReadable, openWritable, type StoreOptions } from "./open-store.ts";

interface Kept {
  isCurrent(): boolean;
  close(): void;
  uses: number;
}

export interface KeptStore {
  /** Opens the store for reading; its `close` returns the connection. */
  read(): StorePort;
  /** Opens the store for a change, under the writer lock, so one at a time; its `close` returns the connection. */
  write(owner: ProcessIdentity | null): StorePort;
}

/**
 * Identifies the database's files; "" if there is none. All of them, since SQLite keeps each open: after a restored copy has
 * been written into the main file, and its log been removed, commits to the old log would be lost. Checked for open
 * connections as well: a lost database must not be overwritten, and its writers get an error.
 */
function filesOf(options: Omit<StoreOptions, "mode" | "owner">): string {
  if (!isThere({ busyTimeoutMs: 0, ...options })) return "";
  const stats = ["", "-wal", "-shm"].map((ending) =>
    fs.statSync(`${options.path}${ending}`, { throwIfNoEntry: false }),
  );
  return stats.map((stat) => `${stat?.dev}:${stat?.ino}`).join();
}

/** Keeps connections while the path leads to the same files with the same schema. */
export function keepStore(options: Omit<StoreOptions, "mode" | "owner">): KeptStore {
  let files = "";
  let reader: (Kept & ReturnType<typeof openReadable>) | null = null;
  let writer: (Kept & ReturnType<typeof openWritable>) | null = null;

  /** Closes them; those in use when they are returned. Both, because SQLite shares the log's index within a process. */
  function forget(): void {
    for (const kept of [reader, writer]) if (kept?.uses === 0) kept.close();
    reader = null;
    writer = null;
  }

  function checkFiles(kept: Kept | null): void {
    const found = filesOf(options);
    if (found !== files || kept?.isCurrent() === false) forget();
    files = found;
  }

  function release(used: Kept): void {
    used.uses--;
    if (used.uses === 0 && used !== reader && used !== writer) used.close();
  }

  return {
    read() {
      checkFiles(reader);
      if (reader === null) {
        const opened = openReadable(options);
        const { store, isCurrent } = opened;
        // A copy, which never sees a change.
        if (isCurrent === null) return store;
        reader = { ...opened, isCurrent, close: () => store.close(), uses: 0 };
      }
      const used = reader;
      used.check();
      used.uses++;
      return { ...used.store, close: () => release(used) };
    },
    write(owner) {
      checkFiles(writer);
      // Opening makes what is missing: the next operation then finds other files, and opens them once more.
      writer ??= { ...openWritable(options), uses: 0 };
      const used = writer;
      const store = used.store(owner, () => release(used));
      used.uses++;
      return store;
    },
  };
}
