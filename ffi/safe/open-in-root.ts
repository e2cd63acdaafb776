import { addressOf, allocate, cString, keepAlive } from "../memory.ts";
import { fileCall, SysError } from "../sys-error.ts";
import { constants, openSync } from "./file-system.ts";
import { closeFd, syscall } from "./libc.ts";

/** struct open_how (include/uapi/linux/openat2.h): flags, mode and resolve, 64 bits each. */
const OPEN_HOW_BYTES = 24;
/** include/uapi/asm-generic/fcntl.h */
const O_CLOEXEC = 0o2000000;
const RESOLVE_NO_MAGICLINKS = 0x02n;
const RESOLVE_IN_ROOT = 0x10n;

/**
 * Opens `path` as a process with root directory `root` would: neither symlinks nor `..` lead out of it. openat2(2),
 * Linux 5.6. Throws SysError.
 */
export function openInRoot(root: string, path: string, flags: number): number {
  const directory = fileCall("open", () => openSync(root, constants.O_RDONLY | constants.O_DIRECTORY));
  const how = allocate(OPEN_HOW_BYTES);
  const view = new DataView(how.buffer);
  view.setBigUint64(0, BigInt(flags | O_CLOEXEC), true);
  view.setBigUint64(16, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS, true);
  const name = cString(path);
  try {
    const fd = syscall("openat2", directory, addressOf(name), addressOf(how), OPEN_HOW_BYTES);
    keepAlive(name, how);
    if (fd < 0) throw new SysError("openat2", -fd);
    return fd;
  } finally {
    closeFd(directory);
  }
}
