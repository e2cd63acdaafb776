/** bpfman's own links on a hook that takes several programs, each of them once. */
import type { OrderedLink } from "../../dispatcher/order.ts";
import type { KernelLinkId, ProgramId } from "../../domain/ids.ts";
import type { LinkDetails } from "../../domain/link.ts";
import { BpfmanError } from "../../errors/error.ts";
import { hookKey } from "../../inspect/link-answer.ts";
import type { Host } from "../../platform/host.ts";

export interface LinkOnHook extends OrderedLink {
  readonly programId: ProgramId;
}

/** Those that are recorded on the hook of `details`. The kernel may have lost them since. */
export function linksOnHook(host: Host, details: LinkDetails): LinkOnHook[] {
  const key = hookKey(details);
  return host.store.links().flatMap(({ id, programId, kernelLinkId, details: its }) => {
    if (kernelLinkId === null || hookKey(its) !== key) return [];
    // The kernel keeps those without a priority in the order in which they were attached.
    return [{ id, programId, kernelLinkId, priority: "priority" in its ? its.priority : 0 }];
  });
}

/** Throws ALREADY_ATTACHED if the program has one of these links. `isLive`: the kernel has it on the hook. */
export function refuseTwin(
  onHook: readonly LinkOnHook[],
  program: ProgramId,
  { place, isLive }: { readonly place: string; isLive(link: KernelLinkId): boolean },
): void {
  const twin = onHook.find((link) => link.programId === program && isLive(link.kernelLinkId));
  if (twin === undefined) return;
  throw new BpfmanError("ALREADY_ATTACHED", `program ${program} is already attached to ${place} as link ${twin.id}`, {
    details: { program_id: program, link_id: twin.id },
    hint: `detach it first: bpfman detach ${twin.id}`,
  });
}
