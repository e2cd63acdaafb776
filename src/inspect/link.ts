/** A link's record and what the kernel and the disk say of it now, side by side. */
import type { LinkAnswer, LinkDetailsAnswer, LinkRecordAnswer } from "../domain/answer.ts";
import type { LinkId } from "../domain/ids.ts";
import { attachTypeWord, linkTypeWord } from "../domain/kernel-words.ts";
import type { InterfaceRef, LinkDetails, LinkRecord } from "../domain/link.ts";
import { comparePlaces } from "../dispatcher/order.ts";
import type { Host } from "../platform/host.ts";

/** Identifies the hook that a network link shares with others; null for links that have their hook alone. */
export function hookKey(details: LinkDetails): string | null {
  switch (details.kind) {
    case "xdp":
      return `xdp:${details.nsid}:${details.ifindex}`;
    case "tc":
    case "tcx":
      return `${details.kind}:${details.nsid}:${details.ifindex}:${details.direction}`;
    default:
      return null;
  }
}

/** Position of every network link among bpfman's own links on its hook, from 0: derived, never stored. */
export function positionsOf(links: readonly LinkRecord[]): ReadonlyMap<LinkId, number> {
  const hooks = new Map<string, { readonly id: LinkId; readonly priority: number }[]>();
  for (const { id, details } of links) {
    const key = hookKey(details);
    if (key === null || !("priority" in details)) continue;
    const places = hooks.get(key) ?? [];
    places.push({ id, priority: details.priority });
    hooks.set(key, places);
  }
  const positions = new Map<LinkId, number>();
  for (const places of hooks.values()) {
    places.sort(comparePlaces).forEach((place, position) => positions.set(place.id, position));
  }
  return positions;
}

function networkDetails(details: InterfaceRef & { readonly priority: number }, position: number) {
  const { interface: name, ifindex, priority, netns, nsid } = details;
  return { interface: name, ifindex, priority, position, netns, nsid };
}

function detailsAnswer(details: LinkDetails, position: number): LinkDetailsAnswer {
  switch (details.kind) {
    case "tcx":
      return { ...networkDetails(details, position), direction: details.direction };
    case "xdp":
      return { ...networkDetails(details, position), proceed_on: details.proceedOn, dispatcher_id: 0, revision: 0 };
    case "tc":
      return {
        ...networkDetails(details, position),
        direction: details.direction,
        proceed_on: details.proceedOn,
        dispatcher_id: 0,
        revision: 0,
      };
    case "tracepoint":
      return { group: details.group, name: details.name };
    case "kprobe":
    case "kretprobe":
      return { fn_name: details.fnName, offset: details.offset, retprobe: details.kind === "kretprobe" };
    case "uprobe":
    case "uretprobe":
      return {
        target: details.target,
        fn_name: details.fnName,
        offset: details.offset,
        pid: details.pid,
        retprobe: details.kind === "uretprobe",
        container_pid: details.containerPid,
      };
    case "fentry":
    case "fexit":
    case "lsm":
      return { fn_name: details.fnName };
  }
}

export function linkRecordAnswer(record: LinkRecord, position: number): LinkRecordAnswer {
  return {
    id: record.id,
    program_id: record.programId,
    kernel_link_id: record.kernelLinkId,
    kind: record.details.kind,
    pin_path: record.pinPath,
    details: detailsAnswer(record.details, position),
    created_at: record.createdAt.toISOString(),
    metadata: record.metadata,
  };
}

/** Answers for some of the links that the store holds. */
export function linkAnswers(host: Host, records: readonly LinkRecord[]): LinkAnswer[] {
  if (records.length === 0) return [];
  const positions = positionsOf(host.store.links());
  return records.map((record) => {
    const kernel = record.kernelLinkId === null ? null : host.kernel.link(record.kernelLinkId);
    // The kernel re-uses ids: a link that runs another program is not this one.
    const ours = kernel !== null && kernel.programId === record.programId ? kernel : null;
    return {
      record: linkRecordAnswer(record, positions.get(record.id) ?? 0),
      status: {
        kernel: ours && {
          id: ours.id,
          program_id: ours.programId,
          link_type: linkTypeWord(ours.type),
          attach_type: ours.attachType === null ? null : attachTypeWord(ours.attachType),
        },
        kernel_seen: ours !== null,
        pin_present: host.pins.exists(record.pinPath),
        function_name: host.store.program(record.programId)?.name ?? null,
      },
    };
  });
}

export function linkAnswer(host: Host, record: LinkRecord): LinkAnswer {
  return linkAnswers(host, [record])[0] as LinkAnswer;
}
