import { DISPATCHER_TYPES } from "../domain/dispatcher.ts";
import * as fs from "../../ffi/safe/file-system.ts";
import { bindMount, mountBpffs, unmount } from "../../ffi/safe/mount.ts";
import { requireOwn } from "../errors/ownership.ts";
import { errnoName, ioFailure } from "../errors/sys-failure.ts";
import type { MapAccess } from "../domain/config.ts";
import type { PinPaths } from "../platform/pins.ts";
import { openDirectories } from "./access.ts";

/** BPF_FS_MAGIC (include/uapi/linux/magic.h). */
const BPF_FS_MAGIC = 0xcafe4a11;

/** Reports whether `path` exists and is in a bpffs. Asks the kernel, because text in /proc/mounts can be misleading. */
export function isBpffs(path: string): boolean {
  try {
    return fs.statfsSync(path).type === BPF_FS_MAGIC;
  } catch (thrown) {
    const name = errnoName(thrown);
    if (name === "ENOENT" || name === "ENOTDIR") return false;
    throw thrown;
  }
}

const DIRECTORIES = ["maps", "shared", "links", ...DISPATCHER_TYPES];

/** Reports whether a runtime directory is missing, or contains nothing that a writer creates first. */
export function isUntouched(runtimeDir: string): boolean {
  const stats = fs.lstatSync(runtimeDir);
  if (stats === undefined) return true;
  // A writer reports what is wrong with such a directory.
  if (!stats.isDirectory()) return false;
  return ["lock", "database", "fs"].every((name) => fs.lstatSync(`${runtimeDir}/${name}`) === undefined);
}

/** Pinned by the kernel itself in each bpffs it mounts (kernel/bpf/preload, CONFIG_BPF_PRELOAD). */
const PRELOADED = ["maps.debug", "progs.debug"];

/**
 * Removes the pin directories and unmounts the bpffs, unless there is a pin or anything else; then nothing is removed
 * and the paths found are returned. Throws BPFFS_UNAVAILABLE.
 */
export function removeDirectories({ root, testDispatchers }: PinPaths): string[] {
  const ours = [...DIRECTORIES.map((directory) => `${root}/${directory}`), testDispatchers];
  try {
    if (fs.lstatSync(root) === undefined) return [];
    const directories = fs
      .readdirSync(root)
      .filter((name) => !PRELOADED.includes(name))
      .map((name) => `${root}/${name}`);
    const inTheWay = directories.flatMap((path) => {
      if (!ours.includes(path) || fs.lstatSync(path)?.isDirectory() !== true) return [path];
      return fs.readdirSync(path).map((name) => `${path}/${name}`);
    });
    if (inTheWay.length > 0) return inTheWay.sort();
    for (const directory of directories) fs.rmdirSync(directory);
    unmountIfMounted(root);
    fs.rmdirSync(root);
    return [];
  } catch (thrown) {
    throw ioFailure(thrown, {
      action: "unmount",
      path: root,
      code: "BPFFS_UNAVAILABLE",
      hint: hintFor(errnoName(thrown) ?? "", "unmount"),
    });
  }
}

/** Counts the mounts at exactly that path (proc_pid_mountinfo(5), where blanks are escaped in octal). */
export function countMounts(path: string): number {
  const escaped = path.replaceAll(/[\s\\]/g, (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, "0")}`);
  const lines = fs.readTextSync("/proc/self/mountinfo").split("\n");
  return lines.filter((line) => line.split(" ")[4] === escaped).length;
}

/** Throws BPFFS_UNAVAILABLE. */
export function unmountTop(path: string): void {
  try {
    unmount(path);
  } catch (thrown) {
    const hint = hintFor(errnoName(thrown) ?? "", "unmount");
    throw ioFailure(thrown, { action: "unmount", path, code: "BPFFS_UNAVAILABLE", hint });
  }
}

/** EINVAL: it is not a mount point, but a directory in a bpffs mounted by somebody else. */
function unmountIfMounted(root: string): void {
  try {
    unmount(root);
  } catch (thrown) {
    if (errnoName(thrown) !== "EINVAL") throw thrown;
  }
}

/**
 * Creates the runtime directory (0750), mounts a bpffs in it, or the host's if that is one, and creates the directories for pins. Existing ones are
 * left unchanged, except for the configured group and mode. Returns whether it mounted one. Throws STATE_CONFLICT, BPFFS_UNAVAILABLE, INVALID_CONFIG.
 */
export function prepareDirectories(
  paths: PinPaths,
  { access, hostBpffs }: { readonly access: MapAccess; readonly hostBpffs: string | null },
): boolean {
  const { root } = paths;
  const runtimeDir = root.slice(0, root.lastIndexOf("/")) || "/";
  try {
    fs.mkdirSync(runtimeDir, { recursive: true, mode: 0o750 });
    requireOwnDirectory(runtimeDir);
    fs.mkdirSync(root, { recursive: true, mode: 0o700 });
    requireOwnDirectory(root);
    const isMissing = !isBpffs(root);
    if (isMissing) mount(root, hostBpffs);
    for (const directory of DIRECTORIES) fs.mkdirSync(`${root}/${directory}`, { recursive: true, mode: 0o700 });
    openDirectories(paths, access);
    return isMissing;
  } catch (thrown) {
    throw ioFailure(thrown, { action: "prepare", path: root, code: "BPFFS_UNAVAILABLE" });
  }
}

/** Whoever can modify this directory could redirect a program that runs as root to any path. */
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

function mount(target: string, hostBpffs: string | null): void {
  try {
    if (hostBpffs !== null && isBpffs(hostBpffs)) {
      // Whoever mounts one without options gives everyone the right to write there.
      (require("node:fs") as typeof import("node:fs")).chmodSync(hostBpffs, 0o700);
      bindMount(hostBpffs, target, { readOnly: false });
    } else mountBpffs(target);
  } catch (thrown) {
    const name = errnoName(thrown);
    if (name === null) throw thrown;
    const work = { action: "mount a BPF file system on", path: target, code: "BPFFS_UNAVAILABLE" } as const;
    throw ioFailure(thrown, { ...work, hint: hintFor(name, "mount") });
  }
}

/** Returns a hint for an error of mount(2) or umount(2). */
function hintFor(errno: string, what: "mount" | "unmount"): string | null {
  switch (errno) {
    case "EPERM":
    case "EACCES":
      return "run it as root with CAP_SYS_ADMIN, or mount a bpffs there before, with mode 0700 and owned by the user who runs bpfman; for a container, from the host";
    case "ENODEV":
      return "the kernel has no BPF file system: it needs CONFIG_BPF_SYSCALL";
    case "EBUSY":
      return what === "mount"
        ? "something else is mounted there: unmount it, or give another --runtime-dir"
        : "a process works in that directory, or has something in it open: fuser -m names it";
    default:
      return null;
  }
}
