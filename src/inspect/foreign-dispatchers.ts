/** Dispatchers that other tools (xdp-loader, other versions of bpfman) attached to XDP hooks, as the kernel reports them. */
import type { ForeignMemberAnswer, SeenDispatcherAnswer } from "../domain/answer.ts";
import { type KernelLinkId, type ProgramId, programId } from "../domain/ids.ts";
import {
  proceedOnMask,
  readXdpConfig,
  XDP_CONFIG_BYTES,
  type XdpConfigMember,
} from "../dispatcher/dispatcher-config.ts";
import { BpfmanError } from "../errors/error.ts";
import type { Host } from "../platform/host.ts";

/** The name of all dispatchers with this layout. */
const DISPATCHER_NAME = "xdp_dispatcher";

interface Slot {
  readonly link: KernelLinkId;
  readonly program: ProgramId;
  /** BTF ID of the slot's function in the dispatcher; IDs ascend with the slots. */
  readonly functionId: number;
}

/** Returns extensions by the ID of the program that they extend. */
function slotsByTarget(host: Host): Map<number, Slot[]> {
  const found = new Map<number, Slot[]>();
  for (const link of host.kernel.linkIds()) {
    const info = host.kernel.link(link);
    if (info?.facts?.kind !== "tracing") continue;
    const { targetObjectId, targetBtfId: functionId } = info.facts;
    found.set(targetObjectId, [...(found.get(targetObjectId) ?? []), { link, program: info.programId, functionId }]);
  }
  return found;
}

/** Returns what a dispatcher's configuration says of its slots; nothing if its layout is not the known one. */
function configuredSlots(host: Host, dispatcher: ProgramId): readonly XdpConfigMember[] {
  for (const id of host.kernel.program(dispatcher)?.mapIds ?? []) {
    if (host.kernel.map(id)?.valueSize !== XDP_CONFIG_BYTES) continue;
    const bytes = host.kernel.firstValue(id);
    try {
      if (bytes !== null) return readXdpConfig(bytes).members;
    } catch (cause) {
      if (!(cause instanceof BpfmanError)) throw cause;
    }
  }
  return [];
}

/** Returns what is in the slots, in order. */
function membersOf(host: Host, dispatcher: ProgramId, slots: readonly Slot[]): ForeignMemberAnswer[] {
  const configured = configuredSlots(host, dispatcher);
  // If a slot is empty, it is not known which.
  const known = configured.length === slots.length;
  return slots
    .toSorted((a, b) => a.functionId - b.functionId)
    .map(({ link, program }, position) => {
      const slot = known ? configured[position] : undefined;
      return {
        position,
        program_id: program,
        program_name: host.kernel.program(program)?.name ?? "",
        kernel_link_id: link,
        priority: slot?.priority ?? null,
        proceed_on: slot === undefined ? null : proceedOnMask("xdp", slot.proceedOn),
      };
    });
}

/**
 * Returns the dispatchers on interfaces in the caller's network namespace and in named ones (ip-netns(8)), except bpfman's,
 * whose programs are `ours`.
 */
export function foreignDispatchers(host: Host, ours: ReadonlySet<number>): SeenDispatcherAnswer[] {
  const slots = slotsByTarget(host);
  const { network } = host;
  const seen = new Set<number>();
  const answers: SeenDispatcherAnswer[] = [];
  for (const netns of [null, ...network.namedNamespaces()]) {
    const nsid = network.namespaceId(netns);
    if (seen.has(nsid)) continue;
    seen.add(nsid);
    for (const { name, ifindex } of network.interfaces(netns)) {
      const holder = host.kernel.xdpHolder({ netns, ifindex });
      if (holder === null || ours.has(holder.program)) continue;
      if (host.kernel.program(holder.program)?.name !== DISPATCHER_NAME) continue;
      const { program, link, mode } = holder;
      const members = membersOf(host, programId(program), slots.get(program) ?? []);
      answers.push({
        key: { type: "xdp", nsid, ifindex },
        interface: name,
        revision: 0,
        mode: "chain",
        runtime: { program_id: program, kernel_link_id: link, mode, netns_path: netns },
        member_count: members.length,
        foreign_members: members,
        attachment: { present: true, reason: null, interface: name },
      });
    }
  }
  return answers;
}
