import type { XdpMode } from "./config.ts";
import type { KernelLinkId, LinkId, ProgramId } from "./ids.ts";
import type { ChainDetails } from "./link.ts";

/** The hooks on which a dispatcher can run several programs. */
export const DISPATCHER_TYPES = ["xdp", "tc-ingress", "tc-egress"] as const;
export type DispatcherType = (typeof DISPATCHER_TYPES)[number];

/** How many programs one dispatcher can call: slots `prog0` to `prog9`. */
export const DISPATCHER_SLOTS = 10;

/** Identifies a dispatcher: one per hook of an interface. */
export interface DispatcherKey {
  readonly type: DispatcherType;
  /** Inode of the network namespace. */
  readonly nsid: number;
  readonly ifindex: number;
}

/** Identifies a cls_bpf filter on clsact. */
export interface FilterRef {
  readonly priority: number;
  readonly handle: number;
}

/** What attaches the dispatcher to its hook. It stays the same across revisions. */
export type DispatcherSeat =
  | {
      readonly type: "xdp";
      /** Null while the first revision is being created, as is `mode`. */
      readonly kernelLinkId: KernelLinkId | null;
      /** The mode it is attached in. */
      readonly mode: XdpMode | null;
    }
  /** The filter's priority and handle are chosen before it is created. */
  | { readonly type: Exclude<DispatcherType, "xdp">; readonly filter: FilterRef };

/** The stored state of a hook on which bpfman runs a chain. */
export type DispatcherRecord = Omit<DispatcherKey, "type"> &
  DispatcherSeat & {
    readonly interface: string;
    /** Path of the namespace file as first given; null for the caller's own namespace. */
    readonly netns: string | null;
    /** Grows by one with each change of the chain; 0 while the first revision is being created. */
    readonly revision: number;
    /** The revision that a running or killed command is about to replace `revision` with; null if there is none. */
    readonly pendingRevision: number | null;
    /**
     * What runs on the hook: the dispatcher, or the only member itself. Null while the first revision is being made.
     */
    readonly programId: ProgramId | null;
  };

/** The outcome of a finished revision. */
export interface SettledRevision extends Pick<DispatcherRecord, "revision" | "programId"> {
  readonly seat: DispatcherSeat;
}

/** A member of a chain, with everything that determines its order. */
export interface ChainMember {
  readonly link: LinkId;
  readonly program: ProgramId;
  readonly programName: string;
  /** Pin of the member's program. */
  readonly programPin: string;
  readonly priority: number;
  /** Return values after which the chain continues. */
  readonly proceedOn: readonly number[];
  /** An earlier version loaded it as an extension, which sits in a slot itself. */
  readonly extension: boolean;
  /** Whether the program supports multi-buffer packets (section `xdp.frags`). */
  readonly frags: boolean;
}

/** Returns the hook type of a chained link. */
export const dispatcherTypeOf = (details: ChainDetails): DispatcherType =>
  details.kind === "xdp" ? "xdp" : `tc-${details.direction}`;
