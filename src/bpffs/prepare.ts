import { DISPATCHER_TYPES } from "../domain/dispatcher.ts";
import * as fs from "../../ffi/safe/file-system.ts";
import { mountBpffs } from "../../ffi/safe/mount.ts";
import { requireOwn } from "../errors/ownership.ts";
import { errnoName, ioFailure } from "../errors/sys-failure.ts";
import type { MapAccess } from "../domain/config.ts";
import type { PinPaths } from "../platform/pins.ts";
import { openDirectories } from "./access.ts";

/** BPF_FS_MAGIC (include/uapi/linux/magic.h). */
const BPF_FS_MAGIC = 0xcafe4a11;

/** Whether `path` is there and lies in a BPF file system. The kernel's answer; text in /proc/mounts may deceive. */
export function isBpffs(path: string): boolean {
  try {
    return fs.statfsSync(path).type === BPF_FS_MAGIC;
  } catch (thrown) {
    const name = errnoName(thrown);
    if (name === "ENOENT" || name === "ENOTDIR") return false;
    throw thrown;
  }
}

/**
 * Makes the runtime folder (0750), a BPF file system in it, and the folders for pins. What is there already stays as it
 * is, but for the group and mode that the configuration gives. Throws STATE_CONFLICT, BPFFS_UNAVAILABLE, INVALID_CONFIG.
 */
export function prepareFolders(paths: PinPaths, access: MapAccess): void {
  const { root } = paths;
  const runtimeDir = root.slice(0, root.lastIndexOf("/")) || "/";
  try {
    fs.mkdirSync(runtimeDir, { recursive: true, mode: 0o750 });
    requireOwnDirectory(runtimeDir);
    fs.mkdirSync(root, { recursive: true, mode: 0o700 });
    requireOwnDirectory(root);
    if (!isBpffs(root)) mount(root);
    for (const folder of ["maps", "shared", "links", ...DISPATCHER_TYPES])
      fs.mkdirSync(`${root}/${folder}`, { recursive: true, mode: 0o700 });
    openDirectories(paths, access);
  } catch (thrown) {
    throw ioFailure(thrown, { action: "prepare", path: root, code: "BPFFS_UNAVAILABLE" });
  }
}

/** Whoever can change this directory could lead a program that runs as root to any other place. */
export function requireOwnDirectory(path: string): void {
  const stats = fs.lstatSync(path);
  if (stats === undefined) return;
  requireOwn(
    {
      ...{ action: "use the runtime directory", path, kind: "directory", code: "STATE_CONFLICT" },
      otherwise: "give another --runtime-dir",
    },
    stats,
  );
}

function mount(target: string): void {
  try {
    mountBpffs(target);
  } catch (thrown) {
    const name = errnoName(thrown);
    if (name === null) throw thrown;
    const work = { action: "mount a BPF file system on", path: target, code: "BPFFS_UNAVAILABLE" } as const;
    throw ioFailure(thrown, { ...work, hint: hintFor(name) });
  }
}

/** mount(2) */
function hintFor(errno: string): string | null {
  switch (errno) {
    case "EPERM":
    case "EACCES":
      return "run it as root with CAP_SYS_ADMIN; in a container, mount a bpffs there from the host";
    case "ENODEV":
      return "the kernel has no BPF file system: it needs CONFIG_BPF_SYSCALL";
    case "EBUSY":
      return "something else is mounted there: unmount it, or give another --runtime-dir";
    default:
      return null;
  }
}
