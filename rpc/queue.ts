import { BpfmanError } from "../src/errors/error.ts";

/** Runs what changes something one at a time, in the order in which it came. */
export class ChangeQueue {
  #last: Promise<unknown> = Promise.resolve();

  /** Throws CANCELLED at once when the signal fires before its turn; what then runs must look at the signal itself. */
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
