/**
 * The only way in which pins are removed: what is behind them is compared with what bpfman pinned there. What holds
 * another object is somebody else's, and so is what no row names.
 */
import type { Pin } from "../domain/pin.ts";
import type { Host } from "../platform/host.ts";
import type { PinnedHandle } from "../platform/kernel.ts";

type Open = (pin: Pin) => PinnedHandle | null;

/** Runs `work` with those of the pins open that `open` finds. */
function withOpen(pins: readonly Pin[], open: Open, work: (there: readonly Pin[]) => void): void {
  const handles: PinnedHandle[] = [];
  try {
    const there = pins.filter((pin) => {
      const handle = open(pin);
      if (handle !== null) handles.push(handle);
      return handle !== null;
    });
    work(there);
  } finally {
    for (const handle of handles) handle.close();
  }
}

/** Throws STATE_CONFLICT when one of them holds another object than it should; they may be missing. */
export const requireOwn = (host: Host, pins: readonly Pin[]): void =>
  withOpen(pins, host.kernel.openPin.bind(host.kernel), () => {});

/**
 * Removes those that are there. They are open while that goes on, so a link is off its hook when this returns: closing
 * the last reference detaches at once, removing the last pin a moment later. Throws STATE_CONFLICT, before any is removed,
 * when one holds another object.
 */
export const removePins = (host: Host, pins: readonly Pin[]): void =>
  withOpen(pins, host.kernel.openPin.bind(host.kernel), (there) => unpin(host, there));

const unpin = (host: Host, pins: readonly Pin[]): void => {
  for (const { path } of pins) host.pins.remove(path);
};

/** What is behind a pin, if it is what should be there; null when nothing is, or another object. */
export function openIfOwn(host: Host, pin: Pin): PinnedHandle | null {
  const handle = host.kernel.openPin(pin.path);
  if (handle === null || (handle.kind === pin.kind && handle.id === pin.id)) return handle;
  handle.close();
  return null;
}

/**
 * Removes what was recorded of a directory, then the directory unless somebody else has something in it. A record may be
 * of a pin that was never made, because the place was taken.
 */
export function removeRecorded(host: Host, directory: string): void {
  const pins = host.store.recordedPins(directory);
  if (pins.length === 0) return;
  withOpen(
    pins,
    (pin) => openIfOwn(host, pin),
    (there) => unpin(host, there),
  );
  host.pins.removeFolder(directory);
  host.store.forgetPins(directory);
}
