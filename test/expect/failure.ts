import { BpfmanError } from "../../src/errors/error.ts";

/** The BpfmanError that `run` throws; anything else, or nothing, fails the test. */
export function failureOf(run: () => unknown): BpfmanError {
  try {
    run();
  } catch (thrown) {
    if (thrown instanceof BpfmanError) return thrown;
    throw thrown;
  }
  throw new Error("nothing was thrown");
}

/** The same for what takes its time. */
export async function failureOfAsync(run: () => Promise<unknown>): Promise<BpfmanError> {
  try {
    await run();
  } catch (thrown) {
    if (thrown instanceof BpfmanError) return thrown;
    throw thrown;
  }
  throw new Error("nothing was thrown");
}
