import type { Pin } from "../domain/pin.ts";
import type { AttachedLink, KernelAttach } from "../platform/kernel.ts";
import { attachedLink } from "./link-info.ts";
import { withPinned } from "./pin.ts";

/** Makes the link of each kind; answers its descriptor. Each kind is fetched when it is attached (kernel.ts says why). */
function createLink(program: number, target: KernelAttach): number {
  switch (target.kind) {
    case "tracepoint":
      return (require("./tracepoint.ts") as typeof import("./tracepoint.ts")).attachTracepoint(program, target);
    case "uprobe":
    case "uretprobe":
      return (require("./uprobe.ts") as typeof import("./uprobe.ts")).attachUprobe(program, target);
    case "kprobe":
    case "kretprobe":
      return (require("./kprobe.ts") as typeof import("./kprobe.ts")).attachKprobe(program, target);
    case "fentry":
    case "fexit":
    case "lsm":
      return (require("./tracing.ts") as typeof import("./tracing.ts")).attachTracing(program, target);
    case "tcx":
      return (require("./tcx.ts") as typeof import("./tcx.ts")).attachTcx(program, target);
  }
}

export const attach = (program: Pin, target: KernelAttach): AttachedLink =>
  withPinned("attach", program, (fd) => attachedLink(createLink(fd, target)));
