import { readTextSync } from "../../../ffi/safe/file-system.ts";
import { openCountedEvent } from "../../../ffi/safe/perf.ts";
import { perfEventNumbers } from "../../domain/perf-events.ts";
import type { SysFailure } from "../../errors/error.ts";
import type { KernelAttach } from "../../platform/kernel.ts";
import { attempt, type Meaning } from "../kernel-failure.ts";
import { explainPerfLink, linkPerfEvent } from "./perf-link.ts";

export type PerfEventAttach = Extract<KernelAttach, { kind: "perf_event" }>;

/** The largest frequency that the kernel accepts, in Hz; null where it says none. */
function highestFrequency(): number | null {
  try {
    return Number(readTextSync("/proc/sys/kernel/perf_event_max_sample_rate"));
  } catch {
    return null;
  }
}

function explain(sys: SysFailure, { event, cpu, pid, frequency }: PerfEventAttach): Meaning | null {
  if (sys.call !== "perf_event_open") return explainPerfLink(sys);
  switch (sys.name) {
    case "ENOENT":
    case "EOPNOTSUPP":
    case "ENOTSUPP":
      return {
        code: "KERNEL_UNSUPPORTED",
        reason: `this machine does not count "${event}"`,
        hint: perfEventNumbers(event).hardware
          ? "hardware events need counters of the processor (a PMU), which few virtual machines have; cpu-clock works everywhere"
          : "this kernel was built without that event",
      };
    case "ENODEV":
    case "ENXIO":
      return {
        code: "INVALID_ATTACH",
        reason: `processor ${cpu} is not online`,
        hint: "see /sys/devices/system/cpu/online",
      };
    case "ESRCH":
      return { code: "PROCESS_NOT_FOUND", reason: `no process has pid ${pid}` };
    case "EINVAL": {
      const highest = highestFrequency();
      if (frequency !== null && highest !== null && frequency > highest) {
        return {
          code: "INVALID_ATTACH",
          reason: `this kernel allows at most ${highest} times per second`,
          hint: "see the sysctl kernel.perf_event_max_sample_rate",
        };
      }
      return cpu === null
        ? null
        : {
            code: "INVALID_ATTACH",
            reason: `there is no processor ${cpu}`,
            hint: "see /sys/devices/system/cpu/online",
          };
    }
    default:
      return null;
  }
}

/**
 * Returns the descriptor of the new link. Throws KERNEL_UNSUPPORTED, PROCESS_NOT_FOUND, INVALID_ATTACH, ATTACH_FAILED.
 */
export function attachPerfEvent(program: number, target: PerfEventAttach): number {
  const { event, ...counted } = target;
  const { hardware, config } = perfEventNumbers(event);
  return attempt(
    { action: `attach to event "${event}"`, code: "ATTACH_FAILED", explain: (sys) => explain(sys, target) },
    () => linkPerfEvent(program, () => openCountedEvent({ ...counted, hardware, config })),
  );
}
