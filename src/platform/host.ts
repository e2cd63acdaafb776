import type { Config } from "../domain/config.ts";
import type { FilesPort } from "./files.ts";
import type { KernelPort } from "./kernel.ts";
import type { NetworkPort } from "./network.ts";
import type { PinsPort } from "./pins.ts";
import type { ProcessesPort } from "./processes.ts";
import type { StorePort } from "./store.ts";

/** The ports that an operation works with, opened for reading or for writing. */
export interface Host {
  readonly kernel: KernelPort;
  readonly store: StorePort;
  readonly pins: PinsPort;
  readonly files: FilesPort;
  readonly network: NetworkPort;
  readonly processes: ProcessesPort;
  readonly config: Config;
  now(): Date;
  /** Waits; used while the kernel finishes something. */
  sleep(ms: number): Promise<void>;
  close(): void;
}
