/**
 * What bpfman-operator's agent needs besides answers. It asks again at once for what has just failed, a hundred times in ten
 * seconds. And when one program of an application has gone, it loads all of them again, and leaves the others.
 */
import { FAILED_LOADS_MAX, FAILED_LOAD_MS } from "../domain/limits.ts";
import { BpfmanError } from "../errors/error.ts";
import type { Answers, OperationName } from "../service/operations.ts";
import type { Run } from "./bpfman-v1.ts";
import type { Call } from "./server.ts";

interface Failure {
  readonly error: BpfmanError;
  /** In milliseconds of `now`. */
  readonly until: number;
}

/** Says for a while what became of a load that failed, and unloads what a load takes the place of. */
export function forAgent(run: Run, now: () => number = () => performance.now()): Run {
  /** By what was asked for, the oldest first. */
  const failures = new Map<string, Failure>();

  async function load(request: unknown, call: Call): Promise<Answers["program/load"]> {
    // It may hold a password.
    const key = new Bun.CryptoHasher("sha256").update(JSON.stringify(request)).digest("hex");
    const known = failures.get(key);
    if (known !== undefined && known.until > now()) throw known.error;
    failures.delete(key);
    try {
      return await run("program/load", { ...(request as object), supersede: true }, call);
    } catch (thrown) {
      if (thrown instanceof BpfmanError && thrown.kind !== "cancelled") {
        failures.set(key, { error: thrown, until: now() + FAILED_LOAD_MS });
        const [oldest] = failures.keys();
        if (failures.size > FAILED_LOADS_MAX && oldest !== undefined) failures.delete(oldest);
      }
      throw thrown;
    }
  }

  return <Name extends OperationName>(name: Name, request: unknown, call: Call): Promise<Answers[Name]> =>
    name === "program/load" ? (load(request, call) as Promise<Answers[Name]>) : run(name, request, call);
}
