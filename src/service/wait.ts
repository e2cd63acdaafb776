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
