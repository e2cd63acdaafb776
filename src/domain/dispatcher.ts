import type { XdpMode } from "./config.ts";
import type { KernelLinkId, LinkId, ProgramId } from "./ids.ts";
import type { ChainDetails } from "./link.ts";

/** The hooks on which a dispatcher lets several programs run. */
export const DISPATCHER_TYPES = ["xdp", "tc-ingress", "tc-egress"] as const;
export type DispatcherType = (typeof DISPATCHER_TYPES)[number];

/** Programs that one dispatcher calls: its slots `prog0` to `prog9`. */
export const DISPATCHER_SLOTS = 10;

/** Where a dispatcher sits: one for each hook of an interface. */
export interface DispatcherKey {
  readonly type: DispatcherType;
  /** Inode of the network namespace. */
  readonly nsid: number;
  readonly ifindex: number;
}

/** A cls_bpf filter on clsact, found by exactly these. */
export interface FilterRef {
  readonly priority: number;
  readonly handle: number;
}

/** What holds the dispatcher on its hook, the same over all revisions. */
export type DispatcherSeat =
  | {
      readonly type: "xdp";
      /** Null while the first revision is being made; likewise `mode`. */
      readonly kernelLinkId: KernelLinkId | null;
      /** How it is attached. */
      readonly mode: XdpMode | null;
    }
  /** The filter is chosen before it is made. */
  | { readonly type: Exclude<DispatcherType, "xdp">; readonly filter: FilterRef };

/** What the store keeps of a hook on which bpfman runs a chain. */
export type DispatcherRecord = Omit<DispatcherKey, "type"> &
  DispatcherSeat & {
    readonly interface: string;
    /** Path of the namespace file as first given; null for the caller's own. */
    readonly netns: string | null;
    /** Grows by one with every change of the chain; 0 while the first one is being made. */
    readonly revision: number;
    /** The revision that a running or dead command is about to put in the place of `revision`; null when none is. */
    readonly pendingRevision: number | null;
    /**
     * What runs on the hook: the dispatcher, or the only member itself. Null while the first revision is being made.
     */
    readonly programId: ProgramId | null;
  };

/** What a finished revision is. */
export interface SettledRevision extends Pick<DispatcherRecord, "revision" | "programId"> {
  readonly seat: DispatcherSeat;
}

/** A member of a chain, as the order is made of it. */
export interface ChainMember {
  readonly link: LinkId;
  readonly program: ProgramId;
  readonly programName: string;
  /** Pin of the program. */
  readonly programPin: string;
  readonly priority: number;
  /** Return values after which the chain goes on. */
  readonly proceedOn: readonly number[];
  /** An earlier version loaded it as an extension, which sits in a slot itself. */
  readonly extension: boolean;
  /** The program understands packets in several fragments (section `xdp.frags`). */
  readonly frags: boolean;
}

/** The hook that a chain's link is on. */
export const dispatcherTypeOf = (details: ChainDetails): DispatcherType =>
  details.kind === "xdp" ? "xdp" : `tc-${details.direction}`;
