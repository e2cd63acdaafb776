/** Cgroups, which are directories of a cgroup2 file system (cgroups(7)). Programs are attached to those of version 2 only. */
import * as fs from "../../../ffi/safe/file-system.ts";
import type { CgroupHook } from "../../domain/link.ts";
import { COMPLETION_ENTRIES_MAX } from "../../domain/limits.ts";
import { BpfmanError } from "../../errors/error.ts";
import { nearest, questionOf } from "../../errors/suggest.ts";
import { errnoName, sysPart } from "../../errors/sys-failure.ts";

/** CGROUP2_SUPER_MAGIC and CGROUP_SUPER_MAGIC (include/uapi/linux/magic.h). */
const CGROUP2_MAGIC = 0x63677270;
const CGROUP1_MAGIC = 0x27e0eb;

export interface OpenCgroup {
  readonly fd: number;
  /** The inode of the directory, which is the kernel's number of the cgroup (kernfs_id_ino, Linux 5.5). */
  readonly id: number;
  /** Without symbolic links. */
  readonly path: string;
}

/**
 * Calls `work` with the cgroup at `path`, then closes it. O_DIRECTORY opens no FIFO or device, and what is open is examined, so
 * that nothing else can take its place. Throws CGROUP_NOT_FOUND, PERMISSION_DENIED.
 */
export function withCgroup<T>(path: string, work: (cgroup: OpenCgroup) => T): T {
  const fd = open(path);
  try {
    const self = `/proc/self/fd/${fd}`;
    const { type } = fs.statfsSync(self);
    if (type !== CGROUP2_MAGIC) throw noCgroup(path, type);
    return work({ fd, id: Number(fs.fstatSync(fd).ino), path: fs.readlinkSync(self) });
  } finally {
    fs.closeSync(fd);
  }
}

/** Throws CGROUP_NOT_FOUND, PERMISSION_DENIED. */
export const findCgroup = (path: string): Omit<CgroupHook, "attachType"> =>
  withCgroup(path, (cgroup) => ({ cgroup: cgroup.path, cgroupId: cgroup.id }));

function open(path: string): number {
  try {
    return fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  } catch (thrown) {
    const parts = { ...sysPart(thrown), cause: thrown };
    switch (errnoName(thrown)) {
      case "ENOENT":
        throw notFound(path, "there is no such directory", parts);
      case "ENOTDIR":
        throw notFound(path, "it is not a directory", parts);
      case "EACCES":
      case "EPERM":
        throw new BpfmanError("PERMISSION_DENIED", `open cgroup "${path}": permission denied`, {
          details: { cgroup: path },
          ...parts,
        });
      default:
        throw notFound(path, "it cannot be opened", parts);
    }
  }
}

const baseName = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

type Parts = ConstructorParameters<typeof BpfmanError>[2];

function notFound(path: string, reason: string, parts: Parts = {}): BpfmanError {
  return new BpfmanError("CGROUP_NOT_FOUND", `open cgroup "${path}": ${reason}`, {
    details: { cgroup: path },
    hint: nearCgroup(path) ?? whereTheyAre(),
    ...parts,
  });
}

function noCgroup(path: string, type: number): BpfmanError {
  if (type !== CGROUP1_MAGIC) return notFound(path, "the directory is not a cgroup");
  return notFound(path, "it is a cgroup of version 1, which takes no programs", { hint: whereTheyAre() });
}

function whereTheyAre(): string {
  const roots = cgroupRoots();
  if (roots.length === 0) return "no cgroup2 file system is mounted: mount -t cgroup2 none DIRECTORY";
  return `cgroups of version 2 are ${roots.join(", ")} and the directories below`;
}

/** A name as systemd gives it (`/system.slice/nginx.service`, `nginx.service`) is found by its last part. */
function nearCgroup(path: string): string | null {
  const byName = new Map<string, string[]>();
  for (const each of cgroups()) byName.set(baseName(each), [...(byName.get(baseName(each)) ?? []), each]);
  const wanted = baseName(path.replace(/\/+$/, ""));
  const near = wanted === "" ? [] : nearest(wanted, byName.keys());
  return questionOf(near.flatMap((name) => byName.get(name) ?? []).slice(0, 3));
}

/** The mount points of cgroup2 file systems (proc_pid_mountinfo(5), where blanks are escaped in octal). */
function cgroupRoots(): string[] {
  const lines = fs.readTextSync("/proc/self/mountinfo").split("\n");
  const mounts = lines.filter((line) => / - cgroup2 /.test(line)).map((line) => line.split(" ")[4] ?? "");
  return mounts.map((path) =>
    path.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8))),
  );
}

/** Paths of all cgroups that begin with `prefix`, or lead there: each before those below it, the nearer ones first. */
export function* cgroups(prefix = ""): Iterable<string> {
  const queue = cgroupRoots();
  for (let next = 0; next < Math.min(queue.length, COMPLETION_ENTRIES_MAX); next++) {
    const path = queue[next] as string;
    if (path.startsWith(prefix)) yield path;
    if (!path.startsWith(prefix) && !prefix.startsWith(path)) continue;
    queue.push(...directoriesIn(path));
  }
}

function directoriesIn(path: string): string[] {
  try {
    // Loaded only here: readdir also returns the file types.
    const { readdirSync } = require("node:fs") as typeof import("node:fs");
    const entries = readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return entries.map(({ name }) => `${path}/${name}`).sort();
  } catch {
    // It was removed in the meantime, or may not be read.
    return [];
  }
}
