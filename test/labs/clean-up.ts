import { afterEach, beforeEach } from "bun:test";

type Step = () => void | Promise<void>;

const due: Step[] = [];

/**
 * Takes back after each test what it or the hooks before it made. Unlike the hooks of `afterEach`, of which one that throws
 * keeps the next from running, each step is done whatever became of the others; the test fails with the first that threw.
 */
export function cleanUpAfterEach(step: Step): void {
  beforeEach(() => {
    due.push(step);
  });
  afterEach(async () => {
    const failures: unknown[] = [];
    for (const each of due.splice(0)) {
      try {
        await each();
      } catch (thrown) {
        failures.push(thrown);
      }
    }
    if (failures.length > 0) throw failures[0];
  });
}
