/**
 * Repairs what a killed command left behind, before the next change. Rows state the intent; they are written before the
 * first pin and deleted after the last, so they name everything that can exist. Pins without a row may belong to
 * another database and are therefore left alone.
 */
import type { LinkId, ProcessIdentity, ProgramId } from "../../domain/ids.ts";
import { isChained } from "../../domain/link.ts";
import type { Host } from "../../platform/host.ts";
import type { RowInBrief } from "../../platform/store.ts";
import type { Context } from "../operation.ts";
import { isLive, type LinkRow, removeLink } from "../removal/remove-link.ts";
import { removeLeftovers, strayPins, strayWarning } from "./strays.ts";
import { type ProgramRow, removeProgram } from "../removal/remove-program.ts";
import { reasonOf } from "../../errors/sys-failure.ts";

/**
 * Runs under the writer lock, so every row that is not `ready` belongs to a command that has ended. `isOver` reports
 * whose sessions have ended.
 */
export async function recover(
  host: Host,
  context: Context,
  isOver: (owner: ProcessIdentity) => boolean = host.processes.hasEnded,
): Promise<void> {
  host.pins.prepare();
  let rows = host.store.brief();
  // Usually there is nothing to repair, which one query shows.
  if (rows.some(({ kind, state }) => kind === "dispatcher" || state !== "ready")) {
    await finishWhatBegan(host, context);
    rows = host.store.brief();
  }
  const pinned = pinnedPaths(host, rows);
  for (const row of rows) {
    if (row.kind !== "link" || pinned.has(row.pinPath)) continue;
    await tryTo(context, `check link ${row.id}, which has no pin`, async () => dropLostLink(host, row.id, context));
  }
  for (const row of rows) {
    if (row.kind !== "program" || pinned.has(row.pinPath)) continue;
    await tryTo(context, `check program ${row.id}, which has no pin`, () => dropLostProgram(host, row.id, context));
  }
  lookForStrays(host, rows, context);
  const owners = new Set(rows.flatMap(({ owner }) => owner ?? []));
  for (const owner of owners) {
    if (isOver(owner)) await tryTo(context, `end session ${owner}`, () => endSession(host, owner, context));
  }
}

/** Looks for what no row names: removes empty leftovers, and warns about pins, which may be another database's. */
function lookForStrays(host: Host, rows: readonly RowInBrief[], context: Context): void {
  try {
    removeLeftovers(host, rows, context);
    const warning = strayWarning(strayPins(host, () => rows));
    if (warning !== null) context.log.warn(warning);
  } catch (cause) {
    context.log.warn("could not look for unrecorded objects", { reason: reasonOf(cause) });
  }
}

/** Finishes rows in mid-change, and chains, which can leave more behind than rows describe. */
async function finishWhatBegan(host: Host, context: Context): Promise<void> {
  const { dropEmptyChains, removeOldRevisions, rollBack } = await import("./recover-chains.ts");
  for (const record of host.store.dispatchers()) {
    if (record.pendingRevision === null) continue;
    const what = `take back revision ${record.pendingRevision} on ${record.interface}`;
    await tryTo(context, what, async () => rollBack(host, record, context));
  }
  for (const row of host.store.unsettledLinks()) {
    await tryTo(context, `finish removing link ${row.record.id}`, () => finishLink(host, row, context));
  }
  for (const row of host.store.unsettledPrograms()) {
    await tryTo(context, `finish removing program ${row.record.id}`, () => finishProgram(host, row, context));
  }
  dropEmptyChains(host);
  removeOldRevisions(host, context);
}

/** Returns those pins of the rows that exist, with one listing per directory however many rows there are. */
function pinnedPaths(host: Host, rows: readonly RowInBrief[]): ReadonlySet<string> {
  const directories = new Set(rows.flatMap((row) => (row.kind === "dispatcher" ? [] : directoryOf(row.pinPath))));
  return new Set(
    [...directories].flatMap((directory) => host.pins.list(directory).map((name) => `${directory}/${name}`)),
  );
}

const directoryOf = (path: string): string => path.slice(0, path.lastIndexOf("/"));

/** Removes everything of a session that asked for cleanup and has ended, possibly killed. */
async function endSession(host: Host, owner: ProcessIdentity, context: Context): Promise<void> {
  const { links, programs } = host.store.ownedBy(owner);
  for (const record of links) {
    await tryTo(context, `detach link ${record.id} of an ended session`, () =>
      removeLink(host, { record, state: "ready" }, context),
    );
  }
  for (const record of programs) {
    await tryTo(context, `unload program ${record.id} of an ended session`, () =>
      finishProgram(host, { record, state: "ready" }, context),
    );
  }
}

/** A problem that cannot be repaired must not block other repairs or the user's command. */
async function tryTo(context: Context, what: string, act: () => Promise<void>): Promise<void> {
  context.log.info(what);
  try {
    await act();
  } catch (cause) {
    context.log.warn(`could not ${what}`, { reason: reasonOf(cause) });
  }
}

/**
 * A row without a kernel link ID has no link: the ID is recorded before the pin, and an unpinned link disappears with
 * its process.
 */
async function finishLink(host: Host, row: LinkRow, context: Context): Promise<void> {
  if (isChained(row.record.details)) {
    const { finishChainLink } = await import("./recover-chains.ts");
    return finishChainLink(host, row, context);
  }
  const { record } = row;
  if (!host.pins.exists(record.pinPath) && isLive(host, record)) {
    context.log.warn("another process keeps a removed link alive", { link_id: record.id, kernel: record.kernelLinkId });
    return;
  }
  await removeLink(host, { record, state: row.state }, context);
}

async function finishProgram(host: Host, row: ProgramRow, context: Context): Promise<void> {
  for (const record of host.store.links(row.record.id)) await removeLink(host, { record, state: "ready" }, context);
  await removeProgram(host, row, context);
}

/** A link whose pin was removed by somebody: if the kernel released it too, its row is deleted. */
function dropLostLink(host: Host, id: LinkId, context: Context): void {
  const link = host.store.link(id);
  // A chain's links are handled with their dispatcher.
  if (link === null || isChained(link.details) || isLive(host, link)) return;
  context.log.warn("a link has lost its pin and is gone; forgetting it", { link_id: link.id, pin: link.pinPath });
  host.store.deleteLink(link.id);
}

/** Likewise for a program that is neither pinned nor in the kernel. */
async function dropLostProgram(host: Host, id: ProgramId, context: Context): Promise<void> {
  const record = host.store.program(id);
  if (record === null || host.kernel.program(id) !== null) return;
  context.log.warn("a program has lost its pin and is gone; forgetting it", { program_id: id });
  await removeProgram(host, { record, state: "ready" }, context);
}
