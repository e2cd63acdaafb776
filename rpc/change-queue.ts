import { PULLS_AT_A_TIME_MAX } from "../src/domain/limits.ts";
import type { LogPort } from "../src/domain/log.ts";
import { BpfmanError } from "../src/errors/error.ts";
import type { Invoke } from "../src/service/invoke.ts";
import { isExclusive, OPERATIONS } from "../src/service/operations.ts";
import type { SessionService } from "../src/service/session.ts";

export interface Turn {
  /** What the change waits for before its turn. */
  readonly arrival?: Promise<unknown> | null;
  /** Whether it does not wait for what the changes before it wait for: those get their turns later. */
  readonly overtakes?: boolean;
}

/** Runs changes one at a time, in order of arrival. */
export class ChangeQueue {
  #last: Promise<unknown> = Promise.resolve();
  /** Until all that wait for an arrival, or keep their places behind such, have their turns; null if none does. */
  #arriving: Promise<void> | null = null;

  /**
   * Throws CANCELLED immediately if the signal fires before the task starts. Once started, the task must check the
   * signal itself. Throws what `arrival` throws.
   */
  run<T>(task: () => Promise<T>, signal: AbortSignal, { arrival = null, overtakes = false }: Turn = {}): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const cancel = (): void => reject(new BpfmanError("CANCELLED", "cancelled before its turn: nothing was changed"));
    if (signal.aborted) cancel();
    else signal.addEventListener("abort", cancel, { once: true });
    const take = (): void => {
      this.#last = this.#last.then(async () => {
        signal.removeEventListener("abort", cancel);
        if (signal.aborted) return;
        try {
          resolve(await task());
        } catch (thrown) {
          reject(thrown);
        }
      });
    };
    const before = overtakes ? null : this.#arriving;
    if (arrival === null && before === null) take();
    else {
      const ready = Promise.all([before, arrival]).then(take, reject);
      if (!overtakes) this.#keepPlace(Promise.all([before, ready]));
    }
    return promise;
  }

  #keepPlace(taken: Promise<unknown>): void {
    const arriving = taken.then(() => {
      if (this.#arriving === arriving) this.#arriving = null;
    });
    this.#arriving = arriving;
  }
}

/** Calls so many at a time, in the order in which they came. */
function severalAtATime(most: number): <T>(task: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (task) => {
    if (running < most) running++;
    else await new Promise<void>((next) => waiting.push(next));
    try {
      return await task();
    } finally {
      const next = waiting.shift();
      if (next === undefined) running--;
      else next();
    }
  };
}

/**
 * Runs changes in turn, and reads beside them. The image of a change is pulled before its turn, so that the turn does not
 * take as long as a registry does; the change then finds it in the cache. `overtakes` says which requests do not wait for images
 * of others.
 */
export function inTurn(
  { invoke, pullAhead, log }: Pick<SessionService, "invoke" | "pullAhead" | "log">,
  overtakes: (request: unknown) => boolean,
): Invoke {
  const changes = new ChangeQueue();
  const pulling = severalAtATime(PULLS_AT_A_TIME_MAX);

  return async (name, request, context = {}) => {
    if (!isExclusive(OPERATIONS[name].access)) return invoke(name, request, context);
    const { signal = new AbortController().signal } = context;
    let digest: string | null = null;
    const pull = async (): Promise<void> => {
      // Who cancelled it has been answered.
      if (signal.aborted) return;
      // The change itself warns of what it finds.
      const quiet: LogPort = { ...(context.log ?? log), warn: () => {} };
      digest = await pullAhead(name, request, { ...context, log: quiet });
    };
    const { source } = (request ?? {}) as { readonly source?: { readonly image?: unknown } | null };
    const arrival = source?.image === undefined ? null : pulling(pull);
    const run = () => invoke(name, request, { ...context, digest });
    return changes.run(run, signal, { arrival, overtakes: overtakes(request) });
  };
}
