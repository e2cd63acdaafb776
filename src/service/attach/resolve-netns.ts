/** Kinds that are attached to a network namespace. */
import type { KernelLinkId } from "../../domain/ids.ts";
import { NETFILTER_DEFRAG_PRIORITY_MIN, type NetfilterDetails, type SkLookupDetails } from "../../domain/link.ts";
import { BpfmanError } from "../../errors/error.ts";
import type { AttachTarget } from "../requests/attach-request.ts";
import { linksOnHook, refuseTwin } from "./on-hook.ts";
import type { Resolve } from "./target.ts";

type SkLookupTarget = Extract<AttachTarget, { kind: "sk_lookup" }>;
type NetfilterTarget = Extract<AttachTarget, { kind: "netfilter" }>;

export const resolveSkLookup: Resolve<SkLookupTarget> = (host, program, { kind, netns }) => {
  const nsid = host.network.namespaceId(netns);
  const details: SkLookupDetails = { kind, netns, nsid };
  const onHook = linksOnHook(host, details);
  return {
    details,
    kernelAttach: () => {
      // The kernel would run it twice. It gives the inode of a namespace that is gone to another.
      const isLive = (link: KernelLinkId): boolean => {
        const facts = host.kernel.link(link)?.facts;
        return facts?.kind === "netns" && facts.inode === nsid;
      };
      refuseTwin(onHook, program.id, { place: netns === null ? "this network namespace" : `"${netns}"`, isLive });
      return { kind, netns };
    },
  };
};

export const resolveNetfilter: Resolve<NetfilterTarget> = (host, _program, target) => {
  const { netns, priority, defrag } = target;
  if (defrag && priority < NETFILTER_DEFRAG_PRIORITY_MIN) {
    throw new BpfmanError(
      "INVALID_ATTACH",
      `attach netfilter with defragmentation and priority ${priority}: must be at least ${NETFILTER_DEFRAG_PRIORITY_MIN}`,
      {
        details: { priority },
        hint: "fragments are put together at priority -400, and the program must run behind that",
      },
    );
  }
  const details: NetfilterDetails = { ...target, nsid: host.network.namespaceId(netns) };
  return { details, kernelAttach: () => target };
};
