import type { Facts } from "../domain/history.ts";
import { BpfmanError } from "../errors/error.ts";
import { reasonOf } from "../errors/sys-failure.ts";
import type { Host } from "../platform/host.ts";
import type { Context } from "./operation.ts";

/** Appends what has just ended to the history. */
export type Finish = (operation: string, result: string, facts: Facts) => void;

/** To be called at the start of an operation. A history that cannot be written must not hide the operation's result. */
export function startEntry(host: Host, { caller, log }: Pick<Context, "caller" | "log">): Finish {
  const startedAt = host.now();
  const startedMs = performance.now();
  return (operation, result, facts) => {
    try {
      const durationMs = Number((performance.now() - startedMs).toFixed(2));
      host.store.appendOperation({ operation, startedAt, durationMs, caller, result, facts });
    } catch (cause) {
      log.warn("history not written", { reason: reasonOf(cause) });
    }
  };
}

/** The result of an operation that failed. */
export const codeOf = (cause: unknown): string => (cause instanceof BpfmanError ? cause.code : "INTERNAL");

/** Combines facts: IDs are added, everything else is replaced. */
export function withFacts(facts: Facts, more: Facts): Facts {
  const both = (name: "programs" | "links") => [...new Set([...(facts[name] ?? []), ...(more[name] ?? [])])];
  return { ...facts, ...more, programs: both("programs"), links: both("links") };
}
