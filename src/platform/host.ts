import type { MapId, ProcessIdentity, ProgramId } from "../domain/ids.ts";
import type { Config } from "../domain/config.ts";
import type { CompilerPort } from "./compiler.ts";
import type { FilesPort } from "./files.ts";
import type { KernelPort } from "./kernel.ts";
import type { MachinePort } from "./machine.ts";
import type { PinsPort } from "./pins.ts";
import type { StorePort } from "./store.ts";
import type { VolumesPort } from "./volumes.ts";

/** The ports an operation works with, opened for reading or for writing. */
export interface Host {
  readonly kernel: KernelPort;
  readonly store: StorePort;
  readonly pins: PinsPort;
  readonly volumes: VolumesPort;
  readonly files: FilesPort;
  readonly compiler: CompilerPort;
  readonly network: NetworkPort;
  readonly processes: ProcessesPort;
  readonly machine: MachinePort;
  readonly config: Config;
  now(): Date;
  /** Used to wait until the kernel has finished something. */
  sleep(ms: number): Promise<void>;
  close(): void;
}

/** The writer lock: an flock(2) on a file, shared by all processes. */
export interface LockPort {
  /**
   * Waits until the lock is acquired; `timeoutMs` 0 waits indefinitely. Throws LOCK_TIMEOUT with the holder's PID,
   * CANCELLED if the signal fires.
   */
  acquire(timeoutMs: number, signal: AbortSignal): Promise<HeldLock>;
}

export interface HeldLock {
  /**
   * Releases the lock, even if it throws. Idempotent. With `remove`, also removes the file, and its directory if
   * nothing else is in it; nothing may be done there afterwards.
   */
  release(how?: { readonly remove: boolean }): void;
}

/** An interface, as the kernel names it now. */
export interface NamedInterface {
  readonly ifindex: number;
  readonly name: string;
  /** What `ip link property` calls altname: other names for it, up to 127 bytes long (Linux 5.5). */
  readonly alternativeNames: readonly string[];
}

export interface InterfaceNames {
  readonly nsid: number;
  readonly names: ReadonlyMap<number, string>;
}

/** Network namespaces and interfaces. Synchronous; always returns to the caller's namespace. */
export interface NetworkPort {
  /**
   * Returns the inode of the namespace at `path` (any nsfs file), or of the caller's own if null. Throws
   * NETNS_NOT_FOUND if the path does not exist or is not a network namespace.
   */
  namespaceId(netns: string | null): number;
  /**
   * The namespace's inode, and what those interfaces are called in it now, by their index: those that it does not have are
   * left out. Throws NETNS_NOT_FOUND.
   */
  names(netns: string | null, indexes: Iterable<number>): InterfaceNames;
  /** The interface with that name, or with that alternative name, in that namespace; null when it is not there. */
  findInterface(name: string, netns: string | null): NamedInterface | null;
  /** All interfaces in that namespace, by index. */
  interfaces(netns: string | null): NamedInterface[];
  /** The drivers of those interfaces, as `ethtool -i` shows them, by their index; those without one are left out. */
  drivers(netns: string | null, interfaces: readonly NamedInterface[]): ReadonlyMap<number, string>;
  /**
   * Returns where the namespace with that inode is to be found now: by a name of ip-netns(8), or through a process in it that
   * can be seen. Null if neither leads there.
   */
  pathTo(nsid: number): string | null;
  /** Returns the paths of the namespaces named by ip-netns(8). */
  namedNamespaces(): string[];
}

/** Processes, identified even if their PIDs are reused. */
export interface ProcessesPort {
  /** Returns null if no process has that PID, or only a zombie. */
  identity(pid: number): ProcessIdentity | null;
  /**
   * Reports whether that process is known to have exited. False if it belongs to another PID namespace, which is not
   * visible.
   */
  hasEnded(process: ProcessIdentity): boolean;
  /**
   * Returns which other processes hold which programs, directly or by a link, as far as /proc shows them. Other work goes on
   * meanwhile.
   */
  programHolders(): Promise<ReadonlyMap<ProgramId, readonly NamedProcess[]>>;
  /** Other processes that read the events of a ring buffer or perf buffer, or trace_pipe; those that can be seen. */
  readersOf(source: MapId | "trace_pipe"): NamedProcess[];
}

export interface NamedProcess {
  readonly pid: number;
  /** Name of the process: 15 bytes at most. */
  readonly name: string;
}
