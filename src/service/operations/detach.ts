import type { DetachAnswer } from "../../domain/answer.ts";
import { placeInBrief } from "../../domain/link.ts";
import type { Host } from "../../platform/host.ts";
import { type Context, operation } from "../operation.ts";
import { linkIdOf, linkMissing, unlessMissing } from "../require-record.ts";
import { removeLink } from "../removal/remove-link.ts";
import { type DetachRequest, detachRequest } from "../requests/link-requests.ts";

async function detach(host: Host, request: DetachRequest, context: Context): Promise<DetachAnswer> {
  const { ignoreMissing } = request;
  const id = unlessMissing(ignoreMissing, () => linkIdOf(host, request.linkId, context));
  if (id === null) return { link_id: null, detached: false };
  const link = host.store.link(id);
  if (link === null) {
    if (context.recovered.links.has(id)) {
      context.log.warn(`link ${id} was gone already: only what was left of it has been removed`);
      return { link_id: id, detached: true, already_gone: true };
    }
    if (ignoreMissing) return { link_id: id, detached: false };
    throw linkMissing(host, id);
  }
  context.note({ programs: [link.programId], place: placeInBrief(link.details) });
  await removeLink(host, { record: link, state: "ready" }, context);
  return { link_id: id, detached: true };
}

export const implementation = operation({
  get request() {
    return detachRequest();
  },
  run: detach,
});
