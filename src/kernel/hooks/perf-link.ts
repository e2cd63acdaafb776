import { readTextSync } from "../../../ffi/safe/file-system.ts";
import { closeFd } from "../../../ffi/safe/libc.ts";
import { createPerfLink } from "../../../ffi/safe/bpf-link.ts";
import type { SysFailure } from "../../errors/error.ts";
import { feature } from "../explain/on-demand.ts";
import type { Meaning } from "../kernel-failure.ts";

/**
 * Creates a link between a program and the perf event that `open` opens. The link holds a reference to the event, so
 * the event's own descriptor is closed. Throws SysError.
 */
export function linkPerfEvent(program: number, open: () => number): number {
  const event = open();
  try {
    return createPerfLink(program, event);
  } finally {
    closeFd(event);
  }
}

/**
 * A tracepoint accepts each program once (EEXIST from bpf_prog_array_copy) and at most 64 programs; each probe is an
 * event of its own. Kernels before 5.15 lack perf event links and return EINVAL, as newer ones do for an unsuitable
 * program.
 */
export function explainPerfLink(sys: SysFailure): Meaning | null {
  if (sys.call !== "bpf(BPF_LINK_CREATE)") return null;
  if (sys.name === "EEXIST") {
    return {
      code: "ALREADY_ATTACHED",
      reason: "the program is already attached there",
      hint: "a tracepoint takes each program once: load it again to attach it twice",
    };
  }
  if (sys.name === "E2BIG") return { code: "ATTACH_FAILED", reason: "it has as many programs as the kernel allows" };
  if (sys.name !== "EINVAL" || feature("perfLink").available) return null;
  const release = readTextSync("/proc/sys/kernel/osrelease").trim();
  return {
    code: "KERNEL_UNSUPPORTED",
    reason: `links of tracepoints and probes need Linux 5.15 or newer, this is ${release}`,
  };
}
