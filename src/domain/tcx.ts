import type { KernelLinkId, ProgramId } from "./ids.ts";
import type { Direction } from "./link.ts";

/** One side of an interface, where several programs run one after the other without a dispatcher (Linux 6.6). */
export interface TcxHook {
  /** Path of the network namespace; null for the caller's own. */
  readonly netns: string | null;
  readonly ifindex: number;
  /** What people call it; absent where nobody has to be told. */
  readonly interface?: string;
  readonly direction: Direction;
}

/** The place in a TCX hook's list: next to one link, or at its end. */
export type TcxAnchor = { readonly side: "before" | "after"; readonly link: KernelLinkId } | { readonly side: "last" };

/** What runs on a TCX hook, first to last. `link` is null for programs attached without one. */
export interface TcxState {
  /** Grows with every change of the hook; an attach that names an old one is refused. */
  readonly revision: bigint;
  readonly members: readonly { readonly program: ProgramId; readonly link: KernelLinkId | null }[];
}
