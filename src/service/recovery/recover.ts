/**
 * What a command that was killed left behind is put right before the next change. Rows say what was intended, and they
 * are written before the first pin and deleted after the last, so they name everything there can be. Pins without a row
 * are therefore never ours to judge (another database may know them) and are left alone.
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
 * Runs under the writer lock, so every row that is not `ready` belongs to a command that has ended. `isOver` says whose
 * sessions have ended.
 */
export async function recover(
  host: Host,
  context: Context,
  isOver: (owner: ProcessIdentity) => boolean = host.processes.hasEnded,
): Promise<void> {
  host.pins.prepare();
  let rows = host.store.brief();
  // Usually everything is as it should be, and one look shows it.
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

/** What no row names: what holds nothing goes, and pins, which may be another database's, are told of. */
function lookForStrays(host: Host, rows: readonly RowInBrief[], context: Context): void {
  try {
    removeLeftovers(host, rows, context);
    const warning = strayWarning(strayPins(host, () => rows));
    if (warning !== null) context.log.warn(warning);
  } catch (cause) {
    context.log.warn("could not look for unrecorded objects", { reason: reasonOf(cause) });
  }
}

/** Rows in the midst of a change, and chains, of which more can be left than rows say. */
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

/** Those pins of the rows that are there: a look into each folder, however many rows. */
function pinnedPaths(host: Host, rows: readonly RowInBrief[]): ReadonlySet<string> {
  const folders = new Set(rows.flatMap((row) => (row.kind === "dispatcher" ? [] : folderOf(row.pinPath))));
  return new Set([...folders].flatMap((folder) => host.pins.list(folder).map((name) => `${folder}/${name}`)));
}

const folderOf = (path: string): string => path.slice(0, path.lastIndexOf("/"));

/** A session asked for everything of it to go with it, and has ended, perhaps by being killed. */
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

/** One thing that cannot be put right must not keep the others, or the user's command, from running. */
async function tryTo(context: Context, what: string, act: () => Promise<void>): Promise<void> {
  context.log.info(what);
  try {
    await act();
  } catch (cause) {
    context.log.warn(`could not ${what}`, { reason: reasonOf(cause) });
  }
}

/** A row that does not know its kernel link has none: it is written before the pin, and without one the link goes. */
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

/** A link whose pin somebody removed: when the kernel has dropped it too, there is nothing left to remember. */
function dropLostLink(host: Host, id: LinkId, context: Context): void {
  const link = host.store.link(id);
  // A chain's links are judged with their dispatcher.
  if (link === null || isChained(link.details) || isLive(host, link)) return;
  context.log.warn("a link has lost its pin and is gone; forgetting it", { link_id: link.id, pin: link.pinPath });
  host.store.deleteLink(link.id);
}

/** The same for a program that is neither pinned nor in the kernel. */
async function dropLostProgram(host: Host, id: ProgramId, context: Context): Promise<void> {
  const record = host.store.program(id);
  if (record === null || host.kernel.program(id) !== null) return;
  context.log.warn("a program has lost its pin and is gone; forgetting it", { program_id: id });
  await removeProgram(host, { record, state: "ready" }, context);
}
