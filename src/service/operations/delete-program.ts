import type { DeleteAnswer } from "../../domain/answer.ts";
import type { ProgramId } from "../../domain/ids.ts";
import type { ProgramRecord } from "../../domain/program.ts";
import type { Host } from "../../platform/host.ts";
import { deletePrograms, withDependants } from "../removal/delete.ts";
import { inOrderOfRemoval } from "../removal/remove-program.ts";
import { inBrief } from "../recovery/strays.ts";
import { type Context, operation } from "../operation.ts";
import { programIdOf, requireProgram } from "../require-record.ts";
import { type DeleteProgramRequest, deleteProgramRequest } from "../requests/program-requests.ts";

function targets(host: Host, named: ProgramId | null, request: DeleteProgramRequest): ProgramRecord[] {
  if (named !== null) return withDependants(host, requireProgram(host, named), request);
  return inOrderOfRemoval(host.store.programs());
}

async function deleteProgram(host: Host, request: DeleteProgramRequest, context: Context): Promise<DeleteAnswer> {
  const named = request.programId === null ? null : programIdOf(host, request.programId, context);
  if (named !== null && context.recovered.programs.has(named)) return { deleted: [named], detached: [] };
  const answer = await deletePrograms(host, targets(host, named, request), [], context);
  return request.unmount ? { ...answer, unmounted: unmount(host, context) } : answer;
}

/**
 * Gives up the runtime directory. Returns false, with a warning, if something is pinned there that bpfman does not
 * know.
 */
function unmount(host: Host, context: Context): boolean {
  const volumes = host.store
    .volumes()
    .all()
    .map(({ record }) => record.targetPath);
  if (volumes.length > 0) {
    context.log.warn(`not unmounted, because of volumes that are published: ${inBrief(volumes)}`);
    return false;
  }
  const left = host.pins.unmount();
  if (left.length > 0) {
    context.log.warn(`not unmounted, because of what bpfman did not put there: ${inBrief(left)}`);
    return false;
  }
  host.store.disown();
  context.leave();
  return true;
}

export const implementation = operation({
  get request() {
    return deleteProgramRequest();
  },
  run: deleteProgram,
});
