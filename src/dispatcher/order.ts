/** Determines the order of programs that share a hook. */
import type { ChainMember } from "../domain/dispatcher.ts";
import type { KernelLinkId, LinkId } from "../domain/ids.ts";
import type { HookAnchor, HookState } from "../domain/link.ts";

export interface Place {
  readonly id: LinkId;
  readonly priority: number;
}

/** TCX: lower priority first, then the one attached earlier (link IDs ascend). A total order. */
export const comparePlaces = (a: Place, b: Place): number => a.priority - b.priority || a.id - b.id;

/**
 * XDP and TC chains: ascending priority; at equal priority, the new member first, then by program name, then by age. A
 * total order that does not depend on the order of `members`.
 */
export function orderChain<M extends ChainMember>(members: readonly M[], newcomer: LinkId | null): M[] {
  const isOld = (member: M): number => (member.link === newcomer ? 0 : 1);
  return members.toSorted(
    (a, b) =>
      a.priority - b.priority || isOld(a) - isOld(b) || compareNames(a.programName, b.programName) || a.link - b.link,
  );
}

/** Returns the chain with a new member behind those of its priority and of lower ones. */
export function behind<M extends ChainMember>(members: readonly M[], newcomer: M): M[] {
  const next = members.findIndex(({ priority }) => priority > newcomer.priority);
  return members.toSpliced(next < 0 ? members.length : next, 0, newcomer);
}

/** By code unit, independent of the locale. */
const compareNames = (a: string, b: string): number => (a < b ? -1 : Number(a > b));

export interface OrderedLink extends Place {
  readonly kernelLinkId: KernelLinkId;
}

/**
 * Determines where to attach a new member on a TCX hook, relative to bpfman's own links so that other programs keep
 * their positions: after the last own link with the same or a lower priority, else before the first own link, else at
 * the end.
 */
export function anchorAt(state: HookState, ours: readonly OrderedLink[], priority: number): HookAnchor {
  const priorityOf = new Map(ours.map((member) => [member.kernelLinkId, member.priority]));
  let first: KernelLinkId | null = null;
  let before: KernelLinkId | null = null;
  for (const { link } of state.members) {
    const itsPriority = link === null ? undefined : priorityOf.get(link);
    if (link === null || itsPriority === undefined) continue;
    first ??= link;
    if (itsPriority <= priority) before = link;
  }
  if (before !== null) return { side: "after", link: before };
  if (first !== null) return { side: "before", link: first };
  return { side: "last" };
}
