import { DISPATCHER_TYPES, type DispatcherRecord, type DispatcherSeat } from "../domain/dispatcher.ts";
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
  return {
    nsid: whole(1)(row.nsid, "nsid"),
    ifindex: whole(1)(row.ifindex, "ifindex"),
    interface: text(row.interface, "interface"),
    netns: optionalText(row.netns, "netns"),
    revision: whole(0)(row.revision, "revision"),
    pendingRevision: optionalNumber(row.pending_revision, "pending_revision"),
    programId: program === null ? null : programId(program),
    ...seat(row),
  };
}

function seat(row: Fields): DispatcherSeat {
  const hook = type(row.type, "type");
  if (hook === "xdp") {
    const link = optionalId(row.kernel_link_id, "kernel_link_id");
    return { type: hook, kernelLinkId: link === null ? null : kernelLinkId(link), mode: mode(row.mode, "mode") };
  }
  const priority = whole(0)(row.filter_priority, "filter_priority");
  return { type: hook, filter: { priority, handle: whole(0)(row.filter_handle, "filter_handle") } };
}
