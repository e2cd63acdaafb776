import type { VersionAnswer } from "../domain/answer.ts";
import type { LogPort } from "../domain/log.ts";
import type { ProcessIdentity } from "../domain/session.ts";
import type { Host } from "./host.ts";
import type { ImageBuildHost } from "./image-build.ts";
import type { ImagesPort } from "./images.ts";
import type { KernelFeatures } from "./kernel.ts";
import type { LockPort } from "./lock.ts";
import type { ProcessesPort } from "./processes.ts";

/** What an operation that touches neither kernel nor database may ask. */
export interface Versions {
  /** Never throws: a missing libbpf is null. */
  versions(): Omit<VersionAnswer, "features">;
  /** Null for those who are not root, and where no system call can be made. */
  features(): Promise<KernelFeatures | null>;
}

/** Looks for changes that any process makes to the store. */
export interface StoreWatch {
  close(): void;
}

/** What an operation may use before the writer lock is taken. */
export interface Sources {
  openImages(): Promise<ImagesPort>;
}

/** The composition root as the service sees it: adapters are made when they are asked for, not before. */
export interface Runtime extends Sources {
  readonly log: LogPort;
  readonly lockTimeoutMs: number;
  /** Whether this process may do what needs root. */
  privileged(): boolean;
  /** Who runs this, for the history. */
  identity(): { readonly uid: number; readonly parentPid: number };
  openVersions(): Promise<Versions>;
  openBuild(): Promise<ImageBuildHost>;
  /**
   * Whether no command that changes something has ever run with this runtime directory, so that nothing is pinned there.
   * Throws STATE_CONFLICT for a directory that others can change.
   */
  isUntouched(): boolean;
  openLock(): Promise<LockPort>;
  /** For writing: only while the lock is held. What is made then belongs to `owner`, if one is given. */
  openHost(mode: "read" | "write", owner?: ProcessIdentity | null): Promise<Host>;
  openProcesses(): Promise<ProcessesPort>;
  /** Calls `changed` when the store may have changed, soon after it has. It may not have, and calls may be merged. */
  watchStore(changed: () => void): Promise<StoreWatch>;
}
