import type { KernelLinkId, LinkId, MapId, ProgramId } from "./ids.ts";
import type { KernelAttachType } from "./kernel-words.ts";
import { type CgroupKind, type ChainedKind, isChainedKind } from "./kinds.ts";
import type { PerfEventName } from "./perf-events.ts";
import type { Metadata } from "./program.ts";

export const DIRECTIONS = ["ingress", "egress"] as const;
export type Direction = (typeof DIRECTIONS)[number];

/** A network interface in a network namespace. */
export interface InterfaceRef {
  readonly interface: string;
  readonly ifindex: number;
  /** Path of the namespace file as given; null for the caller's own namespace. */
  readonly netns: string | null;
  /** Inode of the network namespace; 0 for a chain's link whose interface or namespace no longer exists. */
  readonly nsid: number;
}

export interface TcxDetails extends InterfaceRef {
  readonly kind: "tcx";
  readonly direction: Direction;
  readonly priority: number;
}
export interface XdpDetails extends InterfaceRef {
  readonly kind: "xdp";
  readonly priority: number;
  /** Slot in the dispatcher, from 0. */
  readonly position: number;
  readonly proceedOn: readonly number[];
}
export interface TcDetails extends InterfaceRef {
  readonly kind: "tc";
  readonly direction: Direction;
  readonly priority: number;
  /** Slot in the dispatcher, from 0. */
  readonly position: number;
  readonly proceedOn: readonly number[];
}
export interface TracepointDetails {
  readonly kind: "tracepoint";
  readonly group: string;
  readonly name: string;
}
export interface RawTpDetails {
  readonly kind: "raw_tp";
  /** Without a group. */
  readonly name: string;
}
export interface KprobeDetails {
  readonly kind: "kprobe" | "kretprobe";
  readonly fnName: string;
  /** Bytes from the start of the function. */
  readonly offset: number;
}
/** The file that a uprobe is in, and whose events it sees. */
interface UprobeFile {
  /** Absolute path the target resolved to, as seen by this process. */
  readonly path: string;
  /** What the user specified: a path or a library name. */
  readonly target: string;
  readonly pid: number | null;
  readonly containerPid: number | null;
  /** Which file it was (`FilesPort.fileId`); null when the path does not lead to it, and in rows of before it was kept. */
  readonly fileId: string | null;
}
export interface UprobeDetails extends UprobeFile {
  readonly kind: "uprobe" | "uretprobe";
  readonly fnName: string | null;
  /** Bytes from the start of the function, or from the start of the file if there is no function. */
  readonly offset: number;
  /** Offset of the probe in the file, in bytes, as passed to the kernel. */
  readonly fileOffset: number;
}
export interface KprobeMultiDetails {
  readonly kind: "kprobe.multi" | "kretprobe.multi";
  readonly pattern: string;
  /** How many functions matched. */
  readonly count: number;
}
export interface UprobeMultiDetails extends UprobeFile {
  readonly kind: "uprobe.multi" | "uretprobe.multi";
  readonly pattern: string;
  /** How many functions matched. */
  readonly count: number;
}
export interface TracingDetails {
  readonly kind: "fentry" | "fexit" | "lsm" | "tp_btf" | "fmod_ret";
  /** The kernel function, the LSM hook without its `bpf_lsm_` prefix, or the tracepoint without its group. */
  readonly fnName: string;
}

export interface FreplaceDetails {
  readonly kind: "freplace";
  /** The program of which a function is replaced. */
  readonly targetProgramId: ProgramId;
  readonly fnName: string;
}

export interface IterDetails {
  readonly kind: "iter";
  /** What the kernel visits: `task`, `bpf_map_elem`. */
  readonly target: string;
  /** The map whose entries are visited; null for iterators that visit something else. */
  readonly mapId: MapId | null;
}
export interface PerfEventDetails {
  readonly kind: "perf_event";
  readonly event: PerfEventName;
  /** Null for all processors, of one process. */
  readonly cpu: number | null;
  /** Null for all processes, on one processor. */
  readonly pid: number | null;
  /** Runs after so many events, or so many times per second: one of them is null. */
  readonly period: number | null;
  readonly frequency: number | null;
}

/** One of the points of a cgroup at which the kernel runs programs. */
export interface CgroupHook {
  /** Absolute path of the cgroup's directory, as it was when it was attached to. */
  readonly cgroup: string;
  /** The kernel's number of the cgroup, which is the inode of its directory and is not given to another one. */
  readonly cgroupId: number;
  readonly attachType: KernelAttachType;
}
/** Behind what has a priority of its own: newer bpfman's default elsewhere. */
export const CGROUP_PRIORITY_DEFAULT = 1000;
export interface CgroupDetails extends CgroupHook {
  readonly kind: CgroupKind;
  readonly priority: number;
}

/** A network namespace: its file as given (null for the caller's own), and its inode. */
export interface NetnsRef {
  readonly netns: string | null;
  readonly nsid: number;
}
export interface SkLookupDetails extends NetnsRef {
  readonly kind: "sk_lookup";
}

/** NFPROTO_* and NF_INET_* (include/uapi/linux/netfilter.h), of those on which the kernel runs programs. */
export const NETFILTER_PROTOCOLS = { ipv4: 2, ipv6: 10 } as const;
export const NETFILTER_HOOKS = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 } as const;

/** What puts fragments together has NF_IP_PRI_CONNTRACK_DEFRAG, -400 (include/uapi/linux/netfilter_ipv4.h). */
export const NETFILTER_DEFRAG_PRIORITY_MIN = -399;

export interface NetfilterHook {
  readonly protocol: keyof typeof NETFILTER_PROTOCOLS;
  readonly hook: keyof typeof NETFILTER_HOOKS;
  /** Signed. The kernel runs lower ones first, among those of iptables and nftables; a program has it for itself. */
  readonly priority: number;
  /** Packets are put together again before the program sees them (Linux 6.6). */
  readonly defrag: boolean;
}
export interface NetfilterDetails extends NetnsRef, NetfilterHook {
  readonly kind: "netfilter";
}

/** Where a link is attached, with one shape per kind. */
export type LinkDetails =
  | XdpDetails
  | TcDetails
  | TcxDetails
  | TracepointDetails
  | RawTpDetails
  | KprobeDetails
  | UprobeDetails
  | TracingDetails
  | FreplaceDetails
  | KprobeMultiDetails
  | UprobeMultiDetails
  | IterDetails
  | PerfEventDetails
  | CgroupDetails
  | SkLookupDetails
  | NetfilterDetails;

/** Details of a link that a dispatcher runs. */
export type ChainDetails = Extract<LinkDetails, { readonly kind: ChainedKind }>;

/** Reports whether a link is a member of a dispatcher's chain. */
export const isChained = (details: LinkDetails): details is ChainDetails => isChainedKind(details.kind);

/** The kind of a link: its program's kind, with return probes distinguished. */
export type LinkKind = LinkDetails["kind"];

/** The stored state of a link. */
export interface LinkRecord {
  readonly id: LinkId;
  readonly programId: ProgramId;
  /** Null while the link is pending. */
  readonly kernelLinkId: KernelLinkId | null;
  /** Empty for a TC program attached without a dispatcher: filters cannot be pinned. */
  readonly pinPath: string;
  readonly details: LinkDetails;
  readonly metadata: Metadata;
  readonly createdAt: Date;
}

/** A position in the list of a TCX hook, or of a cgroup: next to a link, or at the end. */
export type HookAnchor = { readonly side: "before" | "after"; readonly link: KernelLinkId } | { readonly side: "last" };

/**
 * The programs on a TCX hook, or attached to a cgroup, first to last. `link` is null for programs attached without one; of a
 * cgroup, the kernel does not tell the links.
 */
export interface HookState {
  /**
   * Grows with each change of the hook. The kernel rejects an attach that expects an older revision. 0 for a cgroup before
   * Linux 6.17, which can only append.
   */
  readonly revision: bigint;
  readonly members: readonly { readonly program: ProgramId; readonly link: KernelLinkId | null }[];
}

/** Describes briefly where a link is attached, with its kind: `tcx eth0 ingress`. */
export function placeInBrief(details: LinkDetails): string {
  if ("cgroupId" in details) return `${details.kind} ${details.cgroup} ${details.attachType.toLowerCase()}`;
  const { kind } = details;
  switch (kind) {
    case "xdp":
      return `${kind} ${details.interface}`;
    case "sk_lookup":
      return `${kind} ${details.netns ?? "here"}`;
    case "netfilter":
      return `${kind} ${details.protocol} ${details.hook}`;
    case "tc":
    case "tcx":
      return `${kind} ${details.interface} ${details.direction}`;
    case "tracepoint":
      return `${kind} ${details.group}/${details.name}`;
    case "raw_tp":
      return `${kind} ${details.name}`;
    case "uprobe":
    case "uretprobe":
      return `${kind} ${details.target} ${details.fnName ?? `+0x${details.offset.toString(16)}`}`;
    case "kprobe":
    case "kretprobe":
    case "fentry":
    case "fexit":
    case "lsm":
    case "tp_btf":
    case "fmod_ret":
      return `${kind} ${details.fnName}`;
    case "freplace":
      return `${kind} ${details.targetProgramId}/${details.fnName}`;
    case "kprobe.multi":
    case "kretprobe.multi":
      return `${kind} ${details.pattern}`;
    case "uprobe.multi":
    case "uretprobe.multi":
      return `${kind} ${details.target} ${details.pattern}`;
    case "iter":
      return `${kind} ${details.target}`;
    case "perf_event":
      return `${kind} ${details.event}`;
  }
}
