import { createKprobeMultiLink } from "../../../ffi/safe/bpf-link.ts";
import type { SysFailure } from "../../errors/error.ts";
import type { KernelAttach } from "../../platform/kernel.ts";
import { attempt, type Meaning } from "../kernel-failure.ts";

export type KprobeMultiAttach = Extract<KernelAttach, { kind: "kprobe.multi" | "kretprobe.multi" }>;

function explain(sys: SysFailure): Meaning | null {
  switch (sys.name) {
    case "EOPNOTSUPP":
    case "ENOTSUPP":
      return {
        code: "KERNEL_UNSUPPORTED",
        reason: "this kernel cannot probe several functions at once (CONFIG_FPROBE, Linux 5.18)",
        hint: "kprobe programs attach to one function each",
      };
    case "ESRCH":
    case "ENOENT":
      return {
        code: "ATTACH_FAILED",
        reason: "one of the functions cannot be traced",
        hint: "see available_filter_functions in the tracing file system, and choose a narrower pattern",
      };
    default:
      return null;
  }
}

/** Returns the descriptor of the new link. Throws KERNEL_UNSUPPORTED, ATTACH_FAILED. */
export const attachKprobeMulti = (program: number, { kind, pattern, functions }: KprobeMultiAttach): number =>
  attempt({ action: `attach ${kind} to "${pattern}" (${functions.length})`, code: "ATTACH_FAILED", explain }, () =>
    createKprobeMultiLink(program, { functions, atReturn: kind === "kretprobe.multi" }),
  );
