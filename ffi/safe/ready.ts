/** Waits until there is something to read, reads as much as there is, and makes room for what is written. */
import { ERRNO } from "../errno.ts";
import { addressOf, allocate, keepAlive } from "../memory.ts";
import { SysError } from "../sys-error.ts";
import { constants, openSync } from "./file-system.ts";
import { syscall } from "./libc.ts";

const POLLIN = 1;
/** There is room to write. */
export const POLLOUT = 4;
const POLLFD_BYTES = 8;
const NS_PER_MS = 1_000_000n;

/**
 * Blocks this thread until one of the descriptors can be read or has nobody at its other end, a signal arrives, or the time
 * is over (poll(2)). Returns whether one of them caused it. Throws SysError.
 */
export function waitFor(fds: readonly number[], ms: number, events = POLLIN): boolean {
  const list = allocate(Math.max(1, fds.length * POLLFD_BYTES));
  const view = new DataView(list.buffer);
  for (const [i, fd] of fds.entries()) {
    view.setInt32(i * POLLFD_BYTES, fd, true);
    view.setInt16(i * POLLFD_BYTES + 4, events, true);
  }
  const time = new BigInt64Array(new ArrayBuffer(16));
  const ns = BigInt(Math.ceil(ms)) * NS_PER_MS;
  time[0] = ns / 1_000_000_000n;
  time[1] = ns % 1_000_000_000n;
  const timeout = new Uint8Array(time.buffer);
  const result = syscall("ppoll", addressOf(list), fds.length, addressOf(timeout), 0, 8);
  keepAlive(list, timeout);
  if (result < 0 && result !== -ERRNO.EINTR) throw new SysError("ppoll", -result);
  return result > 0;
}

/** Whether whoever reads from this descriptor's pipe or socket has gone. */
export const isAbandoned = (fd: number): boolean => waitFor([fd], 0, 0);

/** Reads up to `length` bytes of what there is now; null if there is nothing yet (O_NONBLOCK). Throws SysError. */
export function readSome(fd: number, length: number): Uint8Array | null {
  const bytes = allocate(length);
  const result = syscall("read", fd, addressOf(bytes), length);
  keepAlive(bytes);
  if (result === -ERRNO.EAGAIN || result === -ERRNO.EINTR) return null;
  if (result < 0) throw new SysError("read", -result);
  return bytes.subarray(0, result);
}

/** F_SETPIPE_SZ (include/uapi/linux/fcntl.h), and the most that users other than root get (/proc/sys/fs/pipe-max-size). */
const SET_PIPE_SIZE = 1031;
const PIPE_BYTES = 1024 * 1024;

/**
 * Enlarges a pipe from 64 KiB to 1 MiB, so that a reader that pauses does not stop the writer. Returns a second, non-blocking
 * descriptor of the pipe. Returns null if `fd` is not a pipe, or if the pipe cannot be enlarged or opened again. The flags of `fd`
 * are not changed, because other processes share them.
 */
export function openOwnEnd(fd: number): number | null {
  if (syscall("fcntl", fd, SET_PIPE_SIZE, PIPE_BYTES) < 0) return null;
  try {
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    return null;
  }
}

/** include/uapi/asm-generic/fcntl.h */
const GET_FLAGS = 3;
const SET_FLAGS = 4;

/**
 * Returns a function that makes the descriptor blocking again if it is so now. Its flags belong to everybody who has the
 * same pipe (open(2)), and Bun's streams change them: the next command of a shell would fail with EAGAIN.
 */
export function blockingAgain(fd: number): () => void {
  const flags = syscall("fcntl", fd, GET_FLAGS);
  return () => {
    if (flags >= 0 && (flags & constants.O_NONBLOCK) === 0) syscall("fcntl", fd, SET_FLAGS, flags);
  };
}
