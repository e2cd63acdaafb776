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
