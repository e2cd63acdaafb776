import type { ProgramAnswer } from "../../domain/answer.ts";
import { foreignProgramAnswer, programAnswer } from "../../inspect/program-answer.ts";
import type { Host } from "../../platform/host.ts";
import { type Context, operation } from "../operation.ts";
import { programIdOf, programMissing, successorOf } from "../require-record.ts";
import { type GetProgramRequest, getProgramRequest } from "../requests/program-requests.ts";

function getProgram(host: Host, request: GetProgramRequest, context: Context): ProgramAnswer {
  const id = programIdOf(host, request.programId, context);
  const record = host.store.program(id);
  const next = record === null ? successorOf(host, id) : null;
  if (next !== null) {
    context.log.warn(next.told);
    const { record: its, status } = programAnswer(host, next.record);
    return { record: its, status: { ...status, replaces: id } };
  }
  const answer = record === null ? foreignProgramAnswer(host, id) : programAnswer(host, record);
  if (answer === null) throw programMissing(host, id);
  return answer;
}

export const implementation = operation({
  get request() {
    return getProgramRequest();
  },
  run: getProgram,
});
