import { addressOf, cString, keepAlive } from "../memory.ts";
import { SysError } from "../sys-error.ts";
import { statfsSync } from "./file-system.ts";
import { checked, closeFd, seldomLibc, syscall } from "./libc.ts";

const MS_RDONLY = 1n;
const MS_NOSUID = 2n;
const MS_NODEV = 4n;
const MS_NOEXEC = 8n;
const MS_REMOUNT = 32n;
const MS_BIND = 4096n;
const NOTHING_RUNS = MS_NOSUID | MS_NODEV | MS_NOEXEC;

/** Mounts a bpffs (nosuid, nodev, noexec, 0700) on the directory `target`. Throws SysError. */
export function mountBpffs(target: string): void {
  checked(
    "mount",
    seldomLibc().mount(cString("bpf"), cString(target), cString("bpf"), NOTHING_RUNS, cString("mode=0700")),
  );
}

/** Mounts the directory `source` a second time, on `target`, without what is mounted below it. Throws SysError. mount(2) */
export function bindMount(source: string, target: string, { readOnly }: { readonly readOnly: boolean }): void {
  const bind = (flags: bigint) =>
    checked("mount", seldomLibc().mount(cString(source), cString(target), null, MS_BIND | flags, null));
  bind(0n);
  if (!readOnly) return;
  try {
    // A bind mount takes its own flags only when it is mounted again.
    bind(MS_REMOUNT | MS_RDONLY | NOTHING_RUNS);
  } catch (thrown) {
    unmount(target);
    throw thrown;
  }
}

/** Do not follow symlinks: only a mount at exactly that path is unmounted. umount(2) */
const UMOUNT_NOFOLLOW = 8;

/** Unmounts what is mounted on the directory `target`. Throws SysError (EINVAL: not a mount point; EBUSY: in use). */
export function unmount(target: string): void {
  const path = cString(target);
  const result = syscall("umount2", addressOf(path), UMOUNT_NOFOLLOW);
  keepAlive(path);
  systemCall("umount2", result);
}

/** Kernel file systems: their magic number (include/uapi/linux/magic.h) and usual mount points. */
const KERNEL_FILE_SYSTEMS = {
  bpf: { magic: 0xcafe4a11, mounts: ["/sys/fs/bpf"] },
  tracefs: { magic: 0x74726163, mounts: ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"] },
  securityfs: { magic: 0x73636673, mounts: ["/sys/kernel/security"] },
} as const;

/** A file system that can be read below `path`. */
export interface OpenFileSystem {
  readonly path: string;
  close(): void;
}

/**
 * Opens a kernel file system: where it is mounted, otherwise as a detached mount, which is read through its descriptor
 * and disappears when that is closed. Throws SysError (fsopen ENODEV: the kernel lacks the file system).
 */
export function openFileSystem(type: keyof typeof KERNEL_FILE_SYSTEMS): OpenFileSystem {
  const { magic, mounts } = KERNEL_FILE_SYSTEMS[type];
  for (const path of mounts) if (hasMagic(path, magic)) return { path, close: () => {} };
  const mount = detachedMount(type);
  return { path: `/proc/self/fd/${mount}`, close: () => closeFd(mount) };
}

function hasMagic(path: string, magic: number): boolean {
  try {
    return statfsSync(path).type === magic;
  } catch {
    return false;
  }
}

const FSOPEN_CLOEXEC = 1;
const FSCONFIG_CMD_CREATE = 6;
const FSMOUNT_CLOEXEC = 1;

/** fsopen(2), fsconfig(2), fsmount(2), Linux 5.2. Returns the descriptor of a detached mount. */
function detachedMount(type: string): number {
  const name = cString(type);
  const context = systemCall("fsopen", syscall("fsopen", addressOf(name), FSOPEN_CLOEXEC));
  keepAlive(name);
  try {
    systemCall("fsconfig", syscall("fsconfig", context, FSCONFIG_CMD_CREATE));
    return systemCall("fsmount", syscall("fsmount", context, FSMOUNT_CLOEXEC));
  } finally {
    closeFd(context);
  }
}

function systemCall(call: string, result: number): number {
  if (result < 0) throw new SysError(call, -result);
  return result;
}
