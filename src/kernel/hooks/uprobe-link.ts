import { openUprobe } from "../../../ffi/safe/perf.ts";
import type { SysFailure } from "../../errors/error.ts";
import type { KernelAttach } from "../../platform/kernel.ts";
import { attempt, type Meaning } from "../kernel-failure.ts";
import { explainPerfLink, linkPerfEvent } from "./perf-link.ts";

export type UprobeAttach = Extract<KernelAttach, { kind: "uprobe" | "uretprobe" }>;

function explain(sys: SysFailure): Meaning | null {
  if (sys.call === "open") {
    return { code: "KERNEL_UNSUPPORTED", reason: "this kernel has no uprobes (CONFIG_UPROBE_EVENTS)" };
  }
  if (sys.call !== "perf_event_open") return explainPerfLink(sys);
  switch (sys.name) {
    case "ENOENT":
      return { code: "TARGET_NOT_FOUND", reason: "there is no such file" };
    case "ESRCH":
      return { code: "PROCESS_NOT_FOUND", reason: "there is no such process" };
    case "EINVAL":
      return {
        code: "ATTACH_FAILED",
        reason: "the kernel does not allow a probe at that place in the file",
        hint: PLACE_HINT,
      };
    case "ENOTSUPP":
    case "EOPNOTSUPP":
      return { code: "ATTACH_FAILED", reason: "the kernel cannot probe the instruction there", hint: PLACE_HINT };
    default:
      return null;
  }
}

const PLACE_HINT = "the offset must be the start of an instruction inside an executable or library";

/**
 * Returns the descriptor of the new link. Throws TARGET_NOT_FOUND, PROCESS_NOT_FOUND, KERNEL_UNSUPPORTED,
 * ATTACH_FAILED.
 */
export function attachUprobe(program: number, target: UprobeAttach): number {
  const { kind, path, fileOffset, pid } = target;
  const whose = pid === null ? "" : ` of process ${pid}`;
  const create = {
    action: `attach ${kind} to "${path}" at offset ${fileOffset}${whose}`,
    code: "ATTACH_FAILED",
    explain,
  } as const;
  return attempt(create, () =>
    linkPerfEvent(program, () => openUprobe({ path, offset: fileOffset, atReturn: kind === "uretprobe", pid })),
  );
}
