import * as fs from "../../ffi/safe/file-system.ts";
import { bindMount, mountBpffs, unmount } from "../../ffi/safe/mount.ts";
import { openWithoutLinks } from "../../ffi/safe/open-in-root.ts";
import type { VolumeRecord } from "../domain/volume.ts";
import { BpfmanError } from "../errors/error.ts";
import { requireOwn } from "../errors/ownership.ts";
import { errnoName, failing, ioFailure, reasonOf, sysFailure } from "../errors/sys-failure.ts";
import type { VolumesPort } from "../platform/volumes.ts";
import { isBpffs, requireOwnDirectory } from "./prepare.ts";

/** Volumes are rare, and most processes need none of it in memory. */
const nodeFs = () => require("node:fs") as typeof import("node:fs");

const { O_DIRECTORY, O_PATH } = fs.constants;
const DIRECTORY_MODE = 0o750;
const MAP_MODE = 0o660;

const parentOf = (path: string): string => path.slice(0, path.lastIndexOf("/")) || "/";

/** Volumes of a runtime directory. Nothing is mounted within any of the `own` directories. */
export function openVolumes(runtimeDir: string, own: readonly string[]): VolumesPort {
  const root = `${runtimeDir}/csi/fs`;
  const placeOf = ({ id }: Pick<VolumeRecord, "id">): string => `${root}/${id}`;
  /** What is bound onto the target: beside it may be pins of the kernel's own (PRELOADED in prepare.ts). */
  const boundOf = (volume: Pick<VolumeRecord, "id">): string => `${placeOf(volume)}/maps`;

  return {
    requireFree(targetPath) {
      if (own.some((directory) => targetPath === directory || targetPath.startsWith(`${directory}/`))) {
        throw refused(targetPath, "it is in one of bpfman's own directories");
      }
      atTarget(targetPath, (place, beside) => {
        // As in another volume, which could not be unmounted then.
        if (isBpffs(parentOf(place))) throw refused(targetPath, "it is in a BPF file system");
        const stats = fs.lstatSync(place);
        if (stats !== undefined) requireEmpty(targetPath, place, { isMounted: stats.dev !== beside.dev, stats });
      });
    },
    make({ id, group }) {
      const place = placeOf({ id });
      for (const directory of [runtimeDir, `${runtimeDir}/csi`, root]) {
        failing("make directory", directory, () => fs.mkdirSync(directory, { recursive: true, mode: 0o700 }));
        requireOwnDirectory(directory);
      }
      failing("make directory", place, () => fs.mkdirSync(place, { recursive: true, mode: 0o700 }));
      try {
        return mountAt(place, group);
      } catch (thrown) {
        clear(place);
        throw thrown;
      }
    },
    mapPath: (volume, map) => `${boundOf(volume)}/${map}`,
    openMap({ id, group }, map) {
      if (group === null) return;
      const path = `${boundOf({ id })}/${map}`;
      failing("set group and mode of", path, () => {
        // First the mode would be for the group that it has now.
        nodeFs().chownSync(path, -1, group);
        nodeFs().chmodSync(path, MAP_MODE);
      });
    },
    publish(volume) {
      const { targetPath, readOnly } = volume;
      atTarget(targetPath, (place) =>
        failing("mount the volume on", targetPath, () => {
          if (fs.lstatSync(place) === undefined) nodeFs().mkdirSync(place, { mode: DIRECTORY_MODE });
          bindMount(boundOf(volume), place, { readOnly });
        }),
      );
    },
    isPublished: ({ targetPath, device }) =>
      device !== null && whereTargetIs(targetPath, (place) => deviceOf(place) === device) === true,
    onTarget({ id, targetPath }) {
      const device = whereTargetIs(targetPath, deviceOf);
      if (device === null) return null;
      return device === deviceOf(placeOf({ id })) ? "own" : "other";
    },
    remove({ id, targetPath, device: recorded }) {
      const place = placeOf({ id });
      failing("remove the volume from", targetPath, () => {
        const device = deviceOf(place) ?? recorded;
        whereTargetIs(targetPath, (target) => {
          while (device !== null && deviceOf(target) === device) unmount(target);
          // Made for it, or by whoever asked for it, who removes it otherwise.
          if (device !== null) removeEmpty(target);
        });
      });
      clear(place);
    },
    made() {
      if (fs.lstatSync(root) === undefined) return [];
      const mounts = readMounts();
      return fs.readdirSync(root).map((id) => {
        const device = mounts.findLast(({ path }) => path === `${root}/${id}`)?.device;
        return { id, mounts: mounts.flatMap((each) => (each.device === device ? each.path : [])) };
      });
    },
    removeMounts(id, mounts) {
      // The one in the runtime directory comes last, because it shows which the others are.
      for (const path of mounts.filter((each) => each !== placeOf({ id }))) {
        failing("unmount", path, () => unmount(path));
      }
      clear(placeOf({ id }));
    },
  };

  /** The device number of the file system, in which there is a directory for the maps. Throws BpfmanError. */
  function mountAt(place: string, group: number | null): number {
    try {
      mountBpffs(place);
    } catch (thrown) {
      throw ioFailure(thrown, { action: "mount a BPF file system on", path: place, code: "BPFFS_UNAVAILABLE" });
    }
    const bound = `${place}/maps`;
    failing("make directory", bound, () => {
      nodeFs().mkdirSync(bound);
      if (group !== null) nodeFs().chownSync(bound, -1, group);
      // Whatever the umask is.
      nodeFs().chmodSync(bound, DIRECTORY_MODE);
    });
    return failing("look at", place, () => deviceOf(place)) as number;
  }

  /** Unmounts the file system of a volume, and removes the directories that are empty then. */
  function clear(place: string): void {
    failing("unmount", place, () => {
      while (deviceOf(place) !== null) unmount(place);
      for (const directory of [place, root, parentOf(root)]) removeEmpty(directory);
    });
  }
}

const refused = (targetPath: string, why: string): BpfmanError =>
  new BpfmanError("INVALID_VOLUME", `publish a volume at "${targetPath}": ${why}`, { details: { path: targetPath } });

/**
 * Calls `use` with a path of the target that leads to nowhere else, whatever others do meanwhile, and with a descriptor of its
 * directory. Throws SysError (ELOOP: a part of the path is a symbolic link).
 */
function withTarget<T>(targetPath: string, use: (place: string, fd: number) => T): T {
  const fd = openWithoutLinks(parentOf(targetPath), O_PATH | O_DIRECTORY);
  try {
    return use(`/proc/self/fd/${fd}/${targetPath.slice(targetPath.lastIndexOf("/") + 1)}`, fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** Throws INVALID_VOLUME if the target's directory does not exist, or others than root can change it. */
function atTarget<T>(targetPath: string, use: (place: string, beside: fs.Stats) => T): T {
  const path = parentOf(targetPath);
  const owned = { action: "publish a volume in", path, kind: "directory", code: "INVALID_VOLUME" } as const;
  try {
    return withTarget(targetPath, (place, fd) => {
      const beside = fs.fstatSync(fd);
      requireOwn({ ...owned, otherwise: "name a target elsewhere" }, beside);
      return use(place, beside);
    });
  } catch (thrown) {
    if (sysFailure(thrown)?.call !== "openat2") throw thrown;
    throw refused(
      targetPath,
      errnoName(thrown) === "ELOOP" ? "a part of the path is a symbolic link" : reasonOf(thrown),
    );
  }
}

/** Returns null if the target's directory has gone, or the path leads elsewhere by now. */
function whereTargetIs<T>(targetPath: string, use: (place: string) => T): T | null {
  try {
    return withTarget(targetPath, use);
  } catch (thrown) {
    if (["ENOENT", "ENOTDIR", "ELOOP"].includes(errnoName(thrown) ?? "")) return null;
    throw thrown;
  }
}

function requireEmpty(
  targetPath: string,
  place: string,
  { isMounted, stats }: { readonly isMounted: boolean; readonly stats: fs.Stats },
): void {
  if (stats.isSymbolicLink()) throw refused(targetPath, "it is a symbolic link");
  if (!stats.isDirectory()) throw refused(targetPath, "it is not a directory");
  if (isMounted) throw refused(targetPath, "something else is mounted there");
  if (fs.readdirSync(place).length > 0) throw refused(targetPath, "it is not empty");
}

/** Of the BPF file system whose uppermost directory that is; null if there is none. */
function deviceOf(place: string): number | null {
  const stats = fs.lstatSync(place);
  return stats?.isDirectory() === true && isBpffs(place) ? stats.dev : null;
}

/** Whatever else is there stays. */
function removeEmpty(path: string): void {
  const stats = fs.lstatSync(path);
  if (stats?.isDirectory() !== true || fs.readdirSync(path).length > 0) return;
  fs.rmdirSync(path);
}

interface Mount {
  /** As mountinfo has it: `0:53`. */
  readonly device: string;
  readonly path: string;
}

/** proc_pid_mountinfo(5), where blanks and backslashes are escaped in octal. */
function readMounts(): Mount[] {
  const lines = fs.readTextSync("/proc/self/mountinfo").split("\n");
  return lines.flatMap((line) => {
    const [, , device = "", , path = ""] = line.split(" ");
    const unescaped = path.replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    );
    return path === "" ? [] : { device, path: unescaped };
  });
}
