import type { AttachTypeName, ProgramTypeName } from "../../ffi/safe/bpf-object.ts";
import type { ProgramType } from "../domain/program.ts";

/** What the kernel is told a program of ours is. */
export interface KernelType {
  readonly type: ProgramTypeName;
  readonly expectedAttachType: AttachTypeName | null;
}

/**
 * tc and tcx programs are the same to the kernel: without an expected attach type one can go to clsact and to both sides
 * of TCX. Likewise uprobes: with the attach type of a multi-probe they could be attached to nothing else.
 */
export function kernelTypeOf(type: ProgramType): KernelType {
  switch (type) {
    case "xdp":
      return { type: "XDP", expectedAttachType: "XDP" };
    case "tc":
    case "tcx":
      return { type: "SCHED_CLS", expectedAttachType: null };
    case "tracepoint":
      return { type: "TRACEPOINT", expectedAttachType: null };
    case "kprobe":
    case "kretprobe":
    case "uprobe":
    case "uretprobe":
      return { type: "KPROBE", expectedAttachType: null };
    case "fentry":
      return { type: "TRACING", expectedAttachType: "TRACE_FENTRY" };
    case "fexit":
      return { type: "TRACING", expectedAttachType: "TRACE_FEXIT" };
    case "lsm":
      return { type: "LSM", expectedAttachType: "LSM_MAC" };
  }
}
