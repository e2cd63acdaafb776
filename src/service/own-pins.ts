/**
 * Removes pins, after checking that they hold what bpfman pinned there. Nothing else removes pins. A pin that holds
 * another object, or that no row names, belongs to somebody else.
 */
import type { Pin } from "../domain/pin.ts";
import type { Host } from "../platform/host.ts";
import type { PinnedHandle } from "../platform/kernel.ts";

type Open = (pin: Pin) => PinnedHandle | null;

/** Calls `work` with the pins that `open` can open, while they are open. */
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

/** Throws STATE_CONFLICT if a pin holds another object than it should. Missing pins are allowed. */
export const requireOwn = (host: Host, pins: readonly Pin[]): void =>
  withOpen(pins, host.kernel.openPin.bind(host.kernel), () => {});

/**
 * Removes the pins that exist. They are kept open meanwhile, so a link is off its hook when this returns: closing the
 * last reference detaches immediately, removing the last pin only a moment later. Throws STATE_CONFLICT, before
 * removing any, if one holds another object.
 */
export const removePins = (host: Host, pins: readonly Pin[]): void =>
  withOpen(pins, host.kernel.openPin.bind(host.kernel), (there) => unpin(host, there));

const unpin = (host: Host, pins: readonly Pin[]): void => {
  for (const { path } of pins) host.pins.remove(path);
};

/** Opens a pin if it holds the expected object; returns null if it is missing or holds another one. */
export function openIfOwn(host: Host, pin: Pin): PinnedHandle | null {
  const handle = host.kernel.openPin(pin.path);
  if (handle === null || (handle.kind === pin.kind && handle.id === pin.id)) return handle;
  handle.close();
  return null;
}

/**
 * Removes the recorded pins of a directory, then the directory unless others have something in it. A record can name a
 * pin that was never created because the path was taken.
 */
export function removeRecorded(host: Host, directory: string): void {
  const pins = host.store.recordedPins(directory);
  if (pins.length === 0) return;
  withOpen(
    pins,
    (pin) => openIfOwn(host, pin),
    (there) => unpin(host, there),
  );
  host.pins.removeDirectory(directory);
  host.store.forgetPins(directory);
}
