import { BpfmanError } from "../errors/error.ts";
import type { Host } from "../platform/host.ts";

const PAUSE_MS_MAX = 50;

/** Waits until `done` returns true, polling often at first. Returns false on timeout. */
export async function waitUntil(host: Host, done: () => boolean, timeoutMs: number): Promise<boolean> {
  let pauseMs = 1;
  for (let waitedMs = 0; ; waitedMs += pauseMs, pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX)) {
    if (done()) return true;
    if (waitedMs >= timeoutMs) return false;
    await host.sleep(pauseMs);
  }
}

/** Waits so long. Throws CANCELLED as soon as the signal fires; `what` is then what was interrupted. */
export async function pause(
  host: Host,
  ms: number,
  { signal, what }: { signal: AbortSignal; what: string },
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const stop = (): void => resolve();
  signal.addEventListener("abort", stop, { once: true });
  if (!signal.aborted) await Promise.race([host.sleep(ms), promise]);
  signal.removeEventListener("abort", stop);
  if (signal.aborted) throw new BpfmanError("CANCELLED", `interrupted: ${what}`);
}

/**
 * Reports whether an object is gone whose last pin was just removed. Without CAP_SYS_ADMIN, nobody can see one that is
 * not pinned, so it counts as gone.
 */
export function isGone(isThere: () => boolean): boolean {
  try {
    return !isThere();
  } catch (thrown) {
    if (thrown instanceof BpfmanError && thrown.code === "PERMISSION_DENIED") return true;
    throw thrown;
  }
}
