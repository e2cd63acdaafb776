import { bootRealtimeNs, closeFd } from "../../ffi/safe/libc.ts";
import { btfBytes, linkInfo, mapInfo, programInfo } from "../../ffi/safe/object-info.ts";
import { kernelLinkId, mapId, programId } from "../domain/ids.ts";
import type { AttachedLink, KernelLink, KernelMap, KernelProgram } from "../platform/kernel.ts";
import { sysFailure } from "../errors/sys-failure.ts";
import { pin } from "./pin.ts";
import { readTextSync } from "../../ffi/safe/file-system.ts";

/** Parses a list of processors as sysfs has it: `0-3,5`. */
export const processorsIn = (text: string): number[] =>
  text
    .trim()
    .split(",")
    .flatMap((range) => {
      const [first = 0, last = first] = range.split("-").map(Number);
      return Array.from({ length: last - first + 1 }, (_, i) => first + i);
    });

/** Returns /proc/self/fdinfo for a descriptor; nothing if it cannot be read. */
function factsOf(fd: number): string {
  try {
    return readTextSync(`/proc/self/fdinfo/${fd}`);
  } catch {
    return "";
  }
}

/** Returns the bytes charged for a program or map; null if /proc does not report them. */
function memlockIn(facts: string): number | null {
  const value = /^memlock:\s*(\d+)/m.exec(facts)?.[1];
  return value === undefined ? null : Number(value);
}

/**
 * The boot time is rounded to this many nanoseconds, so that every process computes the same one: clock readings differ
 * by a few microseconds.
 */
const BOOT_TIME_STEP_NS = 10_000_000n;

/** Converts a time on CLOCK_BOOTTIME, in nanoseconds, to wall-clock time. */
function dateOfBootTime(momentNs: bigint): Date {
  const boot = ((bootRealtimeNs() + BOOT_TIME_STEP_NS / 2n) / BOOT_TIME_STEP_NS) * BOOT_TIME_STEP_NS;
  return new Date(Number((boot + momentNs) / 1_000_000n));
}

/** Reads sysctl kernel.bpf_stats_enabled. Does not detect statistics enabled only with BPF_ENABLE_STATS. */
export function countsRuns(): boolean {
  try {
    return readTextSync("/proc/sys/kernel/bpf_stats_enabled").trim() !== "0";
  } catch {
    return false;
  }
}

/** Returns information about the program behind `fd`. */
export function readProgram(fd: number): KernelProgram {
  const info = programInfo(fd);
  return {
    id: programId(info.id),
    name: info.name,
    type: info.type,
    tag: info.tag.toHex(),
    // Nine readings of clocks, which a listing does not need: rows have their own.
    get loadedAt() {
      return dateOfBootTime(info.loadTimeNs);
    },
    uid: info.uid,
    btfId: info.btfId,
    mapIds: info.mapIds.map(mapId),
    gplCompatible: info.gplCompatible,
    jitedSize: info.jitedSize,
    xlatedSize: info.xlatedSize,
    verifiedInstructions: info.verifiedInstructions,
    memlock: memlockIn(factsOf(fd)),
    runTimeNs: Number(info.runTimeNs),
    runCount: Number(info.runCount),
    recursionMisses: Number(info.recursionMisses),
    // Every program has instructions: a size of 0 means they are hidden.
    restricted: info.xlatedSize === 0,
  };
}

/** Returns information about the map behind `fd`. */
export function readMap(fd: number): KernelMap {
  const info = mapInfo(fd);
  const facts = factsOf(fd);
  return {
    id: mapId(info.id),
    name: info.name,
    type: info.type,
    keySize: info.keySize,
    valueSize: info.valueSize,
    maxEntries: info.maxEntries,
    flags: info.flags,
    btfId: info.btfId,
    mapExtra: Number(info.extra),
    memlock: memlockIn(facts),
    frozen: /^frozen:\s*1$/m.test(facts),
  };
}

/** Returns information about the link behind `fd`. */
export function readLink(fd: number): KernelLink {
  const info = linkInfo(fd);
  return { ...info, id: kernelLinkId(info.id), programId: programId(info.programId) };
}

/** Takes ownership of the descriptor of a new link. */
export function attachedLink(fd: number): AttachedLink {
  let open = true;
  const close = () => {
    if (open) closeFd(fd);
    open = false;
  };
  try {
    const { id } = readLink(fd);
    return { id, pin: (path) => pin(`link ${id}`, fd, path), close };
  } catch (thrown) {
    close();
    throw thrown;
  }
}

/** Returns the BTF with that ID; null if there is none, or only CAP_SYS_ADMIN may read it. */
export function readBtf(id: number): Uint8Array | null {
  if (id === 0) return null;
  try {
    return btfBytes(id);
  } catch (thrown) {
    if (sysFailure(thrown)?.name === "EPERM") return null;
    throw thrown;
  }
}
