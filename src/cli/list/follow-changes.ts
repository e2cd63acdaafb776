/** Prints changes until something ends it. Loaded by `watch` alone. */
import { EVENTS_WAIT_MS } from "../../domain/limits.ts";
import type { Settings } from "../../domain/settings.ts";
import type { WatchedChange, WatchOptions } from "../command.ts";
import type { CliHost } from "../run.ts";

const EXIT_INTERRUPTED = 130;

/** `write` returns false if nobody reads any more. Returns the exit code. */
export async function followChanges(
  host: CliHost,
  settings: Settings,
  { since, count, forMs }: WatchOptions,
  write: (change: WatchedChange) => boolean,
): Promise<number> {
  const end = Promise.withResolvers<number>();
  let left = count ?? Number.POSITIVE_INFINITY;
  const changed = (change: WatchedChange): void => {
    if (left === 0) return;
    try {
      if (!write(change)) left = 0;
      else if (change.kind !== "events/didDrop") left--;
      if (left === 0) end.resolve(0);
    } catch (thrown) {
      left = 0;
      end.reject(thrown);
    }
  };
  const interrupt = (): void => end.resolve(EXIT_INTERRUPTED);
  host.signal.addEventListener("abort", interrupt, { once: true });
  const watch = await host.watch(settings, since, changed);
  const timer = forMs === null ? undefined : setTimeout(() => end.resolve(0), forMs);
  const poll = setInterval(() => host.isAbandoned() && end.resolve(0), EVENTS_WAIT_MS);
  try {
    if (host.signal.aborted) interrupt();
    return await end.promise;
  } finally {
    clearTimeout(timer);
    clearInterval(poll);
    await watch.close();
  }
}
