import type { DispatcherKey, DispatcherType } from "../domain/dispatcher.ts";
import type { LinkId, ProgramId } from "../domain/ids.ts";

/** Paths in the runtime directory. The layout is part of bpfman's public contract (docs/decisions.md). */
export interface PinPaths {
  readonly root: string;
  /** Directory of the empty dispatchers that earlier versions verified XDP and TC programs against. */
  readonly testDispatchers: string;
  program(id: ProgramId): string;
  mapDirectory(owner: ProgramId): string;
  map(owner: ProgramId, name: string): string;
  sharedMap(name: string): string;
  /** With a program that was attached beside the link's, to take its place. */
  link(id: LinkId, next?: ProgramId): string;
  /** Directory of one revision of a chain: `dispatcher`, and the members' `link_0`, `link_1`, …. */
  revision(key: DispatcherKey, revision: number): string;
  /** Directory that contains the revisions of all chains of a type. */
  chains(type: DispatcherType): string;
  /** The XDP link of a chain, which stays the same across revisions. */
  xdpLink(key: DispatcherKey): string;
}

/** The bpffs that holds the pins. Synchronous; failures are IO_FAILED or BPFFS_UNAVAILABLE. */
export interface PinsPort {
  readonly paths: PinPaths;
  /** Creates the directories, and mounts a bpffs (nosuid, nodev, noexec, 0700) if there is none: then it returns true. Writers only. */
  prepare(): boolean;
  /**
   * Removes what `prepare` created if nothing is pinned there. Returns the paths that prevent it; none if everything
   * was removed.
   */
  unmount(): string[];
  /** How many file systems are mounted on the root, one above the other. */
  mounts(): number;
  /** Reports whether the root is in a bpffs. */
  isMounted(): boolean;
  /** Unmounts the uppermost file system on the root. Throws BPFFS_UNAVAILABLE. */
  unmountTop(): void;
  exists(path: string): boolean;
  /** Returns when the pin was made, as far as the kernel tells: null if it does not exist. */
  pinnedAt(path: string): Date | null;
  isDirectory(path: string): boolean;
  /** Creates the directory for a map owner's pins. */
  makeDirectory(path: string): void;
  /** Gives a map's pin the group and mode that the configuration says. Throws INVALID_CONFIG as well. */
  openMap(path: string): void;
  /** Removes one pin; returns false if it did not exist. */
  remove(path: string): boolean;
  /** Removes a directory of pins; returns false if it did not exist or is not empty. */
  removeDirectory(path: string): boolean;
  /** Returns the names in a directory of the bpffs; empty if the directory or the mount does not exist. */
  list(directory: string): string[];
}
