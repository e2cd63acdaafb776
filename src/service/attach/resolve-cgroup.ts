import { anchorAt } from "../../dispatcher/order.ts";
import type { KernelAttachType } from "../../domain/kernel-words.ts";
import { type CgroupKind, factsOf, kernelTypeOf } from "../../domain/kinds.ts";
import type { CgroupDetails, HookAnchor, HookState } from "../../domain/link.ts";
import type { ProgramRecord } from "../../domain/program.ts";
import { BpfmanError } from "../../errors/error.ts";
import type { AttachTarget } from "../requests/attach-request.ts";
import { type LinkOnHook, linksOnHook, refuseTwin } from "./on-hook.ts";
import type { Resolve } from "./target.ts";

type CgroupTarget = Extract<AttachTarget, { kind: "cgroup" }>;

const OF_DIRECTION = { ingress: "CGROUP_INET_INGRESS", egress: "CGROUP_INET_EGRESS" } as const;

/** The section says it, but for `cgroup/skb`, whose programs can be attached to either side. */
function attachTypeOf({ id, type, section }: ProgramRecord, { direction }: CgroupTarget): KernelAttachType {
  const said = kernelTypeOf(factsOf(type), section).expectedAttachType;
  const asked = direction === null ? null : OF_DIRECTION[direction];
  const found = said ?? asked;
  if (found !== null && (asked ?? found) === found) return found;
  const message =
    found === null
      ? `program ${id} can be attached to either side: give its direction`
      : `program ${id} is not for ${direction}: its section is "${section}"`;
  throw new BpfmanError("INVALID_ATTACH", message, {
    details: { program_id: id, section },
    hint: found === null ? "--direction ingress, or egress" : "leave out the direction: the section says it",
  });
}

export const resolveCgroup: Resolve<CgroupTarget> = (host, program, target) => {
  const hook = { ...host.kernel.cgroup(host.files.absolute(target.cgroup)), attachType: attachTypeOf(program, target) };
  const { priority } = target;
  const details: CgroupDetails = { kind: program.type as CgroupKind, ...hook, priority };
  const onHook = linksOnHook(host, details);
  return {
    details,
    kernelAttach: () => {
      const asked = host.kernel.cgroupState(hook);
      const ours = onHook.filter(({ programId }) => asked.members.some(({ program }) => program === programId));
      refuseTwin(ours, program.id, { place: `cgroup "${hook.cgroup}"`, isLive: () => true });
      return { ...details, anchor: anchorOn(asked, ours, priority), revision: asked.revision };
    },
  };
};

/** Throws KERNEL_UNSUPPORTED if the kernel can only append, and that is not where the program belongs. */
function anchorOn({ revision, members }: HookState, ours: readonly LinkOnHook[], priority: number): HookAnchor {
  // The kernel does not say which links they are, but no program is attached twice.
  const linkOf = new Map(ours.map(({ programId, kernelLinkId }) => [programId, kernelLinkId]));
  const state = { revision, members: members.map(({ program }) => ({ program, link: linkOf.get(program) ?? null })) };
  if (revision !== 0n) return anchorAt(state, ours, priority);
  const behind = ours.find((link) => link.priority > priority);
  if (behind === undefined) return { side: "last" };
  throw new BpfmanError(
    "KERNEL_UNSUPPORTED",
    `attach to a cgroup with priority ${priority}, before link ${behind.id} with ${behind.priority}: this needs Linux 6.17`,
    {
      details: { link_id: behind.id, priority: behind.priority },
      hint: "older kernels run programs in the order in which they were attached: attach in that order, or leave out the priority",
    },
  );
}
