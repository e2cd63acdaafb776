/** A reader that stays open between reads, for a process that reads often. */
import * as fs from "node:fs";
import type { StorePort } from "../platform/store.ts";
import { isThere } from "./connection.ts";
import { openReadable, type StoreOptions } from "./open-store.ts";

interface Kept {
  readonly store: StorePort;
  /** Which file it is. */
  readonly file: string;
  isCurrent(): boolean;
  check(): void;
  uses: number;
}

/**
 * Answers a function that opens the store for reading, and whose `close` gives it back. The connection is used again for
 * as long as the file at the path is the same and has the schema that it had; all else is opened for one use.
 */
export function keepReader(options: Omit<StoreOptions, "mode" | "owner">): () => StorePort {
  let kept: Kept | null = null;

  function release(used: Kept): void {
    used.uses--;
    if (used.uses === 0 && used !== kept) used.store.close();
  }

  return () => {
    // Also for a connection that is open: what is lost must not be written over, and its writers are refused.
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
