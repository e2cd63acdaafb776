/** Connections that stay open between operations, for a process that makes many. */
import * as fs from "node:fs";
import type { ProcessIdentity } from "../domain/ids.ts";
import type { StorePort } from "../platform/store.ts";
import { isThere } from "./connection.ts";
import { openReadable, openWritable, type StoreOptions } from "./open-store.ts";

interface Kept {
  readonly store: StorePort;
  /** Identifies the file. */
  readonly file: string;
  isCurrent(): boolean;
  check(): void;
  uses: number;
}

/**
 * Identifies the database's file. Checked for an open connection as well: a lost database must not be overwritten, and its
 * writers get an error.
 */
function fileOf(options: Omit<StoreOptions, "mode" | "owner">): string {
  isThere({ busyTimeoutMs: 0, ...options });
  const stat = fs.statSync(options.path, { throwIfNoEntry: false });
  return stat === undefined ? "" : `${stat.dev}:${stat.ino}`;
}

/**
 * Returns a function that opens the store for a change, under the writer lock, so one at a time. The connection is reused
 * while the path leads to the same file with the same schema.
 */
export function keepWriter(
  options: Omit<StoreOptions, "mode" | "owner">,
): (owner: ProcessIdentity | null) => StorePort {
  let kept: (ReturnType<typeof openWritable> & { readonly file: string }) | null = null;
  return (owner) => {
    const file = fileOf(options);
    if (kept !== null && (kept.file !== file || !kept.isCurrent())) {
      kept.close();
      kept = null;
    }
    // The file may be made only now.
    kept ??= { ...openWritable(options), file: fileOf(options) };
    return kept.store(owner);
  };
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
    const file = fileOf(options);
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
