import { CString, type Library, type Pointer, read } from "bun:ffi";
import { cString } from "../memory.ts";
import { LIBC, LIBC_SYMBOLS, SELDOM_SYMBOLS } from "../raw/libc-symbols.ts";
import { type SyscallName, syscallNumber } from "../raw/processors.ts";
import { SysError } from "../sys-error.ts";
import { LibraryError, openLibrary } from "./library.ts";

type Libc = Library<typeof LIBC_SYMBOLS>["symbols"];

let opened: Libc | undefined;

/** libc, opened on first use. Throws LibraryError. */
export function libc(): Libc {
  opened ??= openLibrary(LIBC, LIBC_SYMBOLS);
  return opened;
}

let seldom: Library<typeof SELDOM_SYMBOLS>["symbols"] | undefined;

/** The rest of libc that bpfman calls. Throws LibraryError. */
export function seldomLibc(): NonNullable<typeof seldom> {
  seldom ??= openLibrary(LIBC, SELDOM_SYMBOLS);
  return seldom;
}

let errnoAddress: Pointer | undefined;

/** errno of this thread's last failed call. Read it right after the call, before anything else runs. */
export function lastErrno(): number {
  errnoAddress ??= libc().__errno_location() as Pointer;
  return read.i32(errnoAddress, 0);
}

/** Returns `result` of a libc call. Throws SysError with errno if it is negative. */
export function checked(call: string, result: number): number {
  if (result < 0) throw new SysError(call, lastErrno());
  return result;
}

/** An argument of a system call: a number, a descriptor or an address. */
export type Word = number | bigint;

/** syscall(2). Arguments are truncated to 64 bits; missing ones are 0. Returns the negative errno on failure. */
export function syscall(name: SyscallName, a: Word = 0, b: Word = 0, c: Word = 0, d: Word = 0, e: Word = 0): number {
  const result = Number(libc().syscall(syscallNumber(name), a, b, c, d, e));
  return result < 0 ? -lastErrno() : result;
}

/** Reads the C string at an address returned by native code. */
export const textAt = (address: Pointer | bigint): string => new CString(Number(address) as Pointer).toString();

/** Closes a file descriptor. Ignores errors, because the descriptor is released either way (close(2)). */
export function closeFd(fd: number): void {
  if (fd >= 0) libc().close(fd);
}

const RTLD_NOW = 2;

/** Makes the dynamic linker load `library` by soname. Throws LibraryError `missing` with the linker's own message. */
export function findLibrary(library: string): void {
  if (seldomLibc().dlopen(cString(library), RTLD_NOW) !== null) return;
  const reason = seldomLibc().dlerror();
  const text = reason === null ? `${library}: not found` : textAt(reason);
  throw new LibraryError("missing", library, { text });
}

/**
 * Returns the address of the function that a name refers to in this process; null if there is none. For an indirect
 * function (IFUNC), that is the implementation that its resolver chose.
 */
export function functionAddress(name: string): number | null {
  const address = seldomLibc().dlsym(null, cString(name));
  return address === null ? null : Number(address);
}

const CLOCK_REALTIME = 0;
const CLOCK_BOOTTIME = 7;

/** clock_gettime(2), in nanoseconds. */
function clockNs(clock: number): bigint {
  const time = new BigInt64Array(new ArrayBuffer(16));
  checked("clock_gettime", libc().clock_gettime(clock, time));
  return (time[0] ?? 0n) * 1_000_000_000n + (time[1] ?? 0n);
}

const CLOCK_READINGS = 3;

/**
 * Returns how far CLOCK_REALTIME is ahead of CLOCK_BOOTTIME, in nanoseconds: the wall-clock time of boot. In the kernel
 * this is a constant that changes only when the clock is set. Read from user space, it is accurate to the duration of
 * three system calls; the best of several readings is returned.
 */
export function bootRealtimeNs(): bigint {
  let best = { offset: 0n, window: -1n };
  for (let reading = 0; reading < CLOCK_READINGS; reading++) {
    const before = clockNs(CLOCK_BOOTTIME);
    const wall = clockNs(CLOCK_REALTIME);
    const window = clockNs(CLOCK_BOOTTIME) - before;
    if (best.window < 0n || window < best.window) best = { offset: wall - before - window / 2n, window };
  }
  return best.offset;
}
