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

/**
 * Runs changes in turn, and reads beside them. The image of a change is pulled before its turn, so that the turn does not
 * take as long as a registry does; the change then finds it in the cache. `overtakes` says which requests do not wait for images
 * of others.
 */
export function inTurn(
  { invoke, log }: Pick<SessionService, "invoke" | "log">,
  overtakes: (request: unknown) => boolean,
): Invoke {
  const changes = new ChangeQueue();

  async function pull(image: unknown, context: Parameters<Invoke>[2]): Promise<void> {
    // The change itself warns of what it finds, and says which field of it is wrong, and what this process may not do.
    const quiet: LogPort = { ...(context?.log ?? log), warn: () => {} };
    await invoke("image/pull", image, { ...context, log: quiet }).catch((thrown: unknown) => {
      const isLeft = thrown instanceof BpfmanError && (thrown.kind === "invalid" || thrown.code === "IO_FAILED");
      if (!isLeft) throw thrown;
    });
  }

  return async (name, request, context = {}) => {
    const run = () => invoke(name, request, context);
    if (!isExclusive(OPERATIONS[name].access)) return run();
    const { source } = (request ?? {}) as { readonly source?: { readonly image?: unknown } | null };
    const arrival = source?.image === undefined ? null : pull(source.image, context);
    const signal = context.signal ?? new AbortController().signal;
    return changes.run(run, signal, { arrival, overtakes: overtakes(request) });
  };
}
