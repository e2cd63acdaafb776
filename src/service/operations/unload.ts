import type { UnloadAnswer } from "../../domain/answer.ts";
import type { Host } from "../../platform/host.ts";
import { type Context, operation } from "../operation.ts";
import { programIdOf, programMissing, unlessMissing } from "../require-record.ts";
import { mapUsers } from "../removal/map-users.ts";
import { removeLink } from "../removal/remove-link.ts";
import { removeProgram, requireNotReplaced, requireOwnPins } from "../removal/remove-program.ts";
import { type UnloadRequest, unloadRequest } from "../requests/program-requests.ts";

async function unload(host: Host, request: UnloadRequest, context: Context): Promise<UnloadAnswer> {
  const { ignoreMissing } = request;
  const id = unlessMissing(ignoreMissing, () => programIdOf(host, request.programId, context));
  if (id === null) return { program_id: null, detached: [], unloaded: false };
  const program = host.store.program(id);
  if (program === null) {
    if (context.recovered.programs.has(id)) {
      context.log.warn(`program ${id} was gone already: only what was left of it has been removed`);
      return { program_id: id, detached: [], unloaded: true, already_gone: true };
    }
    const missing = programMissing(host, id);
    if (ignoreMissing && missing.code === "PROGRAM_NOT_FOUND") {
      return { program_id: id, detached: [], unloaded: false };
    }
    throw missing;
  }
  const links = host.store.links(id);
  context.note({ links: links.map((link) => link.id) });
  const users = mapUsers(host, [program]);
  requireNotReplaced(host, program);
  requireOwnPins(host, program, users);
  for (const record of links) await removeLink(host, { record, state: "ready" }, context);
  await removeProgram(host, { record: program, state: "ready" }, users, context);
  return { program_id: id, detached: links.map((link) => link.id), unloaded: true };
}

export const implementation = operation({
  get request() {
    return unloadRequest();
  },
  run: unload,
});
