/**
 * The only way in which pins are removed: what is behind them is compared with what bpfman pinned there. Nothing is
 * removed when one of them holds another object; such a pin is somebody else's, and so are those that no row names.
 */
import type { Pin } from "../domain/pin.ts";
import type { Host } from "../platform/host.ts";
import type { PinnedHandle } from "../platform/kernel.ts";

/** Runs `work` with those pins open that are there. Throws STATE_CONFLICT when one holds another object. */
function withOpen(host: Host, pins: readonly Pin[], work: (there: readonly Pin[]) => void): void {
  const handles: PinnedHandle[] = [];
  try {
    const there = pins.filter((pin) => {
      const handle = host.kernel.openPin(pin);
      if (handle !== null) handles.push(handle);
      return handle !== null;
    });
    work(there);
  } finally {
    for (const handle of handles) handle.close();
  }
}

/** Throws STATE_CONFLICT when one of them holds another object than it should; they may be missing. */
export const requireOwn = (host: Host, pins: readonly Pin[]): void => withOpen(host, pins, () => {});

/**
 * Removes those that are there. They are open while that goes on, so a link is off its hook when this returns: closing
 * the last reference detaches at once, removing the last pin a moment later. Throws STATE_CONFLICT, before any is removed,
 * when one holds another object.
 */
export const removePins = (host: Host, pins: readonly Pin[]): void =>
  withOpen(host, pins, (there) => {
    for (const { path } of there) host.pins.remove(path);
  });

/** Removes what was recorded of a directory, then the directory unless somebody else has something in it. */
export function removeRecorded(host: Host, directory: string): void {
  const pins = host.store.recordedPins(directory);
  if (pins.length === 0) return;
  removePins(host, pins);
  host.pins.removeFolder(directory);
  host.store.forgetPins(directory);
}
