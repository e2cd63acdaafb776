import { BpfmanError } from "../../errors/error.ts";
import type { Flag, Session } from "../command.ts";

export const IGNORE_MISSING: Flag = {
  long: "ignore-missing",
  takes: "nothing",
  doc: ["Optional: An id that is not there is a success."],
};

/** Runs an operation for each id. A failure is reported and the next id tried, unless the user interrupted. */
export async function forEachId<Answer>(
  session: Session,
  ids: readonly number[],
  run: (id: number) => Promise<Answer>,
): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (const id of ids) {
    try {
      answers.push(await run(id));
    } catch (error) {
      if (!(error instanceof BpfmanError)) throw error;
      session.fail(error);
      if (error.kind === "cancelled") break;
    }
  }
  return answers;
}
