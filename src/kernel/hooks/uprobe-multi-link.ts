import { createTooManyUprobes, createUprobeMultiLink } from "../../../ffi/safe/bpf-link.ts";
import { closeFd } from "../../../ffi/safe/libc.ts";
import type { SysFailure } from "../../errors/error.ts";
import { sysFailure } from "../../errors/sys-failure.ts";
import type { KernelAttach } from "../../platform/kernel.ts";
import { attempt, type Meaning } from "../kernel-failure.ts";

export type UprobeMultiAttach = Extract<KernelAttach, { kind: "uprobe.multi" | "uretprobe.multi" }>;

/** Reports whether the kernel knows links with many uprobes. */
function isKnown(program: number): boolean {
  try {
    closeFd(createTooManyUprobes(program));
    return true;
  } catch (thrown) {
    return sysFailure(thrown)?.name !== "EINVAL";
  }
}

function explain(sys: SysFailure, program: number): Meaning | null {
  switch (sys.name) {
    case "EINVAL":
      return isKnown(program)
        ? null
        : {
            code: "KERNEL_UNSUPPORTED",
            reason: "probes of several functions of a file need Linux 6.6 or newer",
            hint: ONE_EACH,
          };
    case "EOPNOTSUPP":
    case "ENOTSUPP":
      return {
        code: "KERNEL_UNSUPPORTED",
        reason: "this kernel has no uprobes (CONFIG_UPROBES), or cannot probe an instruction of one of the functions",
        hint: ONE_EACH,
      };
    case "ENOENT":
      return { code: "TARGET_NOT_FOUND", reason: "there is no such file" };
    case "ESRCH":
      return { code: "PROCESS_NOT_FOUND", reason: "there is no such process" };
    default:
      return null;
  }
}

const ONE_EACH = "uprobe programs attach to one function each";

/** Returns the descriptor of the new link. Throws TARGET_NOT_FOUND, PROCESS_NOT_FOUND, KERNEL_UNSUPPORTED, ATTACH_FAILED. */
export const attachUprobeMulti = (program: number, { kind, path, offsets, pid }: UprobeMultiAttach): number =>
  attempt(
    {
      action: `attach ${kind} to ${offsets.length} functions of "${path}"`,
      code: "ATTACH_FAILED",
      explain: (sys) => explain(sys, program),
    },
    () => createUprobeMultiLink(program, { path, offsets, atReturn: kind === "uretprobe.multi", pid }),
  );
