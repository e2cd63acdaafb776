/** Loads and attaches as parts of one change: all of them are there afterwards, or none, even if the command is killed. */
import type { LinkAnswer, LoadAnswer } from "../domain/answer.ts";
import { linkId, programId } from "../domain/ids.ts";
import type { Host } from "../platform/host.ts";
import type { Context } from "./operation.ts";
import { attach } from "./operations/attach.ts";
import { type LoadPlan, load } from "./operations/load.ts";
import { carryOut, type Plan } from "./plan.ts";
import { mapUsers } from "./removal/map-users.ts";
import { removeLink } from "./removal/remove-link.ts";
import { removeProgram } from "./removal/remove-program.ts";
import { requireLink, requireProgram } from "./require-record.ts";
import type { AttachRequest } from "./requests/attach-request.ts";

/** What a change can consist of. A failure of a later part undoes the earlier ones. */
export interface Parts {
  readonly steps: Plan;
  /** For what undoes a step. */
  readonly undoing: Context;
  load(planned: LoadPlan): Promise<LoadAnswer>;
  attach(request: AttachRequest): Promise<LinkAnswer>;
}

/**
 * Returns what `work` does, which may not remove anything: that cannot be undone, so it belongs behind the change. `settle` says
 * what else becomes so in the moment in which the change is there.
 */
export function oneChange<T>(
  host: Host,
  context: Context,
  work: (parts: Parts) => Promise<T>,
  settle: (result: T) => void = () => {},
): Promise<T> {
  // What undoes an interrupted change is not to be interrupted.
  const undoing = { ...context, signal: new AbortController().signal };
  async function unload({ programs }: LoadAnswer, clean: boolean): Promise<void> {
    // Something may still use them.
    if (!clean) return;
    const users = mapUsers(host);
    const ids = programs.flatMap(({ record }) => record?.program_id ?? []);
    for (const id of ids.toReversed()) {
      const record = requireProgram(host, programId(id));
      await removeProgram(host, { record, state: "ready" }, users, undoing);
    }
  }
  const detach = ({ record }: LinkAnswer): Promise<void> =>
    removeLink(host, { record: requireLink(host, linkId(record.link_id)), state: "ready" }, undoing);

  return carryOut(context, async (steps) => {
    await steps.step(
      "begin a change of several parts",
      () => host.store.beginChange(context.operationId),
      (_, clean) => {
        if (clean) host.store.settleChange();
      },
    );
    const result = await work({
      steps,
      undoing,
      load: (planned) => steps.step("load", () => load(host, planned, context), unload),
      attach: (request) => steps.step("attach", () => attach(host, request, context), detach),
    });
    await steps.step("finish all parts of the change", () =>
      host.store.transaction(() => {
        host.store.settleChange();
        settle(result);
      }),
    );
    return result;
  });
}
