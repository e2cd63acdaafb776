import { BpfmanError } from "../errors/error.ts";
import { reasonOf } from "../errors/sys-failure.ts";
import type { Context } from "./operation.ts";

/** Effects that could not be undone after a failure. */
interface Leftover {
  readonly step: string;
  readonly reason: string;
}

type Undo<T> = (given: T, clean: boolean) => void | Promise<void>;

/** A sequence of effects that is either completed or undone. */
export interface Plan {
  /**
   * Performs a step. If a later step fails, `undo` is called with this one's result. The signal is checked before each
   * step, so an interrupted operation is undone at the next step. `clean` is false if the undo of a later step failed:
   * a row that names what is left must then stay.
   */
  step<T>(name: string, act: () => T | Promise<T>, undo?: Undo<T>): Promise<T>;
}

/** Returns the same failure with the list of what it left behind. */
function withLeftovers(failure: unknown, what: "not undone" | "not finished", left: readonly Leftover[]): unknown {
  if (left.length === 0) return failure;
  const list = left.map((entry) => `${entry.step} (${entry.reason})`).join("; ");
  const hint = `${what}: ${list}; the next command that changes something cleans it up`;
  if (!(failure instanceof BpfmanError)) {
    return new BpfmanError("INTERNAL", reasonOf(failure), { cause: failure, details: { left }, hint });
  }
  return failure.with({ details: { left }, hint: failure.hint === null ? hint : `${failure.hint}; ${hint}` });
}

/** Runs `work`. If it throws, undoes its finished steps in reverse order and rethrows. */
export async function carryOut<T>(context: Context, work: (plan: Plan) => Promise<T>): Promise<T> {
  const done: { readonly name: string; readonly undo: (clean: boolean) => void | Promise<void> }[] = [];
  const plan: Plan = {
    async step(name, act, undo) {
      // A signal is only noticed, and a message only read, when the event loop runs. This takes microseconds.
      await new Promise(setImmediate);
      if (context.signal.aborted) throw new BpfmanError("CANCELLED", `interrupted before: ${name}`);
      const startedAt = performance.now();
      const given = await act();
      if (undo) done.push({ name, undo: (clean) => undo(given, clean) });
      context.log.debug(name, { ms: Number((performance.now() - startedAt).toFixed(2)) });
      return given;
    },
  };
  try {
    return await work(plan);
  } catch (failure) {
    const left: Leftover[] = [];
    for (const { name, undo } of done.reverse()) {
      try {
        await undo(left.length === 0);
      } catch (cause) {
        left.push({ step: name, reason: reasonOf(cause) });
        context.log.warn("undo failed", { step: name, reason: reasonOf(cause) });
      }
    }
    throw withLeftovers(failure, "not undone", left);
  }
}

/**
 * Performs the rest of a removal, from which there is no way back. A failure says so: the row still names what is to be
 * removed, and the next command that changes something finishes it.
 */
export async function finish(step: string, act: () => void | Promise<void>): Promise<void> {
  try {
    await act();
  } catch (failure) {
    throw withLeftovers(failure, "not finished", [{ step, reason: reasonOf(failure) }]);
  }
}
