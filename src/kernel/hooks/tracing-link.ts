import { createTracingLink } from "../../../ffi/safe/bpf-link.ts";
import type { TracingDetails } from "../../domain/link.ts";
import type { SysFailure } from "../../errors/error.ts";
import type { KernelAttach } from "../../platform/kernel.ts";
import { permissionHint } from "../explain/on-demand.ts";
import { attempt, type Meaning } from "../kernel-failure.ts";

export type TracingAttach = Extract<KernelAttach, { kind: TracingDetails["kind"] }>;

const ATTACH_TYPES = {
  fentry: "TRACE_FENTRY",
  fexit: "TRACE_FEXIT",
  lsm: "LSM_MAC",
  tp_btf: "TRACE_RAW_TP",
  fmod_ret: "MODIFY_RETURN",
} as const;

function explain(sys: SysFailure, kind: TracingAttach["kind"]): Meaning | null {
  switch (sys.name) {
    case "EPERM":
      return { code: "KERNEL_REFUSED", hint: permissionHint(kind) };
    case "EBUSY":
      return {
        code: "ALREADY_ATTACHED",
        reason: "the program is already attached to its function, or something else holds it",
        hint: 'see "bpfman list links"; a program of this kind attaches once: load it again to attach it twice',
      };
    case "E2BIG":
      return { code: "ATTACH_FAILED", reason: "the function has as many programs as the kernel allows" };
    case "ENOTSUPP":
    case "EOPNOTSUPP":
      return { code: "KERNEL_UNSUPPORTED", reason: "this kernel has no BPF trampolines on this architecture" };
    default:
      return null;
  }
}

/** Returns the descriptor of the new link. Throws ALREADY_ATTACHED, KERNEL_UNSUPPORTED, ATTACH_FAILED. */
export const attachTracing = (program: number, { kind }: TracingAttach): number =>
  attempt({ action: `attach ${kind}`, code: "ATTACH_FAILED", explain: (sys) => explain(sys, kind) }, () =>
    createTracingLink(program, ATTACH_TYPES[kind]),
  );
