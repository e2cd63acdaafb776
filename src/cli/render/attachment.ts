import type { LinkRecordAnswer } from "../../domain/answer.ts";

/** Where a link is attached, in one cell: `eth0 ingress pos-0`, `sched/sched_switch`, `libc.so.6 malloc`. */
export function attachmentOf({ details }: Pick<LinkRecordAnswer, "details">): string {
  if ("interface" in details) {
    const direction = "direction" in details ? ` ${details.direction}` : "";
    return `${details.interface}${direction} pos-${details.position}`;
  }
  if ("group" in details) return `${details.group}/${details.name}`;
  if ("target" in details) return `${details.target} ${details.fn_name ?? `+0x${details.offset.toString(16)}`}`;
  return "hook_name" in details ? details.hook_name : details.fn_name;
}
