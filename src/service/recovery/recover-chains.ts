/**
 * A command that was killed while it changed a chain leaves a pending revision, and the hook runs the complete old or
 * new chain. The old one is restored, since its rows and pins still exist; then the rest of the new one is removed.
 */
import { isChained } from "../../domain/link.ts";
import type { ProgramId } from "../../domain/ids.ts";
import { PROGRAM_GONE_TIMEOUT_MS } from "../../domain/limits.ts";
import { DISPATCHER_TYPES, type DispatcherRecord } from "../../domain/dispatcher.ts";
import { type Pin, programPin } from "../../domain/pin.ts";
import type { Host } from "../../platform/host.ts";
import type { Context } from "../operation.ts";
import type { LinkRow } from "../removal/remove-link.ts";
import { linksOn } from "../chain/members.ts";
import { type ChainPlace, placeOf, sameKey } from "../chain/place.ts";
import { currentProgram, removeAtRest } from "../chain/rebuild.ts";
import { removeFromChain, removeWholeChain } from "../chain/remove-member.ts";
import { seatOf } from "../chain/seat.ts";
import { isGone, waitUntil } from "../wait.ts";

/** Rolls back the pending revision. Throws if that fails. */
export function rollBack(host: Host, record: DispatcherRecord, context: Context): void {
  const pending = record.pendingRevision;
  if (pending === null) return;
  const place: ChainPlace = { key: record, interface: record.interface, netns: record.netns };
  const seat = seatOf(host, { place, record, context });
  const directory = host.pins.paths.revision(record, pending);
  const before = currentProgram(host, record);
  const running = seat.running();
  const made = pendingProgram(host, record, { dispatcher: `${directory}/dispatcher`, running });
  if (made !== null && running === made.id && running !== record.programId) {
    if (before === null) seat.leave();
    else seat.swap(made, before);
  }
  // Without a previous revision, a recorded link that was never attached does not exist, and its record is void.
  if (before === null && record.type === "xdp") host.store.forgetPins(host.pins.paths.xdpLink(record));
  removeAtRest(host, directory);
  host.store.abandonRevision(record);
}

interface Pending {
  /** Where the pending revision has its dispatcher, if it has one. */
  readonly dispatcher: string;
  readonly running: ProgramId | null;
}

/**
 * What the command that died wanted to run: the dispatcher that it recorded, or the member of this hook that is there by
 * itself. Null when it had not come so far: whatever is on the hook is not ours then.
 */
function pendingProgram(host: Host, record: DispatcherRecord, { dispatcher, running }: Pending): Pin | null {
  const [recorded] = host.store.recordedPins(dispatcher);
  if (recorded !== undefined) return recorded;
  const links = [...host.store.links(), ...host.store.unsettledLinks().map((row) => row.record)];
  if (running === null) return null;
  // By itself, a program that was to take the place of a member; the row says so only afterwards.
  const members = new Set([running, host.store.predecessor(running)]);
  const isMember = links.some(
    ({ programId, details }) => members.has(programId) && isChained(details) && sameKey(placeOf(details).key, record),
  );
  const program = isMember ? host.store.program(running) : null;
  return program && programPin(program.pinPath, program.id);
}

/**
 * Finishes a chain's link whose command was killed: a pending one has no place yet and is dropped, one being removed is
 * removed.
 */
export async function finishChainLink(host: Host, row: LinkRow, context: Context): Promise<void> {
  const { details } = row.record;
  if (!isChained(details)) return;
  if (row.state === "pending") host.store.deleteLink(row.record.id);
  else await removeFromChain(host, { record: { ...row.record, details }, state: row.state }, context);
}

/**
 * Returns the chains of which no pin is left: neither of what runs there nor of any member. The BPF file system is gone, and with
 * it XDP; but a TC filter holds its program by itself, and nobody could change that any more.
 */
export function lostChains(host: Host): DispatcherRecord[] {
  const { pins, store } = host;
  return store.dispatchers().filter((record) => {
    const running = currentProgram(host, record);
    // Usually it is there.
    if (running === null || record.pendingRevision !== null || pins.exists(running.path)) return false;
    const links = linksOn(store.links(), record);
    const others = links.flatMap(({ pinPath, programId }) => [pinPath, store.program(programId)?.pinPath ?? ""]);
    return (
      links.length > 0 && ![pins.paths.xdpLink(record), ...others].some((path) => path !== "" && pins.exists(path))
    );
  });
}

/** Takes such a chain off its hook if it is still there, and waits until its programs are gone, so that their rows can go. */
export async function removeLostChain(host: Host, record: DispatcherRecord, context: Context): Promise<void> {
  const programs = linksOn(host.store.links(), record).map(({ programId }) => programId);
  await removeWholeChain(host, record, context);
  const isThere = (): boolean => programs.some((id) => host.kernel.program(id) !== null);
  await waitUntil(host, () => isGone(isThere), PROGRAM_GONE_TIMEOUT_MS);
}

/** Removes recorded revisions that no longer run, because a command was killed between swap and cleanup. */
export function removeOldRevisions(host: Host, context: Context): void {
  const { paths } = host.pins;
  const current = new Set(host.store.dispatchers().map((record) => paths.revision(record, record.revision)));
  for (const type of DISPATCHER_TYPES) {
    const recorded = host.store.recordedPins(paths.chains(type)).filter(({ path }) => path.endsWith("/dispatcher"));
    for (const { path } of recorded) {
      const directory = path.slice(0, path.lastIndexOf("/"));
      if (current.has(directory)) continue;
      context.log.info("removing an old revision", { directory });
      removeAtRest(host, directory);
    }
  }
}

/** Drops chains without members: the command was killed after removing the last link and before deleting the row. */
export function dropEmptyChains(host: Host): void {
  const links = host.store.links();
  for (const record of host.store.dispatchers()) {
    if (record.pendingRevision === null && linksOn(links, record).length === 0) {
      removeAtRest(host, host.pins.paths.revision(record, record.revision));
      host.store.deleteDispatcher(record);
    }
  }
}
