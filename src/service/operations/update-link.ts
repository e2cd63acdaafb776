import { capabilitiesOf, KINDS } from "../../domain/kinds.ts";
import { type ChainDetails, isChained, placeInBrief } from "../../domain/link.ts";
import { ACTIONS } from "../../domain/actions.ts";
import type { LinkAnswer } from "../../domain/answer.ts";
import { orderChain } from "../../dispatcher/order.ts";
import { BpfmanError } from "../../errors/error.ts";
import { didYouMean } from "../../errors/suggest.ts";
import { linkAnswer } from "../../inspect/link-answer.ts";
import type { Host } from "../../platform/host.ts";
import { membersOf } from "../chain/members.ts";
import { hasLostHook, placeOf } from "../chain/place.ts";
import { rebuild } from "../chain/rebuild.ts";
import { type Context, operation } from "../operation.ts";
import { carryOut } from "../plan.ts";
import { linkIdOf, requireLink } from "../require-record.ts";
import { type UpdateLinkRequest, updateLinkRequest } from "../requests/link-requests.ts";

/** Throws INVALID_ATTACH for an action that the link's hook does not have. */
function proceedOnOf({ kind }: ChainDetails, words: readonly string[]): number[] {
  const actions: Readonly<Record<string, number>> = ACTIONS[kind];
  const known = Object.keys(actions);
  const numbers = words.map((word) => {
    if (Object.hasOwn(actions, word)) return actions[word] as number;
    throw new BpfmanError("INVALID_ATTACH", `${kind} has no action "${word}" to proceed on`, {
      details: { word, known },
      hint: didYouMean(word, known) ?? `known actions: ${known.join(", ")}`,
    });
  });
  return [...new Set(numbers)].sort((a, b) => a - b);
}

/** Changes a live link by swapping its chain atomically: it keeps running throughout. */
export async function updateLink(host: Host, request: UpdateLinkRequest, context: Context): Promise<LinkAnswer> {
  const link = requireLink(host, linkIdOf(host, request.linkId, context));
  const { details } = link;
  if (!isChained(details)) {
    throw new BpfmanError(
      "INVALID_ATTACH",
      `link ${link.id} is ${KINDS[details.kind].display} link, which has nothing to update`,
      {
        details: { link_id: link.id, kind: details.kind },
        hint: "only XDP and TC links have a priority and proceed-on to change; detach other links and attach them again",
      },
    );
  }
  context.requireCapabilities(capabilitiesOf(details.kind), `changing ${KINDS[details.kind].display} chain`);
  if (hasLostHook(details)) {
    throw new BpfmanError("INTERFACE_NOT_FOUND", `link ${link.id} ran on ${details.interface}, which is gone`, {
      details: { link_id: link.id, interface: details.interface },
      hint: "detach it, and attach its program to another interface",
    });
  }
  const priority = request.priority ?? details.priority;
  const proceedOn = request.proceedOn === null ? details.proceedOn : proceedOnOf(details, request.proceedOn);
  const place = placeOf(details);
  const changed = membersOf(host, place.key).map((member) =>
    member.link === link.id ? { ...member, priority, proceedOn } : member,
  );
  // A moved member is new at its position; one that stays is ordered by name.
  const members = orderChain(changed, priority === details.priority ? null : link.id);
  context.note({ programs: [link.programId], place: placeInBrief(details) });
  await carryOut(context, (steps) => rebuild(host, { place, members }, { steps, context }));
  return linkAnswer(host, requireLink(host, link.id));
}

export const implementation = operation({
  get request() {
    return updateLinkRequest();
  },
  run: updateLink,
});
