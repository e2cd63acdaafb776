/**
 * The part of node:fs that every command needs, under the same names and with the same behaviour, as system calls.
 * Loading node:fs costs 1.2 ms and 6 MiB, a third of what an empty program takes (docs/decisions.md). This file exists
 * for that reason alone: it covers only what common commands need, and nothing else may be added beside it. Code that
 * runs rarely loads node:fs on demand (test/unit/ffi/file-system.test.ts holds the list).
 *
 * Throws errors like those of node:fs (`code`, `errno`, `syscall`, `path`), and LibraryError if libc cannot be called.
 */
import { ERRNO, errnoName, errnoText } from "../errno.ts";
import { DIRENT, STATFS, STATX } from "../layout/generated-files.ts";
import { decode } from "../layout/struct.ts";
import { addressOf, allocate, copyOf, cString, keepAlive, type Memory } from "../memory.ts";
import { closeFd, syscall, type Word } from "./libc.ts";
import { OPEN_FLAGS, type SyscallName } from "../raw/processors.ts";

/** include/uapi/asm-generic/fcntl.h */
export const constants = {
  O_RDONLY: 0,
  O_WRONLY: 1,
  O_RDWR: 2,
  O_APPEND: 0o2000,
  O_CREAT: 0o100,
  O_EXCL: 0o200,
  O_NOCTTY: 0o400,
  O_TRUNC: 0o1000,
  O_NONBLOCK: 0o4000,
  ...OPEN_FLAGS[process.arch === "arm64" ? "arm64" : "x64"],
  O_PATH: 0o10000000,
  W_OK: 2,
  R_OK: 4,
} as const;
const O_CLOEXEC = 0o2000000;

const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_REMOVEDIR = 0x200;
const AT_EMPTY_PATH = 0x1000;

/** Creates the error node:fs would throw. */
function failure(call: string, errno: number, path: string | null): Error {
  const code = errnoName(errno);
  const text = errnoText(errno);
  const about = path === null ? "" : ` '${path}'`;
  const error = new Error(`${code}: ${text.charAt(0).toLowerCase()}${text.slice(1)}, ${call}${about}`);
  return Object.assign(error, { code, errno: -errno, syscall: call, ...(path === null ? {} : { path }) });
}

/** Makes a system call and retries on EINTR. Returns the negative errno on failure. */
function call(name: SyscallName, a: Word = 0, b: Word = 0, c: Word = 0, d: Word = 0, e: Word = 0): number {
  for (;;) {
    const result = syscall(name, a, b, c, d, e);
    if (result !== -ERRNO.EINTR) return result;
  }
}

/** Makes a system call on a descriptor. Errors name the call `said`. */
function onFd(said: string, name: SyscallName, fd: number, b: Word = 0, c: Word = 0, d: Word = 0, e: Word = 0): number {
  const result = call(name, fd, b, c, d, e);
  if (result < 0) throw failure(said, -result, null);
  return result;
}

/** PATH_MAX (include/uapi/linux/limits.h), which counts the NUL. */
const PATH_BYTES = 4096;
const encoder = new TextEncoder();
const decoder = new TextDecoder();
let pathMemory: Memory | undefined;
let pathAddress = 0;

/** Calls `at` with the address of `path` as a C string, which is valid during that call. */
function tryPath(path: string, at: (address: number) => number): number {
  if (pathMemory === undefined) {
    pathMemory = allocate(PATH_BYTES);
    pathAddress = addressOf(pathMemory);
  }
  const { read, written } = encoder.encodeInto(path, pathMemory);
  if (read === path.length && written < PATH_BYTES && !path.includes("\0")) {
    pathMemory[written] = 0;
    return at(pathAddress);
  }
  const name = cString(path);
  const result = at(addressOf(name));
  keepAlive(name);
  return result;
}

function onPath(said: string, path: string, at: (address: number) => number): number {
  const result = tryPath(path, at);
  if (result < 0) throw failure(said, -result, path);
  return result;
}

/** Sets O_CLOEXEC, as node:fs does. */
export const openSync = (path: string, flags: number, mode = 0o666): number =>
  onPath("open", path, (address) => call("openat", AT_FDCWD, address, flags | O_CLOEXEC, mode));

export const closeSync = (fd: number): void => closeFd(fd);

/** Reads up to `length` bytes from `offset`; fewer at the end of the file. */
export function readAtSync(fd: number, offset: number, length: number): Uint8Array {
  if (length === 0) return new Uint8Array();
  const bytes = allocate(length);
  const start = addressOf(bytes);
  let filled = 0;
  while (filled < length) {
    const count = onFd("read", "pread64", fd, start + filled, length - filled, offset + filled);
    if (count === 0) break;
    filled += count;
  }
  keepAlive(bytes);
  return bytes.subarray(0, filled);
}

const WRITE_BYTES_MAX = 64 * 1024;
/** Memory for large parts, kept so that a stream of them makes no garbage. */
let outgoing: Memory | undefined;

function keptCopyOf(bytes: Uint8Array): Memory {
  outgoing ??= allocate(WRITE_BYTES_MAX);
  outgoing.set(bytes);
  return outgoing;
}

/**
 * Writes at most 64 KiB of `bytes`. They are copied, because a small array allocated elsewhere may move (memory.ts).
 */
export function writeSync(fd: number, bytes: Uint8Array): number {
  const part = bytes.subarray(0, WRITE_BYTES_MAX);
  const memory = part.length <= SCRATCH_BYTES ? copyOf(part) : keptCopyOf(part);
  const count = onFd("write", "write", fd, addressOf(memory), part.length);
  keepAlive(memory);
  return count;
}

/** Writes all of `text`. */
export function writeTextSync(fd: number, text: string): void {
  for (let rest = new TextEncoder().encode(text); rest.length > 0; ) rest = rest.subarray(writeSync(fd, rest));
}

/** Waits until what was written is on the disk. */
export const fsyncSync = (fd: number): void => {
  onFd("fsync", "fsync", fd);
};

export const ftruncateSync = (fd: number, length: number): void => {
  onFd("ftruncate", "ftruncate", fd, length);
};

/** Most that one call reads of a text or a directory. */
const SCRATCH_BYTES = 32 * 1024;
let scratch: Memory | undefined;

/** Memory for the contents of one call, which are taken out of it before the next one. */
function scratchMemory(): Memory {
  scratch ??= allocate(SCRATCH_BYTES);
  return scratch;
}

/** Reads a whole file. Meant for small files whose size is unknown in advance, such as those in /proc. */
export function readTextSync(path: string): string {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOCTTY);
  try {
    const chunk = scratchMemory();
    const start = addressOf(chunk);
    const chunks: Uint8Array[] = [];
    for (;;) {
      let filled = 0;
      while (filled < SCRATCH_BYTES) {
        const count = onFd("read", "read", fd, start + filled, SCRATCH_BYTES - filled);
        if (count === 0) break;
        filled += count;
      }
      // Usually all of it fits.
      if (filled < SCRATCH_BYTES && chunks.length === 0) return decoder.decode(chunk.subarray(0, filled));
      chunks.push(chunk.slice(0, filled));
      if (filled < SCRATCH_BYTES) return decoder.decode(Buffer.concat(chunks));
    }
  } finally {
    closeSync(fd);
  }
}

const S_IFMT = 0o170000;
const KINDS = { link: 0o120000, file: 0o100000, directory: 0o040000, characterDevice: 0o020000 } as const;

/** What statx(2) returned. Decoded when asked for, because a listing looks at thousands of files. */
class Stats {
  readonly #view: DataView;

  constructor(memory: Memory) {
    this.#view = new DataView(memory.buffer.slice(0, STATX.size));
  }

  get mode(): number {
    return this.#view.getUint16(STATX.fields.stx_mode.offset, true);
  }
  get uid(): number {
    return this.#view.getUint32(STATX.fields.stx_uid.offset, true);
  }
  get nlink(): number {
    return this.#view.getUint32(STATX.fields.stx_nlink.offset, true);
  }
  /** Bytes. */
  get size(): number {
    return Number(this.#view.getBigUint64(STATX.fields.stx_size.offset, true));
  }
  get ino(): bigint {
    return this.#view.getBigUint64(STATX.fields.stx_ino.offset, true);
  }
  get dev(): number {
    const { stx_dev_major: major, stx_dev_minor: minor } = STATX.fields;
    return this.#view.getUint32(major.offset, true) * 2 ** 20 + this.#view.getUint32(minor.offset, true);
  }
  /** mtime, in nanoseconds since 1970. Any process that may write the file can set it. */
  modifiedAt(): bigint {
    return this.#time(STATX.fields.stx_mtime);
  }
  /** ctime, in nanoseconds since 1970. Only the kernel sets it. */
  changedAt(): bigint {
    return this.#time(STATX.fields.stx_ctime);
  }
  /** ctime, as a Date counts: a listing asks for thousands, and a bigint takes long. */
  changedMs(): number {
    const { offset } = STATX.fields.stx_ctime;
    const seconds = this.#view.getInt32(offset + 4, true) * 2 ** 32 + this.#view.getUint32(offset, true);
    return seconds * 1000 + Math.floor(this.#view.getUint32(offset + 8, true) / 1_000_000);
  }
  isFile(): boolean {
    return this.#is(KINDS.file);
  }
  isDirectory(): boolean {
    return this.#is(KINDS.directory);
  }
  isSymbolicLink(): boolean {
    return this.#is(KINDS.link);
  }
  isCharacterDevice(): boolean {
    return this.#is(KINDS.characterDevice);
  }

  #is(kind: number): boolean {
    return (this.mode & S_IFMT) === kind;
  }

  /** struct statx_timestamp: 64 bits of seconds, 32 bits of nanoseconds. */
  #time({ offset }: { readonly offset: number }): bigint {
    return this.#view.getBigInt64(offset, true) * 1_000_000_000n + BigInt(this.#view.getUint32(offset + 8, true));
  }
}
export type { Stats };

/** STATX_BASIC_STATS, and the full size of struct statx, which is fixed (include/uapi/linux/stat.h). */
const STATX_BASIC_STATS = 0x7ff;
const STATX_BYTES = 256;

let statMemory: Memory | undefined;
let statAddress = 0;

/** Calls statx(2); `look` gets the address for what it returns. Returns what is there, or the negative errno. */
function statted(look: (into: number) => number): Stats | number {
  if (statMemory === undefined) {
    statMemory = allocate(STATX_BYTES);
    statAddress = addressOf(statMemory);
  }
  const result = look(statAddress);
  return result < 0 ? result : new Stats(statMemory);
}

/** Returns undefined if the file does not exist or a component of the path is not a directory. */
function look(said: string, path: string, flags: number): Stats | undefined {
  const found = statted((into) =>
    tryPath(path, (address) => call("statx", AT_FDCWD, address, flags, STATX_BASIC_STATS, into)),
  );
  if (typeof found !== "number") return found;
  if (found === -ERRNO.ENOENT || found === -ERRNO.ENOTDIR) return undefined;
  throw failure(said, -found, path);
}

/** Returns undefined if the file does not exist. */
export const statSync = (path: string): Stats | undefined => look("stat", path, 0);
/** Does not follow symlinks. */
export const lstatSync = (path: string): Stats | undefined => look("lstat", path, AT_SYMLINK_NOFOLLOW);

export function fstatSync(fd: number): Stats {
  const found = statted((into) =>
    tryPath("", (address) => call("statx", fd, address, AT_EMPTY_PATH, STATX_BASIC_STATS, into)),
  );
  if (typeof found !== "number") return found;
  throw failure("fstat", -found, null);
}

/** Returns false if the file does not exist or existence cannot be determined. */
export function existsSync(path: string): boolean {
  if (path.includes("\0")) return false;
  return tryPath(path, (address) => call("faccessat", AT_FDCWD, address, 0)) === 0;
}

export const accessSync = (path: string, mode: number): void => {
  onPath("access", path, (address) => call("faccessat", AT_FDCWD, address, mode));
};

/** Creates the directory and its missing parents. Leaves existing ones unchanged. */
export function mkdirSync(path: string, { mode }: { readonly recursive: true; readonly mode: number }): void {
  // Usually it exists.
  if (statSync(path)?.isDirectory() === true) return;
  const make = (directory: string): number => tryPath(directory, (address) => call("mkdirat", AT_FDCWD, address, mode));
  let result = make(path);
  if (result === -ERRNO.ENOENT) {
    const above = path.replace(/\/+[^/]*\/*$/, "");
    if (above !== "" && above !== path) {
      mkdirSync(above, { recursive: true, mode });
      result = make(path);
    }
  }
  if (result >= 0) return;
  if (result === -ERRNO.EEXIST && statSync(path)?.isDirectory() === true) return;
  throw failure("mkdir", -result, path);
}

export const unlinkSync = (path: string): void => {
  onPath("unlink", path, (address) => call("unlinkat", AT_FDCWD, address, 0));
};

export const rmdirSync = (path: string): void => {
  onPath("rmdir", path, (address) => call("unlinkat", AT_FDCWD, address, AT_REMOVEDIR));
};

export function renameSync(from: string, to: string): void {
  const target = cString(to);
  onPath("rename", from, (address) => call("renameat2", AT_FDCWD, address, AT_FDCWD, addressOf(target), 0));
  keepAlive(target);
}

/** Sets the access and modification times to now. */
export const touchSync = (path: string): void => {
  onPath("utime", path, (address) => call("utimensat", AT_FDCWD, address, 0, 0));
};

/** Paths longer than PATH_MAX (include/uapi/linux/limits.h) are truncated, as by readlink(2). */
const PATH_MAX = 4096;

export function readlinkSync(path: string): string {
  const target = allocate(PATH_MAX);
  const into = addressOf(target);
  const length = onPath("readlink", path, (address) => call("readlinkat", AT_FDCWD, address, into, PATH_MAX));
  return decoder.decode(target.subarray(0, length));
}

/** struct statfs, the same on 64-bit machines (include/uapi/asm-generic/statfs.h). */
const STATFS_BYTES = 120;

export interface FileSystem {
  /** The magic number. */
  readonly type: number;
  readonly blockBytes: number;
  /** Blocks that users other than root may take. */
  readonly freeBlocks: number;
}

/** Returns what the kernel tells about the file system that holds `path`. */
export function statfsSync(path: string): FileSystem {
  const memory = allocate(STATFS_BYTES);
  const into = addressOf(memory);
  onPath("statfs", path, (address) => call("statfs", address, into));
  keepAlive(memory);
  const found = decode(STATFS, memory);
  const numberOf = (name: "f_type" | "f_bsize" | "f_bavail"): number => Number(found.u64(name));
  return { type: numberOf("f_type"), blockBytes: numberOf("f_bsize"), freeBlocks: numberOf("f_bavail") };
}

const ASCII = /^\p{ASCII}*$/u;

/** Returns what getdents64(2) filled in. `nameAt` reads the name between two offsets. */
function namesIn(bytes: Uint8Array, characters: string, nameAt: (begin: number, end: number) => string): string[] {
  const { d_name: name, d_reclen: length } = DIRENT.fields;
  const names: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const begin = at + name.offset;
    names.push(nameAt(begin, characters.indexOf("\0", begin)));
    at += (bytes[at + length.offset] as number) | ((bytes[at + length.offset + 1] as number) << 8);
  }
  return names;
}

/**
 * Decodes names, of which a directory can have thousands: all at once, if they are ASCII. Without Buffer, whose first use costs as
 * much as reading a hundred names.
 */
function decodedNames(bytes: Uint8Array): string[] {
  const characters = new TextDecoder("latin1").decode(bytes);
  const names = namesIn(bytes, characters, (begin, end) => characters.slice(begin, end));
  if (ASCII.test(names.join(""))) return names;
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  return namesIn(bytes, characters, (begin, end) => decoder.decode(bytes.subarray(begin, end)));
}

/** Returns the names in a directory, without `.` and `..`, in no particular order. */
export function readdirSync(path: string): string[] {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const names: string[] = [];
    const entries = scratchMemory();
    for (;;) {
      const filled = onFd("scandir", "getdents64", fd, addressOf(entries), SCRATCH_BYTES);
      if (filled === 0) return names;
      for (const name of decodedNames(entries.subarray(0, filled))) if (name !== "." && name !== "..") names.push(name);
    }
  } finally {
    closeSync(fd);
  }
}
