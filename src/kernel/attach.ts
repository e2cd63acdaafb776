import type { AttachedLink, KernelAttach } from "../platform/kernel.ts";
import { attachKprobe } from "./kprobe.ts";
import { attachedLink } from "./link-info.ts";
import { withPinnedProgram } from "./pin.ts";
import { attachTcx } from "./tcx.ts";
import { attachTracepoint } from "./tracepoint.ts";
import { attachTracing } from "./tracing.ts";
import { attachUprobe } from "./uprobe.ts";

/** Makes the link of each kind; answers its descriptor. */
function createLink(program: number, target: KernelAttach): number {
  switch (target.kind) {
    case "tracepoint":
      return attachTracepoint(program, target);
    case "uprobe":
    case "uretprobe":
      return attachUprobe(program, target);
    case "kprobe":
    case "kretprobe":
      return attachKprobe(program, target);
    case "fentry":
    case "fexit":
    case "lsm":
      return attachTracing(program, target);
    case "tcx":
      return attachTcx(program, target);
  }
}

export const attach = (programPin: string, target: KernelAttach): AttachedLink =>
  withPinnedProgram("attach", programPin, (program) => attachedLink(createLink(program, target)));
