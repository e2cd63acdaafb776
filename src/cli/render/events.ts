/** Lines of the commands that print as it comes. */
import type { LinkRecordAnswer, TraceLineAnswer } from "../../domain/answer.ts";
import { printable } from "../../domain/printable.ts";
import type { WatchedChange } from "../command.ts";
import { attachmentOf } from "./attachment.ts";

/** `bash-4711 [001] 4321.123456: hello`. */
export function renderTraceLine({ task, pid, cpu, at_seconds: at, message, lost }: TraceLineAnswer): string {
  const processor = `[${String(cpu).padStart(3, "0")}]`;
  if (lost !== undefined) return `${processor} ${lost} lines lost\n`;
  return `${printable(`${task}-${pid} ${processor} ${at?.toFixed(6)}: ${message}`)}\n`;
}

/** `2026-01-02T03:04:05.678Z attached link 7: program 63178 (xdp) to eth0 pos-0`. */
export function renderChange(change: WatchedChange): string {
  switch (change.kind) {
    case "events/didDrop":
      return `${change.count} changes are not known any more`;
    case "program/didLoad":
    case "program/didUnload": {
      const { load } = change.record ?? {};
      const what = load === undefined ? "" : ` (${load.program_type} ${load.program_name})`;
      return `${change.at} ${change.kind === "program/didLoad" ? "loaded" : "unloaded"} program ${change.program_id}${what}`;
    }
    case "link/didAttach":
      return `${change.at} attached link ${change.link_id}: ${linkOf(change)}`;
    case "link/didUpdate":
      return `${change.at} changed link ${change.link_id}: ${linkOf(change)}`;
    case "link/didDetach":
      return `${change.at} detached link ${change.link_id}: ${linkOf(change)}`;
    case "dispatcher/didChange": {
      const { type, nsid, ifindex } = change.key;
      const { dispatcher } = change;
      const members = dispatcher === null ? "removed" : `${dispatcher.member_count} members`;
      return `${change.at} chain ${type} ${nsid} ${ifindex}: ${members}`;
    }
  }
}

const linkOf = ({
  program_id,
  record,
}: {
  readonly program_id: number;
  readonly record: LinkRecordAnswer | null;
}): string => `program ${program_id}${record === null ? "" : ` (${record.kind}) on ${attachmentOf(record, null)}`}`;
