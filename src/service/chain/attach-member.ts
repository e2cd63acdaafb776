import type { XdpMode } from "../../domain/config.ts";
import type { ChainDetails, LinkRecord } from "../../domain/link.ts";
import type { ChainedKind } from "../../domain/kinds.ts";
import { TC_ACTIONS, TC_PROCEED_ON_DEFAULT, XDP_ACTIONS, XDP_PROCEED_ON_DEFAULT } from "../../domain/actions.ts";
import type { LinkAnswer } from "../../domain/answer.ts";
import type { Metadata, ProgramRecord } from "../../domain/program.ts";
import { BpfmanError } from "../../errors/error.ts";
import { behind, orderChain } from "../../dispatcher/order.ts";
import { linkAnswer } from "../../inspect/link-answer.ts";
import type { Host } from "../../platform/host.ts";
import { findInterface } from "../attach/interface.ts";
import type { Context } from "../operation.ts";
import { carryOut } from "../plan.ts";
import { requireLink } from "../require-record.ts";
import type { AttachTarget } from "../requests/attach-request.ts";
import { type ChainLink, memberOf, membersOf } from "./members.ts";
import { type ChainPlace, placeName, placeOf } from "./place.ts";
import { rebuild } from "./rebuild.ts";

export type ChainTarget = Extract<AttachTarget, { kind: ChainedKind }>;

const numbersOf = <Name extends string>(actions: Readonly<Record<Name, number>>, names: readonly Name[]): number[] =>
  [...new Set(names.map((name) => actions[name]))].sort((a, b) => a - b);

export function chainDetails(host: Host, target: ChainTarget): ChainDetails {
  const found = findInterface(host, target.iface, target.netns);
  const place = { ...found, priority: target.priority, position: 0 };
  if (target.kind === "xdp") {
    const names = target.proceedOn.length > 0 ? target.proceedOn : XDP_PROCEED_ON_DEFAULT;
    return { kind: "xdp", ...place, proceedOn: numbersOf(XDP_ACTIONS, names) };
  }
  const names = target.proceedOn.length > 0 ? target.proceedOn : TC_PROCEED_ON_DEFAULT;
  return { kind: "tc", direction: target.direction, ...place, proceedOn: numbersOf(TC_ACTIONS, names) };
}

/** Throws INVALID_ATTACH if the chain on the hook runs in another mode. */
function requireSameMode(host: Host, place: ChainPlace, mode: XdpMode): void {
  const chain = host.store.dispatcher(place.key);
  if (chain?.type !== "xdp" || chain.mode === null || chain.mode === mode) return;
  throw new BpfmanError(
    "INVALID_ATTACH",
    `attach to ${placeName(place)} in XDP mode ${mode}: its chain runs in mode ${chain.mode}, which all its programs share`,
    {
      details: { ...place.key, interface: place.interface, mode, chain_mode: chain.mode },
      hint: "leave the mode out to join the chain, or detach its programs first",
    },
  );
}

export interface ChainAttach {
  readonly program: ProgramRecord;
  readonly target: ChainTarget;
  readonly metadata: Metadata;
  /** The link that is restored. It comes behind those of its priority, because its chain is restored in order. */
  readonly was: Pick<LinkRecord, "id" | "createdAt"> | null;
}

/**
 * Adds a program to the chain of a hook. Throws INVALID_ATTACH (another XDP mode), DISPATCHER_FULL, HOOK_BUSY, KERNEL_UNSUPPORTED, INTERFACE_NOT_FOUND.
 */
export async function attachToChain(host: Host, request: ChainAttach, context: Context): Promise<LinkAnswer> {
  const { program, target, metadata, was } = request;
  const details = chainDetails(host, target);
  const place = placeOf(details);
  const draft = { programId: program.id, details, metadata, createdAt: host.now(), ...was };
  const there = membersOf(host, place.key);
  const mode = target.kind === "xdp" ? target.xdpMode : null;
  if (mode !== null && there.length > 0) requireSameMode(host, place, mode);
  const id = await carryOut(context, async (steps) => {
    const pending = await steps.step(
      "write the pending row",
      () => {
        const row = host.store.insertLink(draft, () => "");
        return { ...row, details } satisfies ChainLink;
      },
      (row, clean) => {
        if (clean) host.store.deleteLink(row.id);
      },
    );
    context.note({ links: [pending.id] });
    const newcomer = memberOf(host, pending, program);
    const members = was === null ? orderChain([...there, newcomer], pending.id) : behind(there, newcomer);
    await rebuild(host, { place, members, mode }, { steps, context });
    return pending.id;
  });
  // Not within the steps: what its transaction has made current is never undone.
  return linkAnswer(host, requireLink(host, id));
}
