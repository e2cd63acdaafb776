/** Removes a program, for `unload` and recovery. Its links must have been removed before. */
import { PROGRAM_GONE_TIMEOUT_MS } from "../../domain/limits.ts";
import { linkPin, mapPin, type Pin, programPin } from "../../domain/pin.ts";
import type { ProgramRecord, RowState } from "../../domain/program.ts";
import type { Host } from "../../platform/host.ts";
import type { RowInBrief } from "../../platform/store.ts";
import type { Context } from "../operation.ts";
import { removePins, requireOwn } from "../own-pins.ts";
import { carryOut } from "../plan.ts";
import { waitUntil } from "../wait.ts";

type ProgramInBrief = Extract<RowInBrief, { readonly kind: "program" }>;

/** Returns every other program, whatever its row's state. */
const others = (host: Host, program: ProgramRecord): ProgramInBrief[] =>
  host.store.brief().filter((row): row is ProgramInBrief => row.kind === "program" && row.id !== program.id);

/** Returns the pins of the program's maps that bpfman created and no other program uses. */
function mapPinsToRemove(host: Host, program: ProgramRecord): Pin[] {
  const pins = program.maps.flatMap(({ id, pinPath, foreign }) =>
    pinPath === null || foreign ? [] : mapPin(pinPath, id),
  );
  if (pins.length === 0) return [];
  // A row that cannot be decoded might use any of them: then all pins stay.
  const inUse = host.store.mapPinsOfOthers(program.id);
  return inUse === null ? [] : pins.filter(({ path }) => !inUse.includes(path));
}

/** Removes the map pins that no other program uses, their directory if it is unused, and the bytecode. */
function removeFiles(host: Host, program: ProgramRecord): void {
  removePins(host, mapPinsToRemove(host, program));
  const rest = others(host, program);
  if (!rest.some((other) => other.mapPinPath === program.mapPinPath)) host.pins.removeDirectory(program.mapPinPath);
  host.files.removeBytecode(program.id);
}

const ownPins = (host: Host, program: ProgramRecord): Pin[] => [
  programPin(program.pinPath, program.id),
  ...mapPinsToRemove(host, program),
];

/**
 * Called before the first link of a program is detached, so that a pin that holds another object does not leave the
 * unload half done. Throws STATE_CONFLICT.
 */
export function requireOwnPins(host: Host, program: ProgramRecord): void {
  const links = host.store.links(program.id).flatMap(({ pinPath, kernelLinkId }) =>
    // A TC filter has no pin.
    pinPath === "" || kernelLinkId === null ? [] : linkPin(pinPath, kernelLinkId),
  );
  requireOwn(host, [...ownPins(host, program), ...links]);
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
export async function removeProgram(host: Host, row: ProgramRow, context: Context): Promise<void> {
  const program = row.record;
  requireOwn(host, ownPins(host, program));
  await carryOut(context, async (steps) => {
    await steps.step(
      `mark program ${program.id}`,
      () => host.store.setProgramState(program.id, "removing"),
      () => host.store.setProgramState(program.id, row.state),
    );
    await steps.step(`unpin program ${program.id}`, () => removePins(host, [programPin(program.pinPath, program.id)]));
  });
  removeFiles(host, program);
  host.store.deleteProgram(program.id);
  // The kernel frees a program shortly after its last reference is gone. Wait, because users check right away; others
  // may hold it.
  const gone = await waitUntil(host, () => host.kernel.program(program.id) === null, PROGRAM_GONE_TIMEOUT_MS);
  if (!gone)
    context.log.info("the kernel still has the program: something else refers to it", { program_id: program.id });
}
