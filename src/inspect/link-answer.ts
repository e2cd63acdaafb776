/** Answers for links: the stored record, and the current state in the kernel and on disk. */
import type { KernelLinkAnswer, LinkAnswer, LinkRecordAnswer } from "../domain/answer.ts";
import { type DispatcherRecord, dispatcherTypeOf } from "../domain/dispatcher.ts";
import type { LinkId, ProgramId } from "../domain/ids.ts";
import type { ProgramRecord } from "../domain/program.ts";
import { attachTypeWord, linkTypeWord } from "../domain/kernel-words.ts";
import {
  type CgroupDetails,
  type ChainDetails,
  type InterfaceRef,
  isChained,
  type LinkDetails,
  type LinkRecord,
  type TcxDetails,
} from "../domain/link.ts";
import { perfEventName } from "../domain/perf-events.ts";
import { type Attachments, attachmentsOf, remembered } from "./attachment.ts";
import { comparePlaces } from "../dispatcher/order.ts";
import type { Host } from "../platform/host.ts";
import type { KernelLink, KernelPort } from "../platform/kernel.ts";

/** A link of a kind of which the kernel keeps several on one hook, in an order that bpfman asks for. */
const isOrdered = (details: LinkDetails): details is TcxDetails | CgroupDetails =>
  details.kind === "tcx" || "cgroupId" in details;

/** Identifies the hook of a link that takes a program once; null for other kinds. */
export function hookKey(details: LinkDetails): string | null {
  if ("cgroupId" in details) return `cgroup:${details.cgroupId}:${details.attachType}`;
  if (details.kind === "sk_lookup") return `sk_lookup:${details.nsid}`;
  return details.kind === "tcx" ? `tcx:${details.nsid}:${details.ifindex}:${details.direction}` : null;
}

/**
 * Returns the position of each such link among bpfman's own links on its hook, from 0. It is computed rather than
 * stored, because the kernel keeps the order. XDP and TC links store their position, which is their slot.
 */
function positionsOf(links: readonly LinkRecord[]): ReadonlyMap<LinkId, number> {
  const hooks = new Map<string, { readonly id: LinkId; readonly priority: number }[]>();
  for (const { id, details } of links) {
    const key = hookKey(details);
    if (key === null || !isOrdered(details)) continue;
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

/** What the answer for a link needs besides its own row. */
export interface Surroundings {
  readonly positions: ReadonlyMap<LinkId, number>;
  readonly dispatchers: readonly DispatcherRecord[];
  readonly attachments: Attachments;
  readonly kernelLink: KernelPort["link"];
}

export function surroundingsOf(host: Host, links: readonly LinkRecord[]): Surroundings {
  const chained = links.some(({ details }) => isChained(details));
  const dispatchers = chained ? host.store.dispatchers() : [];
  const kernelLink = remembered(host.kernel.link);
  const attachments = attachmentsOf(host, { dispatchers, links, kernelLink });
  return { positions: positionsOf(links), dispatchers, attachments, kernelLink };
}

function dispatcherRecordOf(details: ChainDetails, dispatchers: readonly DispatcherRecord[]) {
  const type = dispatcherTypeOf(details);
  const { nsid, ifindex } = details;
  return dispatchers.find((each) => each.type === type && each.nsid === nsid && each.ifindex === ifindex);
}

/** The dispatcher of a chained link: its program and revision, zeros if there is none. */
function dispatcherOf(details: ChainDetails, dispatchers: readonly DispatcherRecord[]) {
  const found = dispatcherRecordOf(details, dispatchers);
  return { dispatcher_id: found?.programId ?? 0, revision: found?.revision ?? 0 };
}

function modeOf(details: ChainDetails, dispatchers: readonly DispatcherRecord[]) {
  const found = dispatcherRecordOf(details, dispatchers);
  return found?.type === "xdp" ? found.mode : null;
}

function networkDetails(details: InterfaceRef & { readonly priority: number }, position: number) {
  const { interface: name, ifindex, priority, netns, nsid } = details;
  return { interface: name, ifindex, priority, position, netns, nsid };
}

export function linkRecordAnswer(record: LinkRecord, around: Surroundings): LinkRecordAnswer {
  const { details } = record;
  const answer = <const Kind, Details>(kind: Kind, details: Details) => ({
    id: record.id,
    link_id: record.id,
    program_id: record.programId,
    kernel_link_id: record.kernelLinkId,
    kind,
    pin_path: record.pinPath === "" ? null : record.pinPath,
    details,
    created_at: record.createdAt.toISOString(),
    metadata: record.metadata,
  });
  if ("cgroupId" in details) {
    return answer(details.kind, {
      cgroup: details.cgroup,
      cgroup_id: details.cgroupId,
      attach_type: details.attachType.toLowerCase(),
      priority: details.priority,
      position: around.positions.get(record.id) ?? 0,
    });
  }
  switch (details.kind) {
    case "tcx":
      return answer(details.kind, {
        ...networkDetails(details, around.positions.get(record.id) ?? 0),
        direction: details.direction,
      });
    case "xdp":
      return answer(details.kind, {
        ...networkDetails(details, details.position),
        proceed_on: details.proceedOn,
        xdp_mode: modeOf(details, around.dispatchers),
        ...dispatcherOf(details, around.dispatchers),
      });
    case "tc":
      return answer(details.kind, {
        ...networkDetails(details, details.position),
        direction: details.direction,
        proceed_on: details.proceedOn,
        ...dispatcherOf(details, around.dispatchers),
      });
    case "tracepoint":
      return answer(details.kind, { group: details.group, name: details.name });
    case "raw_tp":
      return answer(details.kind, { tracepoint: details.name });
    case "kprobe":
    case "kretprobe": {
      const { kind, fnName, offset } = details;
      return answer(kind, { fn_name: fnName, offset, retprobe: kind === "kretprobe" });
    }
    case "uprobe":
    case "uretprobe":
      return answer(details.kind, {
        target: details.target,
        fn_name: details.fnName,
        offset: details.offset,
        pid: details.pid,
        retprobe: details.kind === "uretprobe",
        container_pid: details.containerPid,
      });
    case "tp_btf":
      return answer(details.kind, { tracepoint: details.fnName });
    case "kprobe.multi":
    case "kretprobe.multi": {
      const { kind, pattern, count: functions } = details;
      return answer(kind, { pattern, functions, retprobe: kind === "kretprobe.multi" });
    }
    case "uprobe.multi":
    case "uretprobe.multi": {
      const { kind, target, pattern, count: functions, pid, containerPid: container_pid } = details;
      return answer(kind, { target, pattern, functions, pid, retprobe: kind === "uretprobe.multi", container_pid });
    }
    case "iter":
      return answer(details.kind, { iterator: details.target, map_id: details.mapId });
    case "perf_event": {
      const { kind, ...about } = details;
      return answer(kind, about);
    }
    case "fentry":
    case "fexit":
    case "fmod_ret":
      return answer(details.kind, { fn_name: details.fnName });
    case "freplace":
      return answer(details.kind, { target_program_id: details.targetProgramId, fn_name: details.fnName });
    case "lsm":
      return answer(details.kind, { hook_name: details.fnName });
    case "sk_lookup":
      return answer(details.kind, { netns: details.netns, nsid: details.nsid });
    case "netfilter": {
      const { kind, protocol, hook, priority, defrag, netns, nsid } = details;
      return answer(kind, { protocol, hook, priority, defrag, netns, nsid });
    }
  }
}

/**
 * Converts a 64-bit number for JSON. A value that does not fit a double becomes a raw JSON value (JSON.rawJSON), which
 * `JSON.stringify` writes with all its digits and which must not be used in arithmetic.
 */
const exact = (value: bigint): number =>
  value <= Number.MAX_SAFE_INTEGER ? Number(value) : (rawJson.rawJSON(String(value)) as number);
/** ECMAScript's JSON.rawJSON, which TypeScript does not declare yet. */
const rawJson = JSON as unknown as { rawJSON(text: string): unknown };

/** The revision of a TCX link's hook; null if the hook no longer exists. */
function revisionOf(host: Host, details: LinkDetails): number | null {
  if (details.kind !== "tcx") return null;
  try {
    return exact(host.kernel.tcxState(details).revision);
  } catch {
    return null;
  }
}

function factsAnswer(host: Host, facts: KernelLink["facts"], details: LinkDetails) {
  switch (facts?.kind) {
    case undefined:
      return {};
    case "xdp":
      return { ifindex: facts.ifindex };
    case "tcx":
      return { ifindex: facts.ifindex, revision: revisionOf(host, details) };
    case "tracing": {
      const { targetObjectId, targetBtfId, cookie } = facts;
      return { target_obj_id: targetObjectId, target_btf_id: targetBtfId, cookie: exact(cookie) };
    }
    case "kprobe":
    case "kretprobe":
      return {
        perf_event_type: facts.kind,
        function: facts.functionName,
        offset: facts.offset,
        kprobe_address: exact(facts.address),
        kprobe_missed: exact(facts.missed),
        cookie: exact(facts.cookie),
      };
    case "uprobe":
    case "uretprobe":
      return {
        perf_event_type: facts.kind,
        file: facts.file,
        offset: facts.offset,
        cookie: exact(facts.cookie),
      };
    case "tracepoint":
      return { perf_event_type: facts.kind, tracepoint: facts.name, cookie: exact(facts.cookie) };
    case "raw_tp":
      return { tracepoint: facts.name, cookie: exact(facts.cookie) };
    case "kprobe.multi":
      return { functions: facts.count, retprobe: facts.atReturn, missed: exact(facts.missed) };
    case "uprobe.multi":
      return { functions: facts.count, retprobe: facts.atReturn, file: facts.file };
    case "iter":
      return { iterator: facts.target, map_id: facts.mapId };
    case "event":
      return {
        perf_event_type: facts.kind,
        event: perfEventName(facts.type, facts.config),
        cookie: exact(facts.cookie),
      };
    case "cgroup":
      return { cgroup_id: exact(facts.cgroupId) };
    case "netns":
      return { netns_ino: facts.inode };
    case "netfilter":
      return { pf: facts.protocol, hooknum: facts.hook, priority: facts.priority, flags: facts.flags };
  }
}

function kernelLinkAnswer(host: Host, link: KernelLink, details: LinkDetails): KernelLinkAnswer {
  return {
    id: link.id,
    program_id: link.programId,
    link_type: linkTypeWord(link.type),
    attach_type: link.attachType === null ? null : attachTypeWord(link.attachType),
    ...factsAnswer(host, link.facts, details),
  };
}

/** Reports whether it runs the link's program, or the program's twin in the dispatcher of the link's hook. */
function isOf({ programId, facts }: KernelLink, record: LinkRecord, { dispatchers }: Surroundings): boolean {
  if (programId === record.programId) return true;
  if (!isChained(record.details) || facts?.kind !== "tracing") return false;
  return facts.targetObjectId !== 0 && facts.targetObjectId === dispatcherOf(record.details, dispatchers).dispatcher_id;
}

/** Returns the kernel's link; null if it is gone. The kernel reuses IDs, so a link of another program is not this one. */
export function ownKernelLink(record: LinkRecord, around: Surroundings): KernelLink | null {
  const kernel = record.kernelLinkId === null ? null : around.kernelLink(record.kernelLinkId);
  return kernel !== null && isOf(kernel, record, around) ? kernel : null;
}

/** Reports whether the hook's filter runs a TC program: one that runs directly has no link in the kernel. */
function isInFilter({ programId, details }: LinkRecord, { dispatchers, attachments }: Surroundings): boolean {
  if (details.kind !== "tc") return false;
  const found = dispatcherRecordOf(details, dispatchers);
  return found?.programId === programId && attachments.ofDispatcher(found).present === true;
}

/** Builds the answers for some of the stored links. `nameOf` returns a program's name, or null if the program no longer exists. */
export function linkAnswers(
  host: Host,
  records: readonly LinkRecord[],
  nameOf = (id: ProgramId): string | null => host.store.program(id)?.name ?? null,
): LinkAnswer[] {
  if (records.length === 0) return [];
  const around = surroundingsOf(host, host.store.links());
  return records.map((record) => {
    const ours = ownKernelLink(record, around);
    return {
      record: linkRecordAnswer(record, around),
      status: {
        kernel: ours && kernelLinkAnswer(host, ours, record.details),
        kernel_seen: ours !== null || isInFilter(record, around),
        pin_present: record.pinPath !== "" && host.pins.exists(record.pinPath),
        function_name: nameOf(record.programId),
        attachment: around.attachments.ofLink(record),
      },
    };
  });
}

export function linkAnswer(host: Host, record: LinkRecord, program: ProgramRecord | null = null): LinkAnswer {
  const nameOf = program === null ? undefined : () => program.name;
  return linkAnswers(host, [record], nameOf)[0] as LinkAnswer;
}
