import { PERF_EVENT_ATTR, PERF_SOFTWARE, PERF_TYPE } from "../layout/generated.ts";
import { encode, type FieldValues } from "../layout/struct.ts";
import { addressOf, cString, keepAlive } from "../memory.ts";
import { fileCall, SysError } from "../sys-error.ts";
import { readTextSync } from "./file-system.ts";
import { syscall } from "./libc.ts";

const PERF_FLAG_FD_CLOEXEC = 8;
const NO_GROUP = -1;

/** perf_event_open(2) of one process, or of everybody for null. Throws SysError. */
function openEvent(values: FieldValues<typeof PERF_EVENT_ATTR>, pid: number | null): number {
  const attr = encode(PERF_EVENT_ATTR, { ...values, size: PERF_EVENT_ATTR.size });
  // Without a pid the event needs a cpu. Any will do: a BPF program on a tracepoint or a probe runs on all of them.
  const target = pid === null ? [-1, 0] : [pid, -1];
  const fd = syscall("perf_event_open", addressOf(attr), ...target, NO_GROUP, PERF_FLAG_FD_CLOEXEC);
  keepAlive(attr);
  if (fd < 0) throw new SysError("perf_event_open", -fd);
  return fd;
}

/** Opens the tracepoint with that id (tracefs, events/GROUP/NAME/id). Throws SysError. */
export const openTracepoint = (id: number): number => openEvent({ type: PERF_TYPE.TRACEPOINT, config: id }, null);

/** Opens an event that never happens. Throws SysError. */
export const openDummyEvent = (): number => openEvent({ type: PERF_TYPE.SOFTWARE, config: PERF_SOFTWARE.DUMMY }, null);

export interface UprobeTarget {
  readonly path: string;
  /** Bytes from the start of the file. */
  readonly offset: number;
  /** Fires when the function returns. */
  readonly atReturn: boolean;
  readonly pid: number | null;
}

/**
 * Opens a probe in a file (Linux 4.17). Throws SysError; of `open` with ENOENT where the kernel has no uprobes.
 */
export function openUprobe(target: UprobeTarget): number {
  const pmu = probePmu("uprobe");
  const path = cString(target.path);
  const config = target.atReturn ? 1n << BigInt(pmu.returnBit) : 0n;
  const values = { type: pmu.type, config, uprobe_path: addressOf(path), probe_offset: target.offset };
  const fd = openEvent(values, target.pid);
  keepAlive(path);
  return fd;
}

export interface KprobeTarget {
  /** The one function of that name, or what begins at that address. */
  readonly place: string | bigint;
  /** Bytes from the start of the function. */
  readonly offset: number;
  readonly atReturn: boolean;
}

/** Opens a probe in the kernel (Linux 4.17). Throws SysError; of `open` with ENOENT where the kernel has no kprobes. */
export function openKprobe(target: KprobeTarget): number {
  const pmu = probePmu("kprobe");
  const config = target.atReturn ? 1n << BigInt(pmu.returnBit) : 0n;
  const { place, offset } = target;
  // kprobe_func and probe_offset share their places with uprobe_path and probe_offset; without a function, the offset's has
  // the address (kprobe_addr).
  if (typeof place === "bigint") {
    return openEvent({ type: pmu.type, config, kprobe_func: 0, probe_offset: place + BigInt(offset) }, null);
  }
  const name = cString(place);
  const fd = openEvent({ type: pmu.type, config, kprobe_func: addressOf(name), probe_offset: offset }, null);
  keepAlive(name);
  return fd;
}

/** How perf names a dynamic probe: numbers that the kernel hands out at boot. */
function probePmu(name: "uprobe" | "kprobe"): { readonly type: number; readonly returnBit: number } {
  const folder = `/sys/bus/event_source/devices/${name}`;
  const read = (file: string) => fileCall("open", () => readTextSync(`${folder}/${file}`).trim());
  const type = Number(read("type"));
  const returnBit = Number(/^config:(\d+)$/.exec(read("format/retprobe"))?.[1]);
  if (!Number.isSafeInteger(type) || !Number.isSafeInteger(returnBit)) {
    throw new Error(`"${folder}" describes probes in a way that is not known here`);
  }
  return { type, returnBit };
}
