/** Finds what other processes hold open, by what /proc shows of them. What may not be looked at, or has gone, is left out. */
import { readdirSync, readlinkSync, readTextSync } from "../../ffi/safe/file-system.ts";
import { type MapId, type ProgramId, programId } from "../domain/ids.ts";
import { HOLDER_DESCRIPTORS_MAX } from "../domain/limits.ts";
import type { NamedProcess } from "../platform/host.ts";

/** What /proc/PID/fd says of a program or a link (proc_pid_fd(5)). */
const HOLDS_PROGRAM = /^anon_inode:\[?bpf[-_](prog|link)\]?$/;
const PROGRAM_ID = /^prog_id:\s*(\d+)$/m;
const MAP_LINK = "anon_inode:bpf-map";
/** Processes between two turns of the event loop. */
const PROCESSES_AT_ONCE = 16;

const otherProcesses = (): string[] =>
  readdirSync("/proc").filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);

/** What the descriptors of a process refer to, by number, each looked up when it is asked for. */
function* descriptors(pid: string): Generator<readonly [fd: string, link: string]> {
  for (const fd of ifThere(() => readdirSync(`/proc/${pid}/fd`), [])) {
    yield [fd, ifThere(() => readlinkSync(`/proc/${pid}/fd/${fd}`), "")];
  }
}

const textOf = (pid: string, file: string): string => ifThere(() => readTextSync(`/proc/${pid}/${file}`), "");

const named = (pid: string): NamedProcess => ({ pid: Number(pid), name: textOf(pid, "comm").trimEnd() });

/** Finds the processes that hold programs, in the way that bpftool does where it cannot ask the kernel. */
export async function programHolders(): Promise<ReadonlyMap<ProgramId, readonly NamedProcess[]>> {
  const found = new Map<ProgramId, NamedProcess[]>();
  let left = HOLDER_DESCRIPTORS_MAX;
  for (const [at, pid] of otherProcesses().entries()) {
    if (at % PROCESSES_AT_ONCE === 0) await new Promise((next) => setImmediate(next));
    const held = new Set<number>();
    for (const [fd, link] of descriptors(pid)) {
      if (left-- <= 0) return found;
      if (!HOLDS_PROGRAM.test(link)) continue;
      const id = Number(PROGRAM_ID.exec(textOf(pid, `fdinfo/${fd}`))?.[1] ?? 0);
      if (id > 0) held.add(id);
    }
    if (held.size === 0) continue;
    const holder = named(pid);
    for (const id of held) found.set(programId(id), [...(found.get(programId(id)) ?? []), holder]);
  }
  return found;
}

/** Finds the processes that have the map open and either map its memory or hold perf events, or that have trace_pipe open. */
export const readersOf = (source: MapId | "trace_pipe"): NamedProcess[] =>
  otherProcesses()
    .filter((pid) => (source === "trace_pipe" ? hasTracePipe(pid) : readsMap(pid, source)))
    .map(named)
    .filter(({ name }) => name !== "");

const hasTracePipe = (pid: string): boolean => descriptors(pid).some(([, link]) => link.endsWith("/trace_pipe"));

function readsMap(pid: string, map: MapId): boolean {
  const open = [...descriptors(pid)];
  const isOfMap = new RegExp(`^map_id:\\t${map}$`, "m");
  if (!open.some(([fd, link]) => link === MAP_LINK && isOfMap.test(textOf(pid, `fdinfo/${fd}`)))) return false;
  const isRead = open.some(([, link]) => link === "anon_inode:[perf_event]");
  return isRead || textOf(pid, "maps").includes(MAP_LINK);
}

function ifThere<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch {
    return otherwise;
  }
}
