import { fileCall } from "../sys-error.ts";
import { closeSync, constants, openSync, statSync } from "./file-system.ts";
import { checked, seldomLibc } from "./libc.ts";

const CLONE_NEWNET = 0x40000000;
/** The calling thread's namespace; /proc/self would be the main thread's. */
const OWN_NETNS = "/proc/thread-self/ns/net";

/** How often a thread tries to return to its own namespace. */
const GOING_BACK_TRIES = 100;

/** O_NONBLOCK makes opening a FIFO fail later in setns instead of blocking. */
const openNamespace = (path: string): number =>
  fileCall("open", () => openSync(path, constants.O_RDONLY | constants.O_NONBLOCK));

/**
 * Calls `run` with this thread in the network namespace at `path` (any nsfs file), or in the current one if null, and
 * always switches back. `run` must be synchronous: code after an await would run in the wrong namespace. Throws
 * SysError: open ENOENT…, setns EINVAL if the file is not a network namespace, setns EPERM.
 */
export function withNetns<T>(path: string | null, run: () => T): T {
  if (path === null) return run();
  const own = openNamespace(OWN_NETNS);
  try {
    const other = openNamespace(path);
    try {
      checked("setns", seldomLibc().setns(other, CLONE_NEWNET));
    } finally {
      closeSync(other);
    }
    try {
      const result = run();
      if (result instanceof Promise) throw new TypeError("withNetns takes a synchronous function");
      return result;
    } finally {
      goBack(own);
    }
  } finally {
    closeSync(own);
  }
}

/** Calls `work` with the file of the namespace at `path` open, or of the current one if null. Throws SysError: open ENOENT… */
export function withNetnsFile<T>(path: string | null, work: (file: number) => T): T {
  const file = openNamespace(path ?? OWN_NETNS);
  try {
    return work(file);
  } finally {
    closeSync(file);
  }
}

/** Memory can be short for a moment (setns(2): ENOMEM), but a thread in the wrong namespace would do harm. */
function goBack(own: number): void {
  for (let left = GOING_BACK_TRIES; left > 1; left--) if (seldomLibc().setns(own, CLONE_NEWNET) === 0) return;
  checked("setns", seldomLibc().setns(own, CLONE_NEWNET));
}

/** Inode of this thread's network namespace. */
export const currentNetnsInode = (): number => Number(statSync(OWN_NETNS)?.ino);
