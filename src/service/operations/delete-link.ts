import type { DeleteAnswer } from "../../domain/answer.ts";
import { placeInBrief } from "../../domain/link.ts";
import type { ProgramRecord } from "../../domain/program.ts";
import type { Host } from "../../platform/host.ts";
import { deletePrograms, withDependants } from "../removal/delete.ts";
import { type Context, operation } from "../operation.ts";
import { linkIdOf, requireLink } from "../require-record.ts";
import { mapUsers } from "../removal/map-users.ts";
import { removeLink } from "../removal/remove-link.ts";
import { requireNotReplaced, requireOwnPins } from "../removal/remove-program.ts";
import { type DeleteLinkRequest, deleteLinkRequest } from "../requests/link-requests.ts";

/** Detaches the link, and unloads its program if that was its last link. */
async function deleteLink(host: Host, request: DeleteLinkRequest, context: Context): Promise<DeleteAnswer> {
  const id = linkIdOf(host, request.linkId, context);
  if (context.recovered.links.has(id)) return { deleted: [], detached: [id] };
  const link = requireLink(host, id);
  const program = host.store.program(link.programId);
  const isLast = host.store.links(link.programId).every((other) => other.id === link.id);
  const programs: ProgramRecord[] = program !== null && isLast ? withDependants(host, program, request) : [];
  context.note({ programs: [link.programId], place: placeInBrief(link.details) });
  for (const each of programs) requireNotReplaced(host, each, programs);
  const users = mapUsers(host, programs);
  for (const each of programs) requireOwnPins(host, each, users);
  await removeLink(host, { record: link, state: "ready" }, context);
  return deletePrograms(host, programs, [link.id], context);
}

export const implementation = operation({
  get request() {
    return deleteLinkRequest();
  },
  run: deleteLink,
});
