/**
 * Cache of pulled images, in a directory that belongs to root:
 *
 *     blobs/sha256/HEX        manifests, configurations and layers, by digest
 *     references/HEX.json     what a reference resolved to, by the digest of its text
 *     new/PID-START-ID        files being written
 *
 * Files are renamed to their final name when complete, so writers need no lock among each other. Readers verify the digest, so
 * a damaged file counts as missing and is written again. Only removing what nothing refers to excludes pulls, by an flock(2) of
 * the directory: what a pull has found or saved must still be there when its reference is saved.
 */
import * as fs from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { LAYER_BYTES_MAX } from "../domain/limits.ts";
import { BpfmanError } from "../errors/error.ts";
import { errnoName, reasonOf, sysPart } from "../errors/sys-failure.ts";
import { isDigest } from "./reference.ts";
import { type Digest, digestOf } from "./repository.ts";
import { recordOf } from "./manifest.ts";
import { inOwnDirectory } from "./own-directory.ts";

/** How long a released lock goes unnoticed. */
const LOCK_POLL_MS = 10;

/** What a reference resolved to when it was last looked up. */
export interface Resolved {
  readonly digest: Digest;
  /** The rules under which it was accepted ({@link ImageVerifier.policy}). */
  readonly rules: string;
}

/** Tries to take the flock(2) of an open file, alone or along with others. */
export type TryLock = (fd: number, mode: "alone" | "shared") => boolean;

/** A reference in the cache. */
export interface StoredReference extends Resolved {
  readonly reference: string;
  /** When it was last pulled or used. */
  readonly usedAt: Date;
}

export interface LockWait {
  readonly signal: AbortSignal;
  /** 0 waits indefinitely. */
  readonly timeoutMs: number;
  progress(message: string): void;
}

export interface Cache {
  /**
   * Keeps others from removing anything, or `alone`, from pulling anything, until the result is called. Makes the directory if
   * `make` is set; without one, there is nothing to lock. Throws LOCK_TIMEOUT, CANCELLED.
   */
  lock(mode: "alone" | "shared", make: boolean, wait: LockWait): Promise<() => void>;
  /** Notes that the reference is being used. A cache that cannot be written to does not mind. */
  touch(reference: string): void;
  references(): StoredReference[];
  /** The sizes of all blobs, in bytes. */
  blobs(): Map<Digest, number>;
  removeReference(reference: string): void;
  removeBlob(digest: Digest): void;
  /** Returns null if it is missing or damaged. */
  blob(digest: Digest): Uint8Array | null;
  saveBlob(digest: Digest, bytes: Uint8Array): void;
  /** Returns null if the reference was never pulled. */
  resolved(reference: string): Resolved | null;
  saveResolved(reference: string, resolved: Resolved): void;
}

/** Location of a file in the cache. */
interface Place {
  /** Directories below the cache directory. */
  readonly names: readonly string[];
  readonly file: string;
}

/**
 * Creates nothing until something is saved. Every method throws IO_FAILED, or STATE_CONFLICT if others own the
 * directory.
 */
export function openCache(directory: string, tryLock: TryLock): Cache {
  const blobPlace = (digest: Digest): Place => {
    const [algorithm = "", hex = ""] = digest.split(":");
    return { names: ["blobs", algorithm], file: hex };
  };
  const referencePlace = (reference: string): Place => ({
    names: ["references"],
    file: `${digestOf(Buffer.from(reference)).slice("sha256:".length)}.json`,
  });
  let swept = false;

  /** Reads a file; returns null if it does not exist. */
  function read({ names, file }: Place): Uint8Array | null {
    let fd: number | null = null;
    try {
      return inOwnDirectory({ root: directory, names, make: false }, (path) => {
        fd = fs.openSync(join(path, file), fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK);
        // A file larger than anything bpfman saves was not written by bpfman.
        return fs.fstatSync(fd).size > LAYER_BYTES_MAX ? null : fs.readFileSync(fd);
      });
    } catch (thrown) {
      if (thrown instanceof BpfmanError) throw thrown;
      throw failed("read", join(directory, ...names, file), thrown);
    } finally {
      if (fd !== null) fs.closeSync(fd);
    }
  }

  function save({ names, file }: Place, bytes: Uint8Array): void {
    try {
      inOwnDirectory({ root: directory, names, make: true }, (path) =>
        inOwnDirectory({ root: directory, names: ["new"], make: true }, (drafts) => {
          if (!swept) sweep(drafts);
          swept = true;
          const draft = join(drafts, `${process.pid}-${startOf(process.pid)}-${crypto.randomUUID()}`);
          try {
            fs.writeFileSync(draft, bytes, { mode: 0o600, flag: "wx" });
            fs.renameSync(draft, join(path, file));
          } catch (thrown) {
            fs.rmSync(draft, { force: true });
            throw thrown;
          }
        }),
      );
    } catch (thrown) {
      throw thrown instanceof BpfmanError ? thrown : failed("save", join(directory, ...names, file), thrown);
    }
  }

  function remove({ names, file }: Place): void {
    try {
      inOwnDirectory({ root: directory, names, make: false }, (path) => fs.rmSync(join(path, file), { force: true }));
    } catch (thrown) {
      throw thrown instanceof BpfmanError ? thrown : failed("remove", join(directory, ...names, file), thrown);
    }
  }

  /** The files of a directory, with their sizes and times. */
  function* files(...names: readonly string[]): Generator<{ readonly name: string; readonly stat: fs.Stats }> {
    try {
      const found = inOwnDirectory({ root: directory, names, make: false }, (path) =>
        fs.readdirSync(path).map((name) => ({ name, stat: fs.lstatSync(join(path, name), { throwIfNoEntry: false }) })),
      );
      for (const { name, stat } of found ?? []) if (stat?.isFile()) yield { name, stat };
    } catch (thrown) {
      throw thrown instanceof BpfmanError ? thrown : failed("read", join(directory, ...names), thrown);
    }
  }

  return {
    async lock(mode, make, { signal, timeoutMs, progress }) {
      const flags = fs.constants.O_RDONLY | fs.constants.O_DIRECTORY;
      let fd: number | null;
      try {
        fd = inOwnDirectory({ root: directory, make }, (path) => fs.openSync(path, flags));
      } catch (thrown) {
        throw thrown instanceof BpfmanError ? thrown : failed("lock", directory, thrown);
      }
      if (fd === null) return () => {};
      try {
        const start = performance.now();
        for (let said = false; !tryLock(fd, mode); said = true) {
          if (!said) progress(`waiting for another command that uses the image cache ${directory}`);
          const details = { path: directory };
          if (signal.aborted) throw new BpfmanError("CANCELLED", "wait for the image cache: interrupted", { details });
          if (timeoutMs > 0 && performance.now() - start > timeoutMs) {
            const what = `wait for the image cache "${directory}": a pull still uses it after ${timeoutMs} ms`;
            throw new BpfmanError("LOCK_TIMEOUT", what, { details });
          }
          await sleep(LOCK_POLL_MS, undefined, { signal }).catch(() => {});
        }
      } catch (thrown) {
        fs.closeSync(fd);
        throw thrown instanceof BpfmanError ? thrown : failed("lock", directory, thrown);
      }
      return () => fs.closeSync(fd);
    },
    touch(reference) {
      const { names, file } = referencePlace(reference);
      const now = new Date();
      try {
        inOwnDirectory({ root: directory, names, make: false }, (path) => fs.lutimesSync(join(path, file), now, now));
      } catch {
        // On a read-only disk, it is only not known.
      }
    },
    references() {
      return [...files("references")].flatMap(({ name, stat }) => {
        const bytes = read({ names: ["references"], file: name });
        const { reference, digest, rules } = parsed(bytes ?? new Uint8Array(0));
        if (typeof reference !== "string" || typeof digest !== "string" || !isDigest(digest)) return [];
        if (typeof rules !== "string" || referencePlace(reference).file !== name) return [];
        return [{ reference, digest, rules, usedAt: stat.mtime }];
      });
    },
    blobs: () =>
      new Map(
        [...files("blobs", "sha256")].flatMap(({ name, stat }) => {
          const digest = `sha256:${name}`;
          return isDigest(digest) ? [[digest, stat.size] as const] : [];
        }),
      ),
    removeReference: (reference) => remove(referencePlace(reference)),
    removeBlob: (digest) => remove(blobPlace(digest)),
    blob(digest) {
      const bytes = read(blobPlace(digest));
      return bytes === null || digestOf(bytes) !== digest ? null : bytes;
    },
    saveBlob: (digest, bytes) => save(blobPlace(digest), bytes),
    resolved(reference) {
      const bytes = read(referencePlace(reference));
      if (bytes === null) return null;
      const { reference: of, digest, rules } = parsed(bytes);
      if (of !== reference || typeof digest !== "string" || !isDigest(digest) || typeof rules !== "string") return null;
      return { digest, rules };
    },
    saveResolved(reference, { digest, rules }) {
      save(referencePlace(reference), Buffer.from(`${JSON.stringify({ reference, digest, rules })}\n`));
    },
  };
}

function parsed(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    return recordOf(JSON.parse(Buffer.from(bytes).toString())) ?? {};
  } catch {
    return {};
  }
}

/** Removes files left behind by processes that have exited. */
function sweep(drafts: string): void {
  for (const name of fs.readdirSync(drafts)) {
    const [pid = "", start = ""] = name.split("-");
    if (start === "" || startOf(Number(pid)) !== start) fs.rmSync(join(drafts, name), { force: true });
  }
}

/**
 * Returns when a process started, in clock ticks since boot (proc_pid_stat(5), field 22); empty if it does not exist.
 */
function startOf(pid: number): string {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field is the command name in parentheses, which may contain anything.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  } catch {
    return "";
  }
}

function failed(action: "read" | "save" | "remove" | "lock", path: string, thrown: unknown): BpfmanError {
  const name = errnoName(thrown);
  const full = name === "ENOSPC" || name === "EDQUOT";
  const denied = name === "EACCES" || name === "EPERM";
  const reason = full ? "the disk is full" : reasonOf(thrown);
  return new BpfmanError("IO_FAILED", `${action} "${path}" in the image cache: ${reason}`, {
    details: { path },
    ...(full ? { hint: "make room, or put the cache elsewhere with --cache-dir" } : {}),
    ...(denied
      ? { hint: "give a directory of your own with --cache-dir, or run it as the user that the cache belongs to" }
      : {}),
    ...sysPart(thrown),
    cause: thrown,
  });
}
