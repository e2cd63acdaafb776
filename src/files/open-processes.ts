import { readTextSync, statSync } from "../../ffi/safe/file-system.ts";
import type { ProcessIdentity } from "../domain/ids.ts";
import type { ProcessesPort } from "../platform/host.ts";

/** Processes as /proc shows them. */
export function openProcesses(): ProcessesPort {
  // A process cannot change its own PID namespace.
  let own: number | null = null;
  const namespace = (): number => {
    own ??= Number(statSync("/proc/self/ns/pid")?.ino);
    return own;
  };
  const identity = (pid: number): ProcessIdentity | null => {
    const start = startOf(pid);
    return start === null ? null : `${pid}:${start}:${namespace()}`;
  };
  return {
    identity,
    hasEnded(process) {
      const [pid, , inNamespace] = process.split(":").map(Number);
      if (pid === undefined || inNamespace !== namespace()) return false;
      return identity(pid) !== process;
    },
  };
}

/** Field 22 of proc_pid_stat(5), in clock ticks since boot; null for a process that has exited. */
function startOf(pid: number): string | null {
  let stat: string;
  try {
    stat = readTextSync(`/proc/${pid}/stat`);
  } catch {
    return null;
  }
  // The command name, in parentheses, may contain anything, even parentheses.
  const [state, ...rest] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  if (state === "Z" || state === "X") return null;
  return rest[18] ?? null;
}
