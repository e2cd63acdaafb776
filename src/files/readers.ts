/** Finds the processes that read a buffer of events, by what /proc shows of their descriptors and memory. */
import { readdirSync, readlinkSync, readTextSync } from "../../ffi/safe/file-system.ts";
import type { MapId } from "../domain/ids.ts";
import type { Reader } from "../platform/host.ts";

/** Null if it cannot be read, mostly because the process has exited. */
function tried<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    return null;
  }
}

const MAP_LINK = "anon_inode:bpf-map";

/** Other processes that have the map open and its memory mapped, or perf events open besides; or that have trace_pipe open. */
export function readersOf(source: MapId | "trace_pipe"): Reader[] {
  const others = readdirSync("/proc").filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  return others.flatMap((pid) => {
    if (!(source === "trace_pipe" ? hasTracePipe(pid) : readsMap(pid, source))) return [];
    const name = tried(() => readTextSync(`/proc/${pid}/comm`).trimEnd());
    return name === null ? [] : [{ pid: Number(pid), name }];
  });
}

/** What the descriptors of a process refer to, by number. */
const descriptors = (pid: string): (readonly [fd: string, link: string])[] =>
  (tried(() => readdirSync(`/proc/${pid}/fd`)) ?? []).map((fd) => [
    fd,
    tried(() => readlinkSync(`/proc/${pid}/fd/${fd}`)) ?? "",
  ]);

const hasTracePipe = (pid: string): boolean => descriptors(pid).some(([, link]) => link.endsWith("/trace_pipe"));

function readsMap(pid: string, map: MapId): boolean {
  const open = descriptors(pid);
  const holds = open.some(
    ([fd, link]) =>
      link === MAP_LINK &&
      new RegExp(`^map_id:\\t${map}$`, "m").test(tried(() => readTextSync(`/proc/${pid}/fdinfo/${fd}`)) ?? ""),
  );
  if (!holds) return false;
  const isRead = open.some(([, link]) => link === "anon_inode:[perf_event]");
  return isRead || (tried(() => readTextSync(`/proc/${pid}/maps`)) ?? "").includes(MAP_LINK);
}
