import type { ProcessIdentity } from "../domain/ids.ts";
import type { Config } from "../domain/config.ts";
import type { FilesPort } from "./files.ts";
import type { KernelPort } from "./kernel.ts";
import type { PinsPort } from "./pins.ts";
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

/** The writer lock, held over processes by flock(2) on a file. */
export interface LockPort {
  /**
   * Waits until the lock is ours; `timeoutMs` 0 waits for ever. Throws LOCK_TIMEOUT naming the holder's pid, CANCELLED
   * when the signal fires.
   */
  acquire(timeoutMs: number, signal: AbortSignal): Promise<HeldLock>;
}

export interface HeldLock {
  /** Gives the lock back, which it does also when it throws. Harmless when repeated. */
  release(): void;
}

/** Network namespaces and interfaces. Synchronous; the caller's own namespace is never left changed. */
export interface NetworkPort {
  /**
   * Inode of the namespace behind `path` (any file of nsfs), or of the caller's own for null.
   * Throws NETNS_NOT_FOUND when the path is missing or no network namespace.
   */
  namespaceId(netns: string | null): number;
  /** Index of an interface in that namespace; null when it is not there. */
  interfaceIndex(name: string, netns: string | null): number | null;
  /** Names of all interfaces in that namespace. */
  interfaces(netns: string | null): string[];
  /** Paths of the namespaces that ip-netns(8) gave names. */
  namedNamespaces(): string[];
}

/** Processes, told apart beyond the re-use of their pids. */
export interface ProcessesPort {
  /** Null when there is none of that pid, or only what waits to be reaped of it. */
  identity(pid: number): ProcessIdentity | null;
  /** Whether that process is known to have ended. One of another PID namespace cannot be judged: false. */
  hasEnded(process: ProcessIdentity): boolean;
}
