import { BpfmanError } from "../src/errors/error.ts";

/** Runs changes one at a time, in order of arrival. */
export class ChangeQueue {
  #last: Promise<unknown> = Promise.resolve();

  /**
   * Throws CANCELLED immediately if the signal fires before the task starts. Once started, the task must check the
   * signal itself.
   */
  run<T>(task: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const cancel = (): void => reject(new BpfmanError("CANCELLED", "cancelled before its turn: nothing was changed"));
    if (signal.aborted) cancel();
    else signal.addEventListener("abort", cancel, { once: true });
    this.#last = this.#last.then(async () => {
      signal.removeEventListener("abort", cancel);
      if (signal.aborted) return;
      try {
        resolve(await task());
      } catch (thrown) {
        reject(thrown);
      }
    });
    return promise;
  }
}
