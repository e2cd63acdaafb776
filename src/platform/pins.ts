import type { DispatcherKey, DispatcherType } from "../domain/dispatcher.ts";
import type { LinkId, ProgramId } from "../domain/ids.ts";

/** Paths inside the runtime folder; the layout is part of the product's contract (docs/decisions.md). */
export interface PinPaths {
  readonly root: string;
  /** Folder of the empty dispatchers that XDP and TC programs are verified against where the kernel takes extensions. */
  readonly testDispatchers: string;
  program(id: ProgramId): string;
  mapFolder(owner: ProgramId): string;
  map(owner: ProgramId, name: string): string;
  sharedMap(name: string): string;
  link(id: LinkId): string;
  /** Folder of one revision of a chain: `dispatcher`, and `link_0` and on for the members. */
  revision(key: DispatcherKey, revision: number): string;
  /** Folder that holds the revisions of all chains of a type. */
  chains(type: DispatcherType): string;
  /** The XDP link of a chain, the same over all revisions. */
  xdpLink(key: DispatcherKey): string;
}

/** The BPF file system that holds the pins. Synchronous; failures are IO_FAILED or BPFFS_UNAVAILABLE. */
export interface PinsPort {
  readonly paths: PinPaths;
  /** Makes the folders, and mounts a bpffs (nosuid, nodev, noexec, 0700) when there is none yet. Writers only. */
  prepare(): void;
  exists(path: string): boolean;
  /** Makes the folder of an owner's map pins. */
  makeFolder(path: string): void;
  /** Gives a map's pin the group and mode that the configuration says. Throws INVALID_CONFIG as well. */
  openMap(path: string): void;
  /** Removes one pin; false when it was not there. */
  remove(path: string): boolean;
  /** Removes a folder of pins; false when it was not there, or something is in it. */
  removeFolder(path: string): boolean;
  /** Names in a folder of the bpffs; empty when the folder or the mount is not there. */
  list(folder: string): string[];
}
