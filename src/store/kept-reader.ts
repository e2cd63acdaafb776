/** A reader that stays open between reads, for a process that reads often. */
import * as fs from "node:fs";
import type { StorePort } from "../platform/store.ts";
import { isThere } from "./connection.ts";
import { openReadable, type StoreOptions } from "./open-store.ts";

interface Kept {
  readonly store: StorePort;
  /** Identifies the file. */
  readonly file: string;
  isCurrent(): boolean;
  check(): void;
  uses: number;
}

/**
 * Returns a function that opens the store for reading; the store's `close` returns the connection. The connection is
 * reused while the path leads to the same file with the same schema. Otherwise the store is opened for a single use.
 */
export function keepReader(options: Omit<StoreOptions, "mode" | "owner">): () => StorePort {
  let kept: Kept | null = null;

  function release(used: Kept): void {
    used.uses--;
    if (used.uses === 0 && used !== kept) used.store.close();
  }

  return () => {
    // Checked for an open connection as well: a lost database must not be overwritten, and its writers get an error.
    isThere({ busyTimeoutMs: 0, ...options });
    const stat = fs.statSync(options.path, { throwIfNoEntry: false });
    const file = stat === undefined ? "" : `${stat.dev}:${stat.ino}`;
    if (kept === null || kept.file !== file || !kept.isCurrent()) {
      if (kept !== null && kept.uses === 0) kept.store.close();
      kept = null;
      const { store, isCurrent, check } = openReadable(options);
      if (isCurrent === null) return store;
      kept = { store, isCurrent, check, file, uses: 0 };
    }
    const used = kept;
    used.check();
    used.uses++;
    return { ...used.store, close: () => release(used) };
  };
}
