/**
 * A command that died while it changed a chain left a pending revision: the hook runs the old chain or the new one, both
 * whole. The old one is put back, since its rows and pins are all there; then what is left of the new one goes.
 */
import { DISPATCHER_TYPES, type DispatcherRecord } from "../../domain/dispatcher.ts";
import type { ProgramId } from "../../domain/ids.ts";
import type { Host } from "../../platform/host.ts";
import type { Context } from "../operation.ts";
import type { LinkRow } from "../remove-link.ts";
import { linksOf } from "./members.ts";
import { type ChainPlace, isChained } from "./place.ts";
import { removeAtRest, revisionOf } from "./rebuild.ts";
import { membersOf } from "./members.ts";
import { removeFromChain } from "./remove.ts";
import { seatOf } from "./seat.ts";

/** Takes back the revision that was being made. Throws what keeps it from doing so. */
export function rollBack(host: Host, record: DispatcherRecord, context: Context): void {
  const pending = record.pendingRevision;
  if (pending === null) return;
  const place: ChainPlace = { key: record, interface: record.interface, netns: record.netns };
  const seat = seatOf(host, { place, record, context });
  const folder = host.pins.paths.revision(record, pending);
  const running = seat.running();
  if (record.revision === 0) {
    if (running !== null && isOfThisAttempt(host, record, running)) seat.leave();
  } else if (
    running !== null &&
    running !== record.programId &&
    running === pinnedProgram(host, `${folder}/dispatcher`)
  ) {
    const members = membersOf(host, record);
    seat.swap(`${folder}/dispatcher`, revisionOf(host, { place, members, revision: record.revision }).program);
  }
  removeAtRest(host, folder);
  host.store.abandonRevision(record);
}

/** An XDP link at our pin is ours; a TC filter is when it runs what was pinned for it, or the program attached directly. */
function isOfThisAttempt(host: Host, record: DispatcherRecord, running: ProgramId): boolean {
  if (record.type === "xdp") return true;
  const folder = host.pins.paths.revision(record, record.pendingRevision ?? 0);
  if (running === pinnedProgram(host, `${folder}/dispatcher`)) return true;
  return host.store.unsettledLinks().some((row) => row.record.programId === running);
}

function pinnedProgram(host: Host, path: string): ProgramId | null {
  const handle = host.kernel.openPin(path);
  if (handle === null) return null;
  handle.close();
  return handle.kind === "program" ? (handle.id as ProgramId) : null;
}

/** A link of a chain whose command died: one that was coming has no place yet, one that was going goes on. */
export async function finishChainLink(host: Host, row: LinkRow, context: Context): Promise<void> {
  const { details } = row.record;
  if (!isChained(details)) return;
  if (row.state === "pending") host.store.deleteLink(row.record.id);
  else await removeFromChain(host, { record: { ...row.record, details }, state: row.state }, context);
}

/** Folders of revisions that our rows know and that do not run: a command died between its swap and its cleaning up. */
export function removeOldRevisions(host: Host, context: Context): void {
  const records = host.store.dispatchers();
  if (records.length === 0) return;
  for (const type of DISPATCHER_TYPES) {
    for (const name of host.pins.list(host.pins.paths.chains(type))) {
      const [, nsid, ifindex, revision] = /^dispatcher_(\d+)_(\d+)_(\d+)$/.exec(name) ?? [];
      if (revision === undefined) continue;
      const record = records.find(
        (each) => each.type === type && each.nsid === Number(nsid) && each.ifindex === Number(ifindex),
      );
      if (record === undefined || Number(revision) === record.revision) continue;
      context.log.info("removing an old revision", { folder: name });
      removeAtRest(host, `${host.pins.paths.chains(type)}/${name}`);
    }
  }
}

/** Chains without members: their last link was removed, and the command died before the row went. */
export function dropEmptyChains(host: Host): void {
  for (const record of host.store.dispatchers()) {
    if (record.pendingRevision === null && linksOf(host, record).length === 0) {
      removeAtRest(host, host.pins.paths.revision(record, record.revision));
      host.store.deleteDispatcher(record);
    }
  }
}
