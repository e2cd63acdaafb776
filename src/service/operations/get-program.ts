import type { ProgramAnswer } from "../../domain/answer.ts";
import { programId } from "../../domain/ids.ts";
import { foreignProgramAnswer, programAnswer } from "../../inspect/program-answer.ts";
import type { Host } from "../../platform/host.ts";
import { operation } from "../operation.ts";
import { programMissing } from "../require-record.ts";
import { type GetProgramRequest, getProgramRequest } from "../requests/program-requests.ts";

function getProgram(host: Host, request: GetProgramRequest): ProgramAnswer {
  const id = programId(request.programId);
  const record = host.store.program(id);
  const answer = record === null ? foreignProgramAnswer(host, id) : programAnswer(host, record, "current");
  if (answer === null) throw programMissing(host, id);
  return answer;
}

export const implementation = operation({ request: getProgramRequest, run: getProgram });
