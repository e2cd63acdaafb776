import type { ProcessIdentity } from "../domain/session.ts";

/** Processes, told apart beyond the re-use of their pids. */
export interface ProcessesPort {
  /** Null when there is none of that pid, or only what waits to be reaped of it. */
  identity(pid: number): ProcessIdentity | null;
  /** Whether that process is known to have ended. One of another PID namespace cannot be judged: false. */
  hasEnded(process: ProcessIdentity): boolean;
}
