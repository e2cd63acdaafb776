import type { VolumeRecord } from "../domain/volume.ts";

/**
 * Mounts of volumes: each has a BPF file system of its own in the runtime directory, whose directory of maps is bound onto its
 * target. A target is in a directory that only root can change, and no part of its path is a symbolic link. Synchronous.
 */
export interface VolumesPort {
  /**
   * Throws INVALID_VOLUME if nothing may be mounted at that path: it is in bpfman's own directories, its directory is missing
   * or can be changed by others, or there is something that is not an empty directory.
   */
  requireFree(targetPath: string): void;
  /** Mounts the file system (nosuid, nodev, noexec) with a directory (0750) that `group` may look into. Returns its device. */
  make(volume: Pick<VolumeRecord, "id" | "group">): number;
  /** Where a map of it is to be pinned. */
  mapPath(volume: Pick<VolumeRecord, "id">, map: string): string;
  /** Lets the volume's group use a map that is pinned there. */
  openMap(volume: Pick<VolumeRecord, "id" | "group">, map: string): void;
  /** Binds it onto its target, which is made if it does not exist. */
  publish(volume: VolumeRecord): void;
  /** Reports whether the volume, by its device, is what is mounted on its target. */
  isPublished(volume: VolumeRecord): boolean;
  /** Whether a BPF file system is mounted on the target, and whether it is the one in the volume's place in the runtime directory. */
  onTarget(volume: Pick<VolumeRecord, "id" | "targetPath">): "own" | "other" | null;
  /**
   * Removes what there is of it: the mount on its target and the directory, if they are its own, then its file system with the
   * pins. Does nothing where nothing is. Throws IO_FAILED.
   */
  remove(volume: Pick<VolumeRecord, "id" | "targetPath" | "device">): void;
  /** Names the volumes with a directory in the runtime directory, and where each file system is mounted, that one included. */
  made(): { readonly id: string; readonly mounts: readonly string[] }[];
  /** Unmounts a volume of which only that is known. */
  removeMounts(id: string, mounts: readonly string[]): void;
}
