import { readTextSync } from "../../ffi/safe/file-system.ts";
import { bootRealtimeNs } from "../../ffi/safe/libc.ts";
import { programInfo } from "../../ffi/safe/object-info.ts";
import { mapId, programId } from "../domain/ids.ts";
import type { KernelProgram } from "../platform/kernel.ts";

/** What /proc says of a descriptor, by key: `memlock`, `frozen`, … Empty when it cannot be read. */
export function descriptorFacts(fd: number): ReadonlyMap<string, string> {
  try {
    const lines = readTextSync(`/proc/self/fdinfo/${fd}`).split("\n");
    return new Map(lines.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]));
  } catch {
    return new Map();
  }
}

/** Bytes charged for a program or a map; null when /proc does not tell. */
export function memlockOf(facts: ReadonlyMap<string, string>): number | null {
  const value = facts.get("memlock");
  return value === undefined ? null : Number(value);
}

/**
 * The time of the boot is rounded to this, in nanoseconds, so that every process takes it for the same one: readings of
 * the clocks differ by a few microseconds.
 */
const BOOT_TIME_STEP_NS = 10_000_000n;

/** The wall clock's time of a moment on CLOCK_BOOTTIME, which is in nanoseconds. */
function dateOfBootTime(momentNs: bigint): Date {
  const boot = ((bootRealtimeNs() + BOOT_TIME_STEP_NS / 2n) / BOOT_TIME_STEP_NS) * BOOT_TIME_STEP_NS;
  return new Date(Number((boot + momentNs) / 1_000_000n));
}

/** The sysctl kernel.bpf_stats_enabled. Who has it counted by BPF_ENABLE_STATS alone is not seen here. */
export function countsRuns(): boolean {
  try {
    return readTextSync("/proc/sys/kernel/bpf_stats_enabled").trim() !== "0";
  } catch {
    return false;
  }
}

/** About the program behind `fd`. */
export function readProgram(fd: number): KernelProgram {
  const info = programInfo(fd);
  return {
    id: programId(info.id),
    name: info.name,
    type: info.type,
    tag: Buffer.from(info.tag).toString("hex"),
    loadedAt: dateOfBootTime(info.loadTimeNs),
    uid: info.uid,
    btfId: info.btfId,
    mapIds: info.mapIds.map(mapId),
    gplCompatible: info.gplCompatible,
    jitedSize: info.jitedSize,
    xlatedSize: info.xlatedSize,
    verifiedInstructions: info.verifiedInstructions,
    memlock: memlockOf(descriptorFacts(fd)),
    runTimeNs: Number(info.runTimeNs),
    runCount: Number(info.runCount),
    recursionMisses: Number(info.recursionMisses),
    // Every program has instructions: no size means that they are hidden.
    restricted: info.xlatedSize === 0,
  };
}
