/**
 * Finds out whether links are still on their targets, whether these still exist, and their current names. This runs for every
 * row of a list, so it visits each namespace, filter and file once.
 */
import type { AttachmentAnswer } from "../domain/answer.ts";
import { type DispatcherKey, type DispatcherRecord, dispatcherTypeOf } from "../domain/dispatcher.ts";
import type { KernelLinkId, ProgramId } from "../domain/ids.ts";
import {
  type CgroupDetails,
  isChained,
  type LinkRecord,
  type NetfilterDetails,
  type UprobeDetails,
  type UprobeMultiDetails,
} from "../domain/link.ts";
import { BpfmanError } from "../errors/error.ts";
import type { InterfaceNames } from "../platform/host.ts";
import type { Host } from "../platform/host.ts";
import type { KernelPort } from "../platform/kernel.ts";

export interface Attachments {
  /** Null for targets that cannot disappear on their own: kernel functions, tracepoints. */
  ofLink(link: LinkRecord): AttachmentAnswer | null;
  ofDispatcher(record: DispatcherRecord): AttachmentAnswer;
}

interface Hook {
  readonly nsid: number;
  readonly ifindex: number;
  readonly netns: string | null;
  /** The link that attaches our program; null for filters. */
  readonly link: { readonly id: KernelLinkId; readonly program: ProgramId } | null;
}

/** A namespace that is where no path of a row leads to, and the names of interfaces in it. */
interface Elsewhere {
  readonly netns: string | null;
  readonly names: ReadonlyMap<number, string>;
}

interface KernelLinkOn {
  readonly id: KernelLinkId | null;
  readonly programId: ProgramId;
  /** Whether what it was attached to still exists. */
  readonly isThere: () => boolean;
}

const gone = (reason: AttachmentAnswer["reason"]): AttachmentAnswer => ({ present: false, reason, interface: null });
const unknown = (reason: AttachmentAnswer["reason"]): AttachmentAnswer => ({ present: null, reason, interface: null });

/** The targets to look up, grouped so that each namespace is entered once. */
export interface Asked {
  readonly dispatchers: readonly DispatcherRecord[];
  readonly links: readonly LinkRecord[];
  /** Asks the kernel, unless somebody has asked it already. */
  readonly kernelLink?: KernelPort["link"];
}

export function attachmentsOf(host: Host, { dispatchers, links, kernelLink = host.kernel.link }: Asked): Attachments {
  const places = [...dispatchers, ...links.map(({ details }) => details)].filter((place) => "ifindex" in place);
  const namespaceAt = remembered((netns: string | null) => {
    const here = places.filter((place) => place.netns === netns);
    return lookInto(host, netns, new Set(here.map(({ ifindex }) => ifindex)));
  });
  /** Where something is that no path leads to any more: by its inode, which may be that of another namespace by now. */
  const elsewhere = remembered((nsid: number) => {
    const netns = host.network.pathTo(nsid);
    const inside = places.filter((place) => place.nsid === nsid).map(({ ifindex }) => ifindex);
    const namespace = netns === null ? null : lookInto(host, netns, new Set(inside));
    return namespace?.nsid === nsid ? { netns, names: namespace.names } : null;
  });
  const byHook = new Map(dispatchers.map((record) => [keyOf(record), record]));
  const ofDispatcher = remembered(
    (record: DispatcherRecord): AttachmentAnswer => chainAttachment(host, record, { onInterface, elsewhere }),
  );

  function onInterface(hook: Hook): AttachmentAnswer {
    const namespace = namespaceAt(hook.netns);
    const name = namespace?.nsid === hook.nsid ? namespace.names.get(hook.ifindex) : undefined;
    const link = hook.link === null ? null : kernelLink(hook.link.id);
    const facts = link?.programId === hook.link?.program ? link?.facts : null;
    const index = facts?.kind === "xdp" || facts?.kind === "tcx" ? facts.ifindex : null;
    const lost = namespace === undefined || namespace?.nsid === hook.nsid ? "interface-gone" : "namespace-gone";
    if (index === 0) return gone(name === undefined ? lost : "detached");
    if (name !== undefined) return { present: true, reason: null, interface: name };
    // It may have been moved to another namespace, or its namespace may be kept alive by something other than that path.
    if (index !== null) return { present: true, reason: null, interface: null };
    if (namespace === undefined) return unknown(null);
    return lost === "interface-gone" ? gone(lost) : unknown(lost);
  }

  /** The kernel itself takes a link off what is removed, or if somebody asks for that (BPF_LINK_DETACH), and says so. */
  function ofKernelLink({ id, programId, isThere }: KernelLinkOn): AttachmentAnswer {
    const link = id === null ? null : kernelLink(id);
    const facts = link?.programId === programId ? link.facts : null;
    if (facts?.kind === "cgroup" && facts.cgroupId === 0n) return gone(isThere() ? "detached" : "cgroup-gone");
    if (facts?.kind === "netns" && facts.inode === 0) return gone(isThere() ? "detached" : "namespace-gone");
    return facts === null ? unknown(null) : { present: true, reason: null, interface: null };
  }

  /** Its link keeps the namespace alive, whatever becomes of the path. */
  function ofNetfilter({ netns, nsid }: NetfilterDetails): AttachmentAnswer {
    const namespace = netns === null ? undefined : namespaceAt(netns);
    const isElsewhere = namespace !== undefined && namespace?.nsid !== nsid;
    return { present: true, reason: isElsewhere ? "namespace-gone" : null, interface: null };
  }

  return {
    ofDispatcher,
    ofLink({ details, kernelLinkId, programId }) {
      if ("fileId" in details) return fileAttachment(host, details);
      if (isChained(details)) {
        const record = byHook.get(keyOf({ ...details, type: dispatcherTypeOf(details) }));
        if (record !== undefined) return ofDispatcher(record);
        return gone(namespaceAt(details.netns) === null ? "namespace-gone" : "interface-gone");
      }
      if (details.kind === "sk_lookup") {
        const isThere = () => namespaceAt(details.netns)?.nsid === details.nsid;
        return ofKernelLink({ id: kernelLinkId, programId, isThere });
      }
      if ("cgroupId" in details) {
        return ofKernelLink({ id: kernelLinkId, programId, isThere: () => isCgroup(host, details) });
      }
      if (details.kind === "netfilter") return ofNetfilter(details);
      if (details.kind !== "tcx") return null;
      return onInterface({ ...details, link: kernelLinkId && { id: kernelLinkId, program: programId } });
    },
  };
}

const keyOf = ({ type, nsid, ifindex }: DispatcherKey): string => `${type} ${nsid} ${ifindex}`;

/** Finds each value once. */
export function remembered<Key, Value>(find: (key: Key) => Value): (key: Key) => Value {
  const known = new Map<Key, Value>();
  return (key) => {
    if (!known.has(key)) known.set(key, find(key));
    return known.get(key) as Value;
  };
}

/** Returns undefined if the kernel does not say now. The answer of a change that was made must not fail for that. */
function ifReadable<T>(read: () => T): T | null | undefined {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof BpfmanError)) throw cause;
    return cause.code === "NETNS_NOT_FOUND" ? null : undefined;
  }
}

/** Returns null if no namespace is at the path, and undefined if the namespace cannot be entered at the moment. */
const lookInto = (host: Host, netns: string | null, indexes: ReadonlySet<number>): InterfaceNames | null | undefined =>
  ifReadable(() => host.network.names(netns, indexes));

function chainAttachment(
  host: Host,
  record: DispatcherRecord,
  { onInterface, elsewhere }: { onInterface(hook: Hook): AttachmentAnswer; elsewhere(nsid: number): Elsewhere | null },
): AttachmentAnswer {
  const { type, nsid, ifindex, netns, programId: program } = record;
  if (type === "xdp") {
    const { kernelLinkId: id } = record;
    return onInterface({ nsid, ifindex, netns, link: id === null || program === null ? null : { id, program } });
  }
  const direction = type === "tc-egress" ? "egress" : "ingress";
  const runsAt = (path: string | null) =>
    ifReadable(() => host.kernel.tcFilterProgram({ netns: path, ifindex, direction }, record.filter));
  const found = onInterface({ nsid, ifindex, netns, link: null });
  if (program === null) return found;
  if (found.reason === "namespace-gone") {
    const other = elsewhere(nsid);
    if (other === null || runsAt(other.netns) !== program) return found;
    return { present: true, reason: null, interface: other.names.get(ifindex) ?? null };
  }
  if (found.present !== true) return found;
  const runs = runsAt(netns);
  if (runs === undefined) return { ...found, present: null };
  if (runs === program) return found;
  return { ...found, present: false, reason: runs === null ? "filter-gone" : "filter-replaced" };
}

/** Whether the cgroup is still at its path. */
function isCgroup(host: Host, { cgroup, cgroupId }: CgroupDetails): boolean {
  try {
    return host.kernel.cgroup(cgroup).cgroupId === cgroupId;
  } catch (cause) {
    if (!(cause instanceof BpfmanError)) throw cause;
    return false;
  }
}

function fileAttachment(host: Host, { path, fileId }: UprobeDetails | UprobeMultiDetails): AttachmentAnswer | null {
  if (fileId === null) return null;
  const now = host.files.fileId(path);
  if (now === fileId) return { present: true, reason: null, interface: null };
  return gone(now === null ? "file-gone" : "file-replaced");
}
