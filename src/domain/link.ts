import type { KernelLinkId, LinkId, ProgramId } from "./ids.ts";
import { type ChainedKind, isChainedKind } from "./kinds.ts";
import type { Metadata } from "./program.ts";

export const DIRECTIONS = ["ingress", "egress"] as const;
export type Direction = (typeof DIRECTIONS)[number];

/** A network interface, found in a namespace. */
export interface InterfaceRef {
  readonly interface: string;
  readonly ifindex: number;
  /** Path of the namespace file as the user gave it; null for the caller's own. */
  readonly netns: string | null;
  /** Inode of the network namespace; 0 for a link of a chain whose interface, or its namespace, has gone. */
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
export interface KprobeDetails {
  readonly kind: "kprobe" | "kretprobe";
  readonly fnName: string;
  /** Bytes from the start of the function. */
  readonly offset: number;
}
export interface UprobeDetails {
  readonly kind: "uprobe" | "uretprobe";
  /** Absolute path the target resolved to, as seen from this process. */
  readonly path: string;
  /** What the user asked for: a path or a library name. */
  readonly target: string;
  readonly fnName: string | null;
  /** Bytes from the start of the function, or from the start of the file when there is no function. */
  readonly offset: number;
  /** Where in the file the probe sits, in bytes: what the kernel is told. */
  readonly fileOffset: number;
  readonly pid: number | null;
  readonly containerPid: number | null;
  /** Which file it was (`FilesPort.fileId`); null when the path does not lead to it, and in rows of before it was kept. */
  readonly fileId: string | null;
}
export interface TracingDetails {
  readonly kind: "fentry" | "fexit" | "lsm";
  /** The kernel function, or the LSM hook without its `bpf_lsm_`. */
  readonly fnName: string;
}

/** Where a link is attached: one shape for each kind. */
export type LinkDetails =
  | XdpDetails
  | TcDetails
  | TcxDetails
  | TracepointDetails
  | KprobeDetails
  | UprobeDetails
  | TracingDetails;

/** What a dispatcher runs. */
export type ChainDetails = Extract<LinkDetails, { readonly kind: ChainedKind }>;

/** Whether a link is a member of a dispatcher's chain. */
export const isChained = (details: LinkDetails): details is ChainDetails => isChainedKind(details.kind);

/** The kind of a link: that of its program, return probes told apart. */
export type LinkKind = LinkDetails["kind"];

/** What the store keeps of a link. */
export interface LinkRecord {
  readonly id: LinkId;
  readonly programId: ProgramId;
  /** Null while the link is pending. */
  readonly kernelLinkId: KernelLinkId | null;
  /** Empty for a TC program that is attached without a dispatcher: a filter has no pin. */
  readonly pinPath: string;
  readonly details: LinkDetails;
  readonly metadata: Metadata;
  readonly createdAt: Date;
}
