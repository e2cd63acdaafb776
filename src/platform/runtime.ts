import type { VersionAnswer } from "../domain/answer.ts";
import type { Capability } from "../domain/capabilities.ts";
import type { LogPort } from "../domain/log.ts";
import type { Caller } from "../domain/history.ts";
import type { ProcessIdentity } from "../domain/ids.ts";
import type { FilesPort } from "./files.ts";
import type { Host, LockPort, ProcessesPort } from "./host.ts";
import type { ImageBuildHost } from "./image-build.ts";
import type { ImagesPort } from "./images.ts";
import type { KernelFeatures } from "./kernel.ts";

/** Information for operations that touch neither kernel nor database. */
export interface Versions {
  /** Never throws: a missing libbpf is null. */
  versions(): Omit<VersionAnswer, "features">;
  /** Returns null without CAP_BPF, and if no system call can be made. */
  features(): Promise<KernelFeatures | null>;
}

/** Watches the store for changes made by any process. */
export interface StoreWatch {
  close(): void;
}

/** The ports an operation may use before it takes the writer lock. */
export interface Sources {
  openImages(): Promise<ImagesPort>;
  openFiles(): Promise<FilesPort>;
}

/** Adapters that most operations use. */
export type Adapter = "store" | "pins" | "files" | "kernel";

/** The composition root as the service sees it. Adapters are created on demand. */
export interface Runtime extends Sources {
  readonly log: LogPort;
  readonly lockTimeoutMs: number;
  /** Returns the effective capabilities of this process. */
  capabilities(): readonly Capability[];
  /** Returns who runs this process, for the history. */
  caller(): Caller;
  openVersions(): Promise<Versions>;
  openBuild(): Promise<ImageBuildHost>;
  /** Reports whether no writing command has ever used this runtime directory, so that nothing is pinned there. */
  isUntouched(): Promise<boolean>;
  openLock(): Promise<LockPort>;
  /**
   * Opening it for writing requires the lock. If an `owner` is given, everything created belongs to it. `uses`: the adapters that are
   * loaded at once, by default all; others are loaded when they are needed.
   */
  openHost(mode: "read" | "write", owner?: ProcessIdentity | null, uses?: readonly Adapter[]): Promise<Host>;
  openProcesses(): Promise<ProcessesPort>;
  /** Calls `changed` soon after the store may have changed. Calls can be spurious or merged. */
  watchStore(changed: () => void): Promise<StoreWatch>;
}
