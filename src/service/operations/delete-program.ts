import type { DeleteAnswer } from "../../domain/answer.ts";
import type { ProgramRecord } from "../../domain/program.ts";
import type { Host } from "../../platform/host.ts";
import { deletePrograms, withDependants } from "../removal/delete.ts";
import { type Context, operation } from "../operation.ts";
import { requireProgram } from "../require-record.ts";
import { type DeleteProgramRequest, deleteProgramRequest } from "../requests/program-requests.ts";

/** Programs that use the maps of others come first, as with `recursive`. */
function targets(host: Host, request: DeleteProgramRequest): ProgramRecord[] {
  if (request.programId !== null) return withDependants(host, requireProgram(host, request.programId), request);
  const all = host.store.programs();
  return [...all.filter((each) => each.mapOwnerId !== null), ...all.filter((each) => each.mapOwnerId === null)];
}

const deleteProgram = (host: Host, request: DeleteProgramRequest, context: Context): Promise<DeleteAnswer> =>
  deletePrograms(host, targets(host, request), [], context);

export const implementation = operation({ request: deleteProgramRequest, run: deleteProgram });
