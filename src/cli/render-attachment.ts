import type { LinkRecordAnswer } from "../domain/answer.ts";

/** Where a link is attached, in one cell: `eth0 ingress pos-0`, `sched/sched_switch`, `libc.so.6 malloc`. */
export function attachmentOf({ kind, details }: LinkRecordAnswer): string {
  switch (kind) {
    case "xdp":
      return `${details.interface} pos-${details.position}`;
    case "tc":
    case "tcx":
      return `${details.interface} ${details.direction} pos-${details.position}`;
    case "tracepoint":
      return `${details.group}/${details.name}`;
    case "uprobe":
    case "uretprobe":
      return `${details.target} ${details.fn_name ?? `+0x${details.offset.toString(16)}`}`;
    case "kprobe":
    case "kretprobe":
    case "fentry":
    case "fexit":
      return details.fn_name;
    case "lsm":
      return details.hook_name;
  }
}
