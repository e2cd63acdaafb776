/** Removes a program, for `unload` and recovery. Its links must have been removed before. */
import { PROGRAM_GONE_TIMEOUT_MS } from "../../domain/limits.ts";
import { linkPin, type Pin, programPin } from "../../domain/pin.ts";
import type { ProgramRecord, RowState } from "../../domain/program.ts";
import { BpfmanError } from "../../errors/error.ts";
import { reasonOf } from "../../errors/sys-failure.ts";
import type { Host } from "../../platform/host.ts";
import type { Context } from "../operation.ts";
import { removePins, requireOwn } from "../own-pins.ts";
import { carryOut, finish } from "../plan.ts";
import { isGone, waitUntil } from "../wait.ts";
import type { MapUsers } from "./map-users.ts";

/** Removes the map pins that no other program uses, their directory if it is unused, and the bytecode, unless another row has the same. */
function removeFiles(host: Host, program: ProgramRecord, users: MapUsers): void {
  removePins(host, users.pinsToRemove(program));
  if (host.pins.exists(program.mapPinPath) && !users.shareDirectory(program))
    host.pins.removeDirectory(program.mapPinPath);
  if (host.store.bytecodeUses(program.bytecodePath) <= 1) host.files.removeBytecode(program.bytecodePath);
}

const ownPins = (program: ProgramRecord, users: MapUsers): Pin[] => [
  programPin(program.pinPath, program.id),
  ...users.pinsToRemove(program),
];

/**
 * Called before the first link of a program is detached, so that a pin that holds another object does not leave the
 * unload half done. Throws STATE_CONFLICT.
 */
export function requireOwnPins(host: Host, program: ProgramRecord, users: MapUsers): void {
  const pins = ownPins(program, users);
  for (const { pinPath, kernelLinkId } of host.store.links(program.id)) {
    // A TC filter has no pin.
    if (pinPath !== "" && kernelLinkId !== null) pins.push(linkPin(pinPath, kernelLinkId));
  }
  requireOwn(host, pins);
}

/**
 * Throws PROGRAM_IN_USE if programs are loaded that replace functions of it, besides those that go first: they would keep it
 * in the kernel. Called before anything is removed.
 */
export function requireNotReplaced(host: Host, { id }: ProgramRecord, before: readonly ProgramRecord[] = []): void {
  const holders = host.store.programsReplacing(id).filter((each) => before.every((other) => other.id !== each.id));
  const [first] = holders;
  if (first === undefined) return;
  const ids = holders.map((each) => each.id);
  const links = ids.flatMap((each) => host.store.links(each).map((link) => link.id));
  const held = links.length === 0 ? "" : `, now by link ${links.join(", ")}`;
  throw new BpfmanError(
    "PROGRAM_IN_USE",
    `program ${id} is held by program ${ids.join(", ")}, loaded to replace functions of it${held}`,
    { details: { program_id: id, programs: ids, links }, hint: `unload those first: bpfman unload ${ids.join(" ")}` },
  );
}

/**
 * Returns them in the order in which they can be removed together: those that replace functions of others first, and those
 * that use the maps of others before these.
 */
export function inOrderOfRemoval(programs: readonly ProgramRecord[]): ProgramRecord[] {
  const rank = ({ type, mapOwnerId }: ProgramRecord) => (type === "freplace" ? 0 : mapOwnerId === null ? 2 : 1);
  return programs.toSorted((a, b) => rank(a) - rank(b));
}

/** A row and its previous state, which is restored if nothing could be done. */
export interface ProgramRow {
  readonly record: ProgramRecord;
  readonly state: RowState;
}

/**
 * Unpins the program, then removes what only it used. A failure before the unpinning changes nothing; one after it
 * leaves a row in state `removing`, which the next writing command finishes. Throws STATE_CONFLICT, and changes
 * nothing, if another object is pinned at the path of the program or one of its maps.
 */
export async function removeProgram(host: Host, row: ProgramRow, users: MapUsers, context: Context): Promise<void> {
  const program = row.record;
  requireOwn(host, ownPins(program, users));
  await carryOut(context, async (steps) => {
    await steps.step(
      `mark program ${program.id}`,
      () => host.store.setProgramState(program.id, "removing"),
      () => host.store.setProgramState(program.id, row.state),
    );
    await steps.step(`unpin program ${program.id}`, () => removePins(host, [programPin(program.pinPath, program.id)]));
  });
  await finish(`forget program ${program.id}`, () => {
    removeFiles(host, program, users);
    host.store.deleteProgram(program.id);
    users.forget(program.id);
  });
  // The kernel frees a program shortly after its last reference is gone. Wait, because users check right away; others
  // may hold it.
  context.waitAfterwards(async () => {
    const isThere = (): boolean => host.kernel.program(program.id) !== null;
    const facts = { program_id: program.id };
    try {
      if (await waitUntil(host, () => isGone(isThere), PROGRAM_GONE_TIMEOUT_MS)) return;
      context.log.info("the kernel still has the program: something else refers to it", facts);
    } catch (cause) {
      context.log.info("the kernel does not say whether it still has the program", {
        ...facts,
        reason: reasonOf(cause),
      });
    }
  });
}
