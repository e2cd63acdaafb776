import type { LinkRecordAnswer } from "../../domain/answer.ts";

type Place = Extract<LinkRecordAnswer, { kind: "xdp" | "tc" | "tcx" }>["details"];

const placeOn = (interfaceAndDirection: string, { netns, nsid, position }: Place): string =>
  `${interfaceAndDirection} ${nsid === 0 ? "(gone)" : `pos-${position}`}${netns === null ? "" : ` ${netns}`}`;

/**
 * Describes in one table cell where a link is attached: `eth0 ingress pos-0`, with the namespace file if one was named,
 * `sched/sched_switch`, `libc.so.6 malloc`.
 */
export function attachmentOf({ kind, details }: LinkRecordAnswer): string {
  switch (kind) {
    case "xdp":
      return placeOn(details.interface, details);
    case "tc":
    case "tcx":
      return placeOn(`${details.interface} ${details.direction}`, details);
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
