import type { LogLevel } from "./log.ts";

/** The global options and environment variables, before defaults are applied. Null means "not given". */
export interface Settings {
  readonly runtimeDir: string | null;
  readonly stateDir: string | null;
  readonly cacheDir: string | null;
  readonly configFile: string | null;
  /** Additional CA certificates to trust for registries. */
  readonly caFile: string | null;
  /** Milliseconds; 0 waits indefinitely. */
  readonly lockTimeoutMs: number;
  readonly logLevel: LogLevel;
}
