/**
 * What a command that was killed left behind is put right before the next change. Rows say what was intended, and they
 * are written before the first pin and deleted after the last, so they name everything there can be. Pins without a row
 * are therefore never ours to judge (another database may know them) and are left alone.
 */
import type { KernelLinkId } from "../domain/ids.ts";
import type { ProcessIdentity } from "../domain/session.ts";
import type { LinkRecord } from "../domain/link.ts";
import type { Host } from "../platform/host.ts";
import { isChained } from "./chain/place.ts";
import { dropEmptyChains, finishChainLink, removeOldRevisions, rollBack } from "./chain/recover.ts";
import type { Context } from "./operation.ts";
import { isLive, type LinkRow, removeLink } from "./remove-link.ts";
import { type ProgramRow, removeProgram } from "./remove-program.ts";

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
  dropLostLinks(host, context);
  await dropLostPrograms(host, context);
  for (const owner of host.store.owners()) if (isOver(owner)) await endSession(host, owner, context);
}

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
    context.log.warn(`could not ${what}`, { reason: cause instanceof Error ? cause.message : String(cause) });
  }
}

/** A pending row does not know its kernel link yet: the pin tells. */
async function finishLink(host: Host, row: LinkRow, context: Context): Promise<void> {
  if (isChained(row.record.details)) return finishChainLink(host, row, context);
  const record = row.record.kernelLinkId === null ? withPinnedLink(host, row.record) : row.record;
  if (!host.pins.exists(record.pinPath) && isLive(host, record)) {
    context.log.warn("another process keeps a removed link alive", { link_id: record.id, kernel: record.kernelLinkId });
    return;
  }
  await removeLink(host, { record, state: row.state }, context);
}

function withPinnedLink(host: Host, link: LinkRecord): LinkRecord {
  const handle = host.kernel.openPin(link.pinPath);
  if (handle === null) return link;
  handle.close();
  return handle.kind === "link" ? { ...link, kernelLinkId: handle.id as KernelLinkId } : link;
}

async function finishProgram(host: Host, row: ProgramRow, context: Context): Promise<void> {
  for (const record of host.store.links(row.record.id)) await removeLink(host, { record, state: "ready" }, context);
  await removeProgram(host, row, context);
}

/** Links whose pin somebody removed: when the kernel has dropped them too, there is nothing left to remember. */
function dropLostLinks(host: Host, context: Context): void {
  for (const link of host.store.links()) {
    // A chain's links are judged with their dispatcher.
    if (isChained(link.details) || host.pins.exists(link.pinPath) || isLive(host, link)) continue;
    context.log.warn("a link has lost its pin and is gone; forgetting it", { link_id: link.id, pin: link.pinPath });
    host.store.deleteLink(link.id);
  }
}

/** The same for programs that are neither pinned nor in the kernel. */
async function dropLostPrograms(host: Host, context: Context): Promise<void> {
  for (const record of host.store.programs()) {
    if (host.pins.exists(record.pinPath) || host.kernel.program(record.id) !== null) continue;
    context.log.warn("a program has lost its pin and is gone; forgetting it", { program_id: record.id });
    await tryTo(context, `forget program ${record.id}`, () => removeProgram(host, { record, state: "ready" }, context));
  }
}
