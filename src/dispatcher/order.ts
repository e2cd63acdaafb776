/** The order of programs that share a hook: pure. */
import type { ChainMember } from "../domain/dispatcher.ts";
import type { KernelLinkId, LinkId } from "../domain/ids.ts";
import type { TcxAnchor, TcxState } from "../domain/link.ts";

export interface Place {
  readonly id: LinkId;
  readonly priority: number;
}

/** TCX: lower priority first; at equal priority the one attached earlier (link ids ascend). A total order. */
export const comparePlaces = (a: Place, b: Place): number => a.priority - b.priority || a.id - b.id;

/**
 * XDP and TC chains: priority ascending; at equal priority the newcomer before those already attached, then by program
 * name, then by age. A total order, whatever order the members come in.
 */
export function orderChain<M extends ChainMember>(members: readonly M[], newcomer: LinkId | null): M[] {
  const isOld = (member: M): number => (member.link === newcomer ? 0 : 1);
  return members.toSorted(
    (a, b) =>
      a.priority - b.priority || isOld(a) - isOld(b) || compareNames(a.programName, b.programName) || a.link - b.link,
  );
}

/** By code unit, so that the order is the same everywhere. */
const compareNames = (a: string, b: string): number => (a < b ? -1 : Number(a > b));

export interface TcxMember extends Place {
  readonly kernelLinkId: KernelLinkId;
}

/**
 * Where a newcomer goes on a TCX hook, said relative to our own links so that foreign programs keep their places:
 * behind the last of ours with the same or a lower priority, else before the first of ours, else at the end.
 */
export function tcxAnchor(state: TcxState, ours: readonly TcxMember[], priority: number): TcxAnchor {
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
