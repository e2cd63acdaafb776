import { isChained } from "../../domain/link.ts";
import type { ProgramRecord } from "../../domain/program.ts";
import { linkPin, programPin } from "../../domain/pin.ts";
import type { Host } from "../../platform/host.ts";
import type { Context } from "../operation.ts";
import { openIfOwn, removePins } from "../own-pins.ts";
import { move, type Places, unitsOf, wayOf } from "./move-links.ts";

/**
 * Gives the links that programs were to take over back to those that had them, whose rows are still there: the command was
 * killed. `programs` can then be removed. What fails is tried again by the next command that changes something.
 */
export async function giveBack(host: Host, programs: readonly ProgramRecord[], context: Context): Promise<void> {
  const pairs = programs.flatMap((next) => {
    const id = host.store.predecessor(next.id);
    const old = id === null ? null : host.store.program(id);
    return old === null ? [] : [{ old, next }];
  });
  if (pairs.length === 0) return;
  removeBeside(host);
  const places: Places = new Map(pairs.map(({ old, next }) => [next.id, old]));
  for (const { old, next } of pairs) swapBack(host, old, next);
  const links = host.store.links().filter(({ programId }) => places.has(programId));
  for (const unit of unitsOf(links)) await move(host, unit, places, context);
  host.store.transaction(() => pairs.forEach(({ old }) => host.store.dropSuccessor(old.id)));
}

/** Of two programs at one place, the row of the link names one. The other one's pin is recorded. */
function removeBeside(host: Host): void {
  for (const pin of host.store.recordedPins(`${host.pins.paths.root}/links`)) {
    const handle = openIfOwn(host, pin);
    handle?.close();
    if (handle !== null) removePins(host, [pin]);
    host.store.forgetPins(pin.path);
  }
}

/** Where the kernel had swapped the program, and the row does not say so yet. */
function swapBack(host: Host, old: ProgramRecord, next: ProgramRecord): void {
  for (const { details, kernelLinkId, pinPath } of host.store.links(old.id)) {
    if (wayOf(details) !== "swap" || kernelLinkId === null || isChained(details)) continue;
    if (host.kernel.link(kernelLinkId)?.programId !== next.id) continue;
    const programs = { old: programPin(next.pinPath, next.id), next: programPin(old.pinPath, old.id) };
    host.kernel.swapProgram(linkPin(pinPath, kernelLinkId), programs);
  }
}
