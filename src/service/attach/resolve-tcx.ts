import { type TcxMember, tcxAnchor } from "../../dispatcher/order.ts";
import type { LinkRecord, TcxDetails } from "../../domain/link.ts";
import { BpfmanError } from "../../errors/error.ts";
import { tcxHookKey } from "../../inspect/link-answer.ts";
import type { AttachTarget } from "../requests/attach-request.ts";
import { findInterface } from "./interface.ts";
import type { Resolve } from "./target.ts";

type TcxTarget = Extract<AttachTarget, { kind: "tcx" }>;

const isSettled = (link: LinkRecord): link is LinkRecord & { kernelLinkId: NonNullable<LinkRecord["kernelLinkId"]> } =>
  link.kernelLinkId !== null;

export const resolveTcx: Resolve<TcxTarget> = (host, program, target) => {
  const found = findInterface(host, target.iface, target.netns);
  const { direction, priority } = target;
  const details: TcxDetails = { kind: "tcx", ...found, direction, priority };
  const hook = { netns: target.netns, ifindex: found.ifindex, interface: found.interface, direction };
  const key = tcxHookKey(details);
  const onHook = host.store
    .links()
    .filter((link) => tcxHookKey(link.details) === key && isSettled(link)) as (LinkRecord & {
    kernelLinkId: NonNullable<LinkRecord["kernelLinkId"]>;
  })[];
  const ours: TcxMember[] = onHook.map((link) => {
    return { id: link.id, priority: (link.details as TcxDetails).priority, kernelLinkId: link.kernelLinkId };
  });
  return {
    details,
    kernelAttach: () => {
      const state = host.kernel.tcxState(hook);
      // Ask the kernel whether a link is still on the hook: rows can outlive their namespace.
      const live = new Set(state.members.map((member) => member.link));
      const twin = onHook.find((link) => link.programId === program.id && live.has(link.kernelLinkId));
      if (twin) {
        throw new BpfmanError(
          "ALREADY_ATTACHED",
          `program ${program.id} is already attached to ${target.iface} ${direction} as link ${twin.id}`,
          { details: { program_id: program.id, link_id: twin.id }, hint: `detach it first: bpfman detach ${twin.id}` },
        );
      }
      return { kind: "tcx", ...hook, anchor: tcxAnchor(state, ours, priority), revision: state.revision };
    },
  };
};
