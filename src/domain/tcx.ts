import type { KernelLinkId, ProgramId } from "./ids.ts";

/** The place in a TCX hook's list: next to one link, or at its end. */
export type TcxAnchor = { readonly side: "before" | "after"; readonly link: KernelLinkId } | { readonly side: "last" };

/** What runs on a TCX hook, first to last. `link` is null for programs attached without one. */
export interface TcxState {
  /** Grows with every change of the hook; an attach that names an old one is refused. */
  readonly revision: bigint;
  readonly members: readonly { readonly program: ProgramId; readonly link: KernelLinkId | null }[];
}
