import { anchorAt } from "../../dispatcher/order.ts";
import type { TcxDetails } from "../../domain/link.ts";
import type { AttachTarget } from "../requests/attach-request.ts";
import { findInterface } from "./interface.ts";
import { linksOnHook, refuseTwin } from "./on-hook.ts";
import type { Resolve } from "./target.ts";

type TcxTarget = Extract<AttachTarget, { kind: "tcx" }>;

export const resolveTcx: Resolve<TcxTarget> = (host, program, target) => {
  const found = findInterface(host, target.iface, target.netns);
  const { direction, priority } = target;
  const details: TcxDetails = { kind: "tcx", ...found, direction, priority };
  const hook = { netns: target.netns, ifindex: found.ifindex, interface: found.interface, direction };
  const ours = linksOnHook(host, details);
  return {
    details,
    kernelAttach: () => {
      const state = host.kernel.tcxState(hook);
      // Ask the kernel whether a link is still on the hook: rows can outlive their namespace.
      const live = new Set(state.members.map((member) => member.link));
      refuseTwin(ours, program.id, { place: `${target.iface} ${direction}`, isLive: (link) => live.has(link) });
      return { kind: "tcx", ...hook, anchor: anchorAt(state, ours, priority), revision: state.revision };
    },
  };
};
