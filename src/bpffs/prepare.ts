import { DISPATCHER_TYPES } from "../domain/dispatcher.ts";
import * as fs from "../../ffi/safe/file-system.ts";
import { mountBpffs } from "../../ffi/safe/mount.ts";
import { BpfmanError } from "../errors/error.ts";
import { errnoName, reasonOf, sysPart } from "../errors/sys-failure.ts";
import type { PinPaths } from "../platform/pins.ts";

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
 * is. Throws STATE_CONFLICT, BPFFS_UNAVAILABLE.
 */
export function prepareFolders({ root }: PinPaths): void {
  const runtimeDir = root.slice(0, root.lastIndexOf("/")) || "/";
  try {
    fs.mkdirSync(runtimeDir, { recursive: true, mode: 0o750 });
    refuseShared(runtimeDir);
    fs.mkdirSync(root, { recursive: true, mode: 0o700 });
    refuseShared(root);
    if (!isBpffs(root)) mount(root);
    for (const folder of ["maps", "shared", "links", ...DISPATCHER_TYPES])
      fs.mkdirSync(`${root}/${folder}`, { recursive: true, mode: 0o700 });
  } catch (thrown) {
    if (thrown instanceof BpfmanError) throw thrown;
    throw new BpfmanError("BPFFS_UNAVAILABLE", `prepare "${root}": ${reasonOf(thrown)}`, {
      details: { path: root },
      ...sysPart(thrown),
      cause: thrown,
    });
  }
}

/** Whoever can change this folder could lead a program that runs as root to any other place. */
function refuseShared(folder: string): void {
  const stat = fs.lstatSync(folder);
  const user = process.geteuid?.() ?? 0;
  const mode = (stat?.mode ?? 0) & 0o7777;
  const problem =
    stat === undefined
      ? "it has gone"
      : stat.isSymbolicLink()
        ? "it is a symbolic link"
        : !stat.isDirectory()
          ? "it is no folder"
          : stat.uid !== user && stat.uid !== 0
            ? `it belongs to user ${stat.uid}`
            : (mode & 0o022) !== 0
              ? `other users can write to it (mode ${mode.toString(8)})`
              : null;
  if (problem === null) return;
  throw new BpfmanError("STATE_CONFLICT", `use folder "${folder}": ${problem}`, {
    details: { path: folder, mode: mode.toString(8), uid: stat?.uid },
    hint: `it must be a folder that only root can write to: mend it, or give another --runtime-dir`,
  });
}

function mount(target: string): void {
  try {
    mountBpffs(target);
  } catch (thrown) {
    const name = errnoName(thrown);
    if (name === null) throw thrown;
    const hint = hintFor(name);
    throw new BpfmanError("BPFFS_UNAVAILABLE", `mount a BPF file system on "${target}": ${reasonOf(thrown)}`, {
      details: { path: target },
      ...(hint === null ? {} : { hint }),
      ...sysPart(thrown),
      cause: thrown,
    });
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
