import { proceedOnMask } from "../dispatcher/dispatcher-config.ts";
import type { DispatcherAnswer, DispatcherMemberAnswer, SeenDispatcherAnswer } from "../domain/answer.ts";
import { type DispatcherKey, type DispatcherRecord, dispatcherTypeOf } from "../domain/dispatcher.ts";
import { type ChainDetails, isChained, type LinkRecord } from "../domain/link.ts";
import type { Attachments } from "./attachment.ts";
import type { Host } from "../platform/host.ts";

type ChainLink = LinkRecord & { readonly details: ChainDetails };

function isOn(link: LinkRecord, key: DispatcherKey): link is ChainLink {
  const { details } = link;
  if (!isChained(details)) return false;
  return dispatcherTypeOf(details) === key.type && details.nsid === key.nsid && details.ifindex === key.ifindex;
}

interface Around {
  readonly links: readonly LinkRecord[];
  readonly attachments: Attachments;
}

/** The answer for a dispatcher, with its current state. */
export const seenDispatcher = (record: DispatcherRecord, { links, attachments }: Around): SeenDispatcherAnswer => ({
  ...dispatcherAnswer(record, links),
  attachment: attachments.ofDispatcher(record),
});

export function dispatcherAnswer(record: DispatcherRecord, links: readonly LinkRecord[]): DispatcherAnswer {
  const { type, nsid, ifindex } = record;
  const seat =
    record.type === "xdp"
      ? { kernel_link_id: record.kernelLinkId, mode: record.mode }
      : { filter_priority: record.filter.priority, filter_handle: record.filter.handle };
  const members = links.filter((link) => isOn(link, record));
  return {
    key: { type, nsid, ifindex },
    interface: record.interface,
    revision: record.revision,
    mode: members.some((link) => link.programId === record.programId) ? "direct" : "chain",
    runtime: { program_id: record.programId, ...seat, netns_path: record.netns },
    member_count: members.length,
  };
}

/** The members by position. */
export function memberAnswers(host: Host, record: DispatcherRecord): DispatcherMemberAnswer[] {
  const links = host.store.links().filter((link): link is ChainLink => isOn(link, record));
  return links
    .sort((a, b) => a.details.position - b.details.position)
    .map((link) => {
      const program = host.store.program(link.programId);
      const { kind, position, priority, proceedOn } = link.details;
      return {
        program_id: link.programId,
        program_name: program?.name ?? "",
        prog_pin_path: program?.pinPath ?? "",
        link_id: link.id,
        kernel_link_id: link.kernelLinkId,
        link_pin_path: link.pinPath === "" ? null : link.pinPath,
        position,
        priority,
        proceed_on: proceedOnMask(kind, proceedOn),
        ifname: link.details.interface,
        metadata: link.metadata,
      };
    });
}
