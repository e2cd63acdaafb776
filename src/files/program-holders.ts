/** Finds the processes that hold programs, as bpftool does where it cannot ask the kernel. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { type ProgramId, programId } from "../domain/ids.ts";
import { HOLDER_DESCRIPTORS_MAX } from "../domain/limits.ts";
import type { ProgramHolder } from "../platform/host.ts";

/** What /proc/PID/fd says of a program or a link (proc_pid_fd(5)). */
const HOLDS_PROGRAM = /^anon_inode:\[?bpf[-_](prog|link)\]?$/;
const PROGRAM_ID = /^prog_id:\s*(\d+)$/m;
/** Processes between two turns of the event loop. */
const PROCESSES_AT_ONCE = 16;

/** Looks at all other processes. What may not be looked at, or has gone, is left out. */
export async function programHolders(): Promise<ReadonlyMap<ProgramId, readonly ProgramHolder[]>> {
  const found = new Map<ProgramId, ProgramHolder[]>();
  let left = HOLDER_DESCRIPTORS_MAX;
  const pids = readdirSync("/proc").filter((name) => /^[0-9]+$/.test(name) && Number(name) !== process.pid);
  for (const [at, pid] of pids.entries()) {
    if (at % PROCESSES_AT_ONCE === 0) await new Promise((next) => setImmediate(next));
    const directory = `/proc/${pid}/fd`;
    const held = new Set<number>();
    for (const fd of ifThere(() => readdirSync(directory), [])) {
      if (left-- <= 0) return found;
      if (!HOLDS_PROGRAM.test(ifThere(() => readlinkSync(`${directory}/${fd}`), ""))) continue;
      const facts = ifThere(() => readFileSync(`/proc/${pid}/fdinfo/${fd}`, "utf8"), "");
      const id = Number(PROGRAM_ID.exec(facts)?.[1] ?? 0);
      if (id > 0) held.add(id);
    }
    if (held.size === 0) continue;
    const holder = { pid: Number(pid), name: ifThere(() => readFileSync(`/proc/${pid}/comm`, "utf8"), "").trimEnd() };
    for (const id of held) found.set(programId(id), [...(found.get(programId(id)) ?? []), holder]);
  }
  return found;
}

function ifThere<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch {
    return otherwise;
  }
}
