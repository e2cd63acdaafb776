import { createUprobeMultiLink } from "../../../ffi/safe/bpf-link.ts";
import type { SysFailure } from "../../errors/error.ts";
import type { KernelAttach } from "../../platform/kernel.ts";
import { attempt, type Meaning } from "../kernel-failure.ts";

export type UprobeMultiAttach = Extract<KernelAttach, { kind: "uprobe.multi" | "uretprobe.multi" }>;

function explain(sys: SysFailure): Meaning | null {
  switch (sys.name) {
    case "EOPNOTSUPP":
    case "ENOTSUPP":
      return {
        code: "KERNEL_UNSUPPORTED",
        reason: "this kernel cannot probe several functions at once (CONFIG_UPROBES, Linux 6.6), or not all of these",
        hint: "uprobe programs attach to one function each",
      };
    case "ENOENT":
      return { code: "TARGET_NOT_FOUND", reason: "there is no such file" };
    case "ESRCH":
      return { code: "PROCESS_NOT_FOUND", reason: "there is no such process" };
    default:
      return null;
  }
}

/** Returns the descriptor of the new link. Throws TARGET_NOT_FOUND, PROCESS_NOT_FOUND, KERNEL_UNSUPPORTED, ATTACH_FAILED. */
export const attachUprobeMulti = (program: number, { kind, path, offsets, pid }: UprobeMultiAttach): number =>
  attempt(
    { action: `attach ${kind} to ${offsets.length} functions of "${path}"`, code: "ATTACH_FAILED", explain },
    () => createUprobeMultiLink(program, { path, offsets, atReturn: kind === "uretprobe.multi", pid }),
  );
