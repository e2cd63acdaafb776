import { readTextSync, statSync } from "../../ffi/safe/file-system.ts";
import type { Caller } from "../domain/history.ts";
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
    programHolders: async () => (await import("./holders.ts")).programHolders(),
    readersOf: (source) => (require("./holders.ts") as typeof import("./holders.ts")).readersOf(source),
  };
}

/** The value of a login UID that was never set: (uid_t) -1. */
const NO_UID = 0xffff_ffff;

/** Returns who runs this process for `parentPid`. Only what the process itself could change is taken from its environment. */
export function callerOf(parentPid: number): Caller {
  const loginUid = numberIn(textOf("/proc/self/loginuid"));
  return {
    uid: process.getuid?.() ?? 0,
    loginUid: loginUid === NO_UID ? null : loginUid,
    sudoUid: numberIn(process.env.SUDO_UID),
    parentPid,
    parentCommand: textOf(`/proc/${parentPid}/comm`)?.replace(/\n$/, "") ?? null,
  };
}

/** Null for anything but a user ID. */
function numberIn(text: string | null | undefined): number | null {
  const number = /^[0-9]{1,10}\n?$/.test(text ?? "") ? Number(text) : Number.NaN;
  return number <= NO_UID ? number : null;
}

/** Null if the file does not exist: without audit there are no login UIDs, and the parent may have exited. */
function textOf(path: string): string | null {
  try {
    return readTextSync(path);
  } catch {
    return null;
  }
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
