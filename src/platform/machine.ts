import type { Versions } from "./runtime.ts";

/** A directory or file of bpfman's own that is not safe to use. */
export interface UnsafePlace {
  readonly path: string;
  /** As in `use the runtime directory "/run/bpfman": other users can write to it (mode 777)`. */
  readonly problem: string;
  /** What to do about it. */
  readonly remedy: string | null;
}

/** The process that holds the writer lock. */
export interface LockHolder {
  readonly pid: number;
  /** The command without options; null if it is not visible. */
  readonly command: string | null;
  /** Stopped by a signal or a debugger. */
  readonly stopped: boolean;
}

/** `lost`: all or part of it is missing. `damaged`: SQLite says so. `unusable`: anything else. */
export interface DatabaseProblem {
  readonly kind: "lost" | "damaged" | "unusable";
  readonly what: string;
  readonly hint: string | null;
}

export interface DatabaseLook {
  readonly path: string;
  /** Null if it is sound, or not needed yet. */
  readonly problem: DatabaseProblem | null;
}

/** What `doctor` asks about the machine besides BPF objects. Changes nothing, except for `setDatabaseAside`. */
export interface MachinePort extends Versions {
  unsafePlaces(): UnsafePlace[];
  /** Returns null if nobody holds the writer lock, or this process does. */
  lockHolder(): LockHolder | null;
  /** Opens the database for reading and lets SQLite check all of it. */
  database(): DatabaseLook;
  /**
   * Renames the files of a lost or damaged database and gives up the runtime directory, so that the next writer makes a new
   * one. Returns their new paths, and what undoes it. The database must not be open. Throws IO_FAILED.
   */
  setDatabaseAside(): { readonly moved: readonly string[]; undo(): void };
  /** Files and directories that other tools keep their own programs in, as `path` and the tool's name. */
  otherTools(): { readonly path: string; readonly tool: string }[];
  /** The configuration file in use; null if there is none. */
  readonly configFile: string | null;
}
