import type { Pin } from "../../domain/pin.ts";
import type { AttachedLink, KernelAttach } from "../../platform/kernel.ts";
import { attachedLink } from "../read-info.ts";
import { withPinned } from "../pin.ts";

/** Makes the link of each kind; answers its descriptor. Each kind is fetched when it is attached (open-kernel.ts says why). */
function createLink(program: number, target: KernelAttach): number {
  switch (target.kind) {
    case "tracepoint":
      return (require("./tracepoint-link.ts") as typeof import("./tracepoint-link.ts")).attachTracepoint(
        program,
        target,
      );
    case "uprobe":
    case "uretprobe":
      return (require("./uprobe-link.ts") as typeof import("./uprobe-link.ts")).attachUprobe(program, target);
    case "kprobe":
    case "kretprobe":
      return (require("./kprobe-link.ts") as typeof import("./kprobe-link.ts")).attachKprobe(program, target);
    case "fentry":
    case "fexit":
    case "lsm":
      return (require("./tracing-link.ts") as typeof import("./tracing-link.ts")).attachTracing(program, target);
    case "tcx":
      return (require("./tcx-link.ts") as typeof import("./tcx-link.ts")).attachTcx(program, target);
  }
}

export const attach = (program: Pin, target: KernelAttach): AttachedLink =>
  withPinned("attach", program, (fd) => attachedLink(createLink(fd, target)));
