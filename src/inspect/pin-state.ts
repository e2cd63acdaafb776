import type { PinState } from "../domain/answer.ts";
import type { Pin } from "../domain/pin.ts";
import type { Host } from "../platform/host.ts";

/** Longest time between the row and its pin: a load pins its programs after all were verified. */
const PIN_DELAY_MS = 60_000;

/**
 * Tells what is wrong with the pin of a row. It runs for every row of a list, so the kernel is asked only if a pin is
 * missing (`isInKernel`), or so young that another command must have made it.
 */
export function pinState(host: Host, pin: Pin, rowAt: Date, isInKernel: () => boolean): PinState {
  const pinnedAt = host.pins.pinnedAt(pin.path);
  if (pinnedAt === null) return isInKernel() ? "unpinned" : "gone";
  if (pinnedAt.getTime() - rowAt.getTime() <= PIN_DELAY_MS) return null;
  const found = host.kernel.openPin(pin.path);
  found?.close();
  return found !== null && (found.kind !== pin.kind || found.id !== pin.id) ? "foreign" : null;
}
