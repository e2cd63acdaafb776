import type { LogLevel } from "./log.ts";

/** What the global options and environment say, before defaults are filled in. Null means "not given". */
export interface Settings {
  readonly runtimeDir: string | null;
  readonly stateDir: string | null;
  readonly cacheDir: string | null;
  readonly configFile: string | null;
  /** Certificates of registries to trust besides the usual ones. */
  readonly caFile: string | null;
  /** Milliseconds; 0 waits for ever. */
  readonly lockTimeoutMs: number;
  readonly logLevel: LogLevel;
}
