import { DISPATCHER_TYPES, type DispatcherRecord } from "../domain/dispatcher.ts";
import { XDP_MODES } from "../domain/config.ts";
import { kernelLinkId, programId } from "../domain/ids.ts";
import { type Fields, id, nullable, oneOf, text, whole } from "./decode.ts";

const type = oneOf(DISPATCHER_TYPES);
const mode = nullable(oneOf(XDP_MODES));
const optionalText = nullable(text);
const optionalId = nullable(id);
const optionalNumber = nullable(whole(0));

/** Throws Undecodable. */
export function dispatcherRecord(row: Fields): DispatcherRecord {
  const program = optionalId(row.program_id, "program_id");
  const link = optionalId(row.kernel_link_id, "kernel_link_id");
  const priority = optionalNumber(row.filter_priority, "filter_priority");
  const handle = optionalNumber(row.filter_handle, "filter_handle");
  return {
    type: type(row.type, "type"),
    nsid: whole(1)(row.nsid, "nsid"),
    ifindex: whole(1)(row.ifindex, "ifindex"),
    interface: text(row.interface, "interface"),
    netns: optionalText(row.netns, "netns"),
    revision: whole(0)(row.revision, "revision"),
    pendingRevision: optionalNumber(row.pending_revision, "pending_revision"),
    programId: program === null ? null : programId(program),
    kernelLinkId: link === null ? null : kernelLinkId(link),
    filter: priority === null || handle === null ? null : { priority, handle },
    mode: mode(row.mode, "mode"),
  };
}
