import * as fs from "../../ffi/safe/file-system.ts";
import { tryLockExclusive } from "../../ffi/safe/flock.ts";
import { BpfmanError } from "../errors/error.ts";
import { requireOwn } from "../errors/ownership.ts";
import { errnoName, ioFailure } from "../errors/sys-failure.ts";
import type { HeldLock, LockPort } from "../platform/host.ts";

/** The first wait. Each further one is twice as long, so that short-lived holders cost little time. */
const POLL_FIRST_MS = 1;
/** The longest wait, and the longest that a released lock goes unnoticed. */
const POLL_LONGEST_MS = 25;

/**
 * The writer lock on the file at `path`, which is created if missing. Only its holder may remove it, as its last
 * action, because a second file at the same path would be a second lock. The kernel releases the lock when its holder
 * dies.
 */
export function openLock(path: string): LockPort {
  return {
    async acquire(timeoutMs, signal) {
      const start = performance.now();
      for (let wait = POLL_FIRST_MS; ; wait = Math.min(wait * 2, POLL_LONGEST_MS)) {
        if (signal.aborted) throw cancelled(path);
        const held = tryAcquire(path);
        if (held !== null) return held;
        const leftMs = timeoutMs === 0 ? Number.POSITIVE_INFINITY : timeoutMs - (performance.now() - start);
        if (leftMs <= 0) throw timedOut(path, timeoutMs);
        // Jitter spreads out processes that started waiting together.
        const pause = Math.min(wait * (0.5 + Math.random() / 2), leftMs);
        const { setTimeout: sleep } = await import("node:timers/promises");
        await sleep(pause, undefined, { signal }).catch(() => {});
      }
    },
  };
}

/** Returns null if the lock is held elsewhere. */
function tryAcquire(path: string): HeldLock | null {
  const fd = openLockFile(path);
  if (fd === null) return null;
  let ours = false;
  try {
    // If something cleaning up /run removed the file after it was opened, the lock is on an unreachable file and
    // worthless.
    ours = tryLockExclusive(fd) && isStillAt(fd, path);
    if (!ours) return null;
    nameHolder(fd);
  } catch (thrown) {
    ours = false;
    throw lockFailure(thrown, path);
  } finally {
    if (!ours) fs.closeSync(fd);
  }
  let released = false;
  return {
    release({ remove } = { remove: false }) {
      if (released) return;
      released = true;
      try {
        fs.ftruncateSync(fd, 0);
        if (remove) removeWithDirectory(path);
      } catch (thrown) {
        throw lockFailure(thrown, path);
      } finally {
        // The kernel releases the descriptor and the lock whatever close(2) returns.
        fs.closeSync(fd);
      }
    },
  };
}

/** Writes the PID for processes that wait. The lock works without it: a full disk must not prevent an unload. */
function nameHolder(fd: number): void {
  try {
    fs.ftruncateSync(fd, 0);
    fs.writeTextSync(fd, `${process.pid}\n`);
  } catch {
    // The holder is then reported as "another process".
  }
}

/** Waiting processes notice that the file is gone and create another (`isStillAt`). */
function removeWithDirectory(path: string): void {
  fs.unlinkSync(path);
  try {
    fs.rmdirSync(directoryOf(path));
  } catch (thrown) {
    // It contains something else, or is a mount point.
    if (!["ENOTEMPTY", "EBUSY"].includes(errnoName(thrown) ?? "")) throw thrown;
  }
}

const directoryOf = (path: string): string => path.slice(0, path.lastIndexOf("/")) || "/";

const OWN = { code: "STATE_CONFLICT", otherwise: "give another --runtime-dir" } as const;

/**
 * Opens the file anew for each attempt, with close-on-exec as node:fs does by default, so that no child inherits the
 * lock. The file is created in the very directory that was checked. Returns null if that was removed in the meantime.
 */
function openLockFile(path: string): number | null {
  const flags = fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK;
  const directory = directoryOf(path);
  let fd: number | null = null;
  let above: number | null = null;
  try {
    fs.mkdirSync(directory, { recursive: true, mode: 0o750 });
    above = fs.openSync(directory, fs.constants.O_PATH | fs.constants.O_NOFOLLOW);
    requireOwn(
      { ...OWN, action: "use the runtime directory", path: directory, kind: "directory" },
      fs.fstatSync(above),
    );
    fd = fs.openSync(`/proc/self/fd/${above}/${path.slice(path.lastIndexOf("/") + 1)}`, flags, 0o600);
    const stat = fs.fstatSync(fd);
    requireOwn({ ...OWN, action: "open lock file", path, kind: "file" }, stat);
    // The file will be truncated and written, which would destroy somebody's hard-linked file.
    if (stat.nlink > 1) {
      throw new BpfmanError("STATE_CONFLICT", `open lock file "${path}": it is not an ordinary file of its own`, {
        details: { path },
        hint: "remove it",
      });
    }
    return fd;
  } catch (thrown) {
    if (fd !== null) fs.closeSync(fd);
    else if (above !== null && errnoName(thrown) === "ENOENT" && fs.fstatSync(above).nlink === 0) return null;
    throw lockFailure(thrown, path);
  } finally {
    if (above !== null) fs.closeSync(above);
  }
}

function isStillAt(fd: number, path: string): boolean {
  const named = fs.statSync(path);
  const opened = fs.fstatSync(fd);
  return named !== undefined && named.ino === opened.ino && named.dev === opened.dev;
}

const cancelled = (path: string): BpfmanError =>
  new BpfmanError("CANCELLED", `wait for writer lock "${path}": interrupted`, { details: { path } });

function timedOut(path: string, timeoutMs: number): BpfmanError {
  // Loaded only to report the holder, because it needs node:fs.
  const { describeHolder } = require("./holder.ts") as typeof import("./holder.ts");
  const holder = describeHolder(path);
  const who =
    holder === null ? "another process" : `pid ${holder.pid}${holder.command === null ? "" : ` (${holder.command})`}`;
  return new BpfmanError(
    "LOCK_TIMEOUT",
    `wait for writer lock "${path}": ${who} still holds it after ${timeoutMs} ms`,
    {
      details: { path, timeoutMs, holderPid: holder?.pid ?? null, holderCommand: holder?.command ?? null },
    },
  );
}

function lockFailure(thrown: unknown, path: string): BpfmanError {
  return ioFailure(thrown, {
    action: "use lock file",
    path,
    code: "IO_FAILED",
    hint: "check that there is free space and that this user may write there, or give another --runtime-dir",
  });
}
