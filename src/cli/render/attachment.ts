import type { AttachmentAnswer, LinkRecordAnswer } from "../../domain/answer.ts";

/** What has changed at the place, as it stands behind its name; nothing where it is as it was. */
export function changeOf(attachment: AttachmentAnswer | null): string {
  const reason = attachment?.reason ?? null;
  if (reason === null) return "";
  return reason === "interface-gone" ? " (gone)" : ` (${reason.replace("-", " ")})`;
}

/** What the interface is called now; its name at the attach where that cannot be seen. */
export const nameNow = (name: string, attachment: AttachmentAnswer | null): string => attachment?.interface ?? name;

type Place = Extract<LinkRecordAnswer, { kind: "xdp" | "tc" | "tcx" }>["details"];

function placeOn(details: Place, direction: string, attachment: AttachmentAnswer | null): string {
  const { netns, position } = details;
  const change = changeOf(attachment);
  const name = `${nameNow(details.interface, attachment)}${direction}`;
  return `${name}${change === "" ? ` pos-${position}` : change}${netns === null ? "" : ` ${netns}`}`;
}

/**
 * Describes in one table cell where a link is attached: `eth0 ingress pos-0`, with the namespace file if one was named,
 * `sched/sched_switch`, `libc.so.6 malloc`. Interfaces have their names of now, and what has gone is said.
 */
export function attachmentOf({ kind, details }: LinkRecordAnswer, attachment: AttachmentAnswer | null): string {
  switch (kind) {
    case "xdp":
      return placeOn(details, "", attachment);
    case "tc":
    case "tcx":
      return placeOn(details, ` ${details.direction}`, attachment);
    case "tracepoint":
      return `${details.group}/${details.name}`;
    case "kprobe.multi":
    case "kretprobe.multi":
      return `${details.pattern} (${details.functions})`;
    case "uprobe.multi":
    case "uretprobe.multi":
      return `${details.target} ${details.pattern} (${details.functions})${changeOf(attachment)}`;
    case "raw_tp":
    case "tp_btf":
      return details.tracepoint;
    case "iter":
      return `${details.iterator}${details.map_id === null ? "" : ` map ${details.map_id}`}`;
    case "perf_event":
      return [
        details.event,
        ...(details.cpu === null ? [] : [`cpu ${details.cpu}`]),
        ...(details.pid === null ? [] : [`pid ${details.pid}`]),
      ].join(" ");
    case "uprobe":
    case "uretprobe":
      return `${details.target} ${details.fn_name ?? `+0x${details.offset.toString(16)}`}${changeOf(attachment)}`;
    case "kprobe":
    case "kretprobe":
    case "fentry":
    case "fexit":
    case "fmod_ret":
      return details.fn_name;
    case "freplace":
      return `program ${details.target_program_id} ${details.fn_name}`;
    case "lsm":
      return details.hook_name;
    case "sk_lookup":
      return `${details.netns ?? "own network namespace"}${changeOf(attachment)}`;
    case "netfilter":
      return `${[details.protocol, details.hook, details.priority, details.netns]
        .filter((word) => word !== null)
        .join(" ")}${changeOf(attachment)}`;
    default: {
      const change = changeOf(attachment);
      return `${details.cgroup} ${details.attach_type}${change === "" ? ` pos-${details.position}` : change}`;
    }
  }
}
