/** Who holds the writer lock, without trying to take it. */
import { readFileSync, statSync } from "node:fs";
import type { LockHolder } from "../platform/machine.ts";
import { commandOf } from "./holder.ts";

/** makedev(3), as the kernel prints device numbers in /proc/locks: in hexadecimal. */
function deviceOf(dev: number): string {
  const major = Math.floor(dev / 256) & 0xfff;
  const minor = (dev & 0xff) | (Math.floor(dev / 4096) & 0xfff00);
  return [major, minor].map((part) => part.toString(16).padStart(2, "0")).join(":");
}

/** Reads /proc/locks (proc_locks(5)). Returns null if nobody holds the lock, or this process does. */
export function lockHolder(path: string): LockHolder | null {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return null;
  const file = `${deviceOf(stat.dev)}:${stat.ino}`;
  for (const line of textOf("/proc/locks").split("\n")) {
    // `->` marks those that wait.
    const [, kind, , , pid, at] = line.split(/\s+/);
    if (kind !== "FLOCK" || at !== file) continue;
    const holder = Number(pid);
    if (holder === process.pid || holder < 1) return null;
    return {
      pid: holder,
      command: commandOf(holder),
      stopped: /^State:\s+[Tt]/m.test(textOf(`/proc/${holder}/status`)),
    };
  }
  return null;
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
