import { addressOf, allocate, cString, keepAlive } from "../memory.ts";
import { fileCall, SysError } from "../sys-error.ts";
import { constants, openSync } from "./file-system.ts";
import { closeFd, syscall } from "./libc.ts";

/** struct open_how (include/uapi/linux/openat2.h): flags, mode and resolve, 64 bits each. */
const OPEN_HOW_BYTES = 24;
/** include/uapi/asm-generic/fcntl.h */
const O_CLOEXEC = 0o2000000;
const RESOLVE_NO_MAGICLINKS = 0x02n;
const RESOLVE_NO_SYMLINKS = 0x04n;
const RESOLVE_IN_ROOT = 0x10n;

/** AT_FDCWD (include/uapi/linux/fcntl.h) */
const CURRENT_DIRECTORY = -100;

interface How {
  readonly flags: number;
  readonly resolve: bigint;
}

/** openat2(2), Linux 5.6. Throws SysError. */
function openAt(directory: number, path: string, { flags, resolve }: How): number {
  const how = allocate(OPEN_HOW_BYTES);
  const view = new DataView(how.buffer);
  view.setBigUint64(0, BigInt(flags | O_CLOEXEC), true);
  view.setBigUint64(16, resolve, true);
  const name = cString(path);
  const fd = syscall("openat2", directory, addressOf(name), addressOf(how), OPEN_HOW_BYTES);
  keepAlive(name, how);
  if (fd < 0) throw new SysError("openat2", -fd);
  return fd;
}

/**
 * Opens `path` as a process with root directory `root` would: neither symlinks nor `..` lead out of it. Throws SysError.
 */
export function openInRoot(root: string, path: string, flags: number): number {
  const directory = fileCall("open", () => openSync(root, constants.O_RDONLY | constants.O_DIRECTORY));
  try {
    return openAt(directory, path, { flags, resolve: RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS });
  } finally {
    closeFd(directory);
  }
}

/** Opens `path`, no part of which may be a symbolic link. Throws SysError (ELOOP: one is). */
export const openWithoutLinks = (path: string, flags: number): number =>
  openAt(CURRENT_DIRECTORY, path, { flags, resolve: RESOLVE_NO_SYMLINKS });
