import { PERF_EVENT_ATTR, PERF_SOFTWARE, PERF_TYPE } from "../layout/generated.ts";
import { encode, type FieldValues } from "../layout/struct.ts";
import { addressOf, cString, keepAlive, type Memory } from "../memory.ts";
import { fileCall, SysError } from "../sys-error.ts";
import { readTextSync } from "./file-system.ts";
import { syscall } from "./libc.ts";

const PERF_FLAG_FD_CLOEXEC = 8;
const NO_GROUP = -1;

/**
/**
 * perf_event_open(2) for one process, or for all processes if null. Without a PID, the event needs a CPU. For most, any will
 * do: BPF programs on a tracepoint or probe run on all of them. Throws SysError.
 */
const openEvent = (values: FieldValues<typeof PERF_EVENT_ATTR>, pid: number | null, cpu = 0): number =>
  openOn(encode(PERF_EVENT_ATTR, { ...values, size: PERF_EVENT_ATTR.size }), pid ?? -1, pid === null ? cpu : -1);

function openOn(attr: Memory, pid: number, cpu: number): number {
  const fd = syscall("perf_event_open", addressOf(attr), pid, cpu, NO_GROUP, PERF_FLAG_FD_CLOEXEC);
  keepAlive(attr);
  if (fd < 0) throw new SysError("perf_event_open", -fd);
  return fd;
}

/** Opens the tracepoint with that ID (events/GROUP/NAME/id in tracefs). Throws SysError. */
export const openTracepoint = (id: number): number => openEvent({ type: PERF_TYPE.TRACEPOINT, config: id }, null);

/** Opens an event that never fires. Throws SysError. */
export const openDummyEvent = (): number => openEvent({ type: PERF_TYPE.SOFTWARE, config: PERF_SOFTWARE.DUMMY }, null);

export interface CountedEvent {
  readonly hardware: boolean;
  /** PERF_COUNT_* */
  readonly config: number;
  /** Null for all processors, of one process. */
  readonly cpu: number | null;
  /** Null for all processes, on one processor. */
  readonly pid: number | null;
  /** Overflows after so many events, or so many times per second: one of them is null. */
  readonly period: number | null;
  readonly frequency: number | null;
}

/**
 * Opens a counter of the kernel or of the processor. Throws SysError: ENOENT or EOPNOTSUPP if there is none, EINVAL for a
 * CPU that does not exist or too high a frequency, ENODEV for one that is offline.
 */
export function openCountedEvent({ hardware, config, cpu, pid, period, frequency }: CountedEvent): number {
  const attr = encode(PERF_EVENT_ATTR, {
    type: hardware ? PERF_TYPE.HARDWARE : PERF_TYPE.SOFTWARE,
    size: PERF_EVENT_ATTR.size,
    config,
    // Its place is also that of sample_freq.
    sample_period: period ?? frequency ?? 0,
  });
  const { offset, mask } = PERF_EVENT_ATTR.freq;
  if (frequency !== null) attr[offset] = (attr[offset] ?? 0) | mask;
  return openOn(attr, pid ?? -1, cpu ?? -1);
}

/** PERF_SAMPLE_RAW, PERF_FORMAT_LOST (include/uapi/linux/perf_event.h). */
const SAMPLE_RAW = 1 << 10;
const FORMAT_LOST = 1 << 4;

/**
 * Opens what receives the bytes that BPF programs put out on that CPU (bpf_perf_event_output). Reading the descriptor
 * gives two numbers, of which the second counts those that were lost (Linux 6.0). Throws SysError; EINVAL on a kernel
 * that cannot count them, unless `counts` is false.
 */
export const openBpfOutput = (cpu: number, counts: boolean): number =>
  openEvent(
    {
      type: PERF_TYPE.SOFTWARE,
      config: PERF_SOFTWARE.BPF_OUTPUT,
      sample_type: SAMPLE_RAW,
      sample_period: 1,
      wakeup_events: 1,
      read_format: counts ? FORMAT_LOST : 0,
    },
    null,
    cpu,
  );

export interface UprobeTarget {
  readonly path: string;
  /** Bytes from the start of the file. */
  readonly offset: number;
  /** Fires when the function returns. */
  readonly atReturn: boolean;
  readonly pid: number | null;
}

/** Opens a uprobe in a file (Linux 4.17). Throws SysError; `open` with ENOENT if the kernel lacks uprobes. */
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

/** Opens a kprobe (Linux 4.17). Throws SysError; `open` with ENOENT if the kernel lacks kprobes. */
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

/** The PMU of a dynamic probe, whose numbers the kernel assigns at boot. */
function probePmu(name: "uprobe" | "kprobe"): { readonly type: number; readonly returnBit: number } {
  const directory = `/sys/bus/event_source/devices/${name}`;
  const read = (file: string) => fileCall("open", () => readTextSync(`${directory}/${file}`).trim());
  const type = Number(read("type"));
  const returnBit = Number(/^config:(\d+)$/.exec(read("format/retprobe"))?.[1]);
  if (!Number.isSafeInteger(type) || !Number.isSafeInteger(returnBit)) {
    throw new Error(`"${directory}" has a format unknown to bpfman`);
  }
  return { type, returnBit };
}
