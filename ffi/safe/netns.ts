import { fileCall } from "../sys-error.ts";
import { closeSync, constants, openSync, statSync } from "./file-system.ts";
import { checked, libc } from "./libc.ts";

const CLONE_NEWNET = 0x40000000;
/** Of the calling thread: /proc/self would be the main thread's. */
const OWN_NETNS = "/proc/thread-self/ns/net";

/** O_NONBLOCK, so that a FIFO given for a namespace is refused instead of waited for. */
const openNamespace = (path: string): number =>
  fileCall("open", () => openSync(path, constants.O_RDONLY | constants.O_NONBLOCK));

/**
 * Runs `run` with this thread in the network namespace behind `path` (any file of nsfs), or right here for null, and
 * comes back whatever happens. `run` must be synchronous: code that runs after an await would be in the wrong
 * namespace. Throws SysError: open ENOENT…, setns EINVAL when the file is no network namespace, setns EPERM.
 */
export function withNetns<T>(path: string | null, run: () => T): T {
  if (path === null) return run();
  const own = openNamespace(OWN_NETNS);
  try {
    const other = openNamespace(path);
    try {
      checked("setns", libc().setns(other, CLONE_NEWNET));
    } finally {
      closeSync(other);
    }
    try {
      const result = run();
      if (result instanceof Promise) throw new TypeError("withNetns takes a synchronous function");
      return result;
    } finally {
      checked("setns", libc().setns(own, CLONE_NEWNET));
    }
  } finally {
    closeSync(own);
  }
}

/** Inode of the network namespace that this thread is in. */
export const currentNetnsInode = (): number => Number(statSync(OWN_NETNS)?.ino);
