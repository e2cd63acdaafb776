/** Finds and removes what an interrupted demo or test left behind: mounts below a directory, and network namespaces. */
import { existsSync, readFileSync, rmSync } from "node:fs";

/** Mount points at or below `directory`, the most recent first, as the kernel lists them (proc(5), mountinfo field 5). */
export function mountsUnder(directory: string): string[] {
  const points = readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .map((path) => path.replace(/\\([0-7]{3})/g, (_, digits) => String.fromCharCode(Number.parseInt(digits, 8))));
  return points.filter((path) => path === directory || path.startsWith(`${directory}/`)).reverse();
}

/**
 * Unmounts everything below `directory` and removes it. Unmounting a bpffs removes its pins, and with them the programs and
 * links that only those pins held.
 */
export function removeTree(directory: string): void {
  for (const point of mountsUnder(directory)) Bun.spawnSync(["umount", point], { stderr: "ignore" });
  if (mountsUnder(directory).length === 0) rmSync(directory, { recursive: true, force: true });
}

/** Names of the network namespaces that `ip netns` lists. */
export function namedNamespaces(): string[] {
  const listed = Bun.spawnSync(["ip", "netns", "list"], { stderr: "ignore" }).stdout.toString();
  return listed.split("\n").flatMap((line) => line.split(" ")[0] || []);
}

export function removeNamespace(name: string): void {
  Bun.spawnSync(["ip", "netns", "delete", name], { stderr: "ignore" });
}

/**
 * Whether a name of the form `bpfman-WORD-PID…` belongs to a process that has ended. Network namespaces and directories
 * that outlive a kill must be named like this; those of running processes are never touched.
 */
export function isOrphan(name: string): boolean {
  const pid = /^bpfman-[a-z]+-(\d+)(-|$)/.exec(name)?.[1];
  return pid !== undefined && !existsSync(`/proc/${pid}`);
}
