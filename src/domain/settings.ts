import type { LogLevel } from "./log.ts";

/** The global options and environment variables, before defaults are applied. Null means "not given". */
export interface Settings {
  readonly runtimeDir: string | null;
  readonly stateDir: string | null;
  readonly cacheDir: string | null;
  /** A BPF file system that outlives this process's mounts: where it is there, it is bound onto that of the runtime directory. */
  readonly hostBpffs?: string;
  readonly configFile: string | null;
  /** Additional CA certificates to trust for registries. */
  readonly caFile: string | null;
  /** Milliseconds; 0 waits indefinitely. */
  readonly lockTimeoutMs: number;
  readonly logLevel: LogLevel;
}

/** What `bpfman serve` is told besides. */
export interface DaemonOptions {
  readonly socketPath: string;
  /** Who may connect besides root, by name or number; null for `bpfman`, if there is such a group. */
  readonly socketGroup: string | null;
  /** Null without CSI. */
  readonly csiSocket: string | null;
  /** Null without metrics over HTTP. */
  readonly metricsSocket: string | null;
}
