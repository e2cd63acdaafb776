/**
 * Repairs what a killed command left behind, before the next change. Rows state the intent; they are written before the
 * first pin and deleted after the last, so they name everything that can exist. Pins without a row may belong to
 * another database and are therefore left alone.
 */
import { BY_ITSELF } from "../../domain/history.ts";
import { isUnfinished, type LinkId, type ProcessIdentity, type ProgramId } from "../../domain/ids.ts";
import { isChained } from "../../domain/link.ts";
import type { Host } from "../../platform/host.ts";
import type { RowInBrief } from "../../platform/store.ts";
import { codeOf, startEntry } from "../history.ts";
import type { Context } from "../operation.ts";
import { type MapUsers, mapUsers } from "../removal/map-users.ts";
import { isLive, type LinkRow, removeLink } from "../removal/remove-link.ts";
import {
  inBrief,
  isIntact,
  type Listing,
  listedOnce,
  removeLeftovers,
  removeUnusedBytecode,
  strayWarning,
} from "./strays.ts";
import { inOrderOfRemoval, type ProgramRow, removeProgram, requireNotReplaced } from "../removal/remove-program.ts";
import { reasonOf } from "../../errors/sys-failure.ts";

/** Read on first use: usually, there is nothing to remove. */
type Users = () => MapUsers;

/**
 * Runs under the writer lock, so every row that is not `ready` belongs to a command that has ended. `isOver` reports
 * whose sessions have ended.
 */
export async function recover(
  host: Host,
  context: Context,
  isOver: (owner: ProcessIdentity) => boolean = host.processes.hasEnded,
): Promise<void> {
  const wasUnmounted = host.pins.prepare();
  if (isIntact(host, listedOnce(host))) return;
  const finish = startEntry(host, context);
  const found = host.store.brief();
  let rows = found;
  let read: MapUsers | null = null;
  const users = (): MapUsers => {
    read ??= mapUsers(host);
    return read;
  };
  if (rows.some(({ kind, state }) => kind === "dispatcher" || state !== "ready")) {
    await finishWhatBegan(host, users, context);
    if (rows.some(({ kind }) => kind === "volume")) await finishVolumes(host, context);
    rows = host.store.brief();
  }
  const list = listedOnce(host);
  const pinned = pinnedPaths(list, rows);
  const unpinned = rows.filter((row) => "pinPath" in row && !pinned.has(row.pinPath));
  for (const row of unpinned) {
    if (row.kind !== "link") continue;
    await tryTo(context, `check link ${row.id}, which has no pin`, async () => dropLostLink(host, row.id));
  }
  for (const row of unpinned) {
    if (row.kind !== "program") continue;
    await tryTo(context, `check program ${row.id}, which has no pin`, () =>
      dropLostProgram(host, row.id, users, context),
    );
  }
  if (unpinned.length > 0) rows = host.store.brief();
  warnOfLost(goneSince(unpinned, rows), wasUnmounted, context);
  const gone = goneSince(found, rows);
  report(gone, context, () => finish(BY_ITSELF.recovery, "ok", gone));
  lookForStrays(host, list, rows, context);
  const owners = new Set(rows.flatMap(({ owner }) => owner ?? []));
  // Whoever holds the lock has begun no change yet, so what is not finished never will be.
  for (const owner of owners) if (isUnfinished(owner) || isOver(owner)) await removeOwned(host, owner, users, context);
}

interface Gone {
  readonly programs: ProgramId[];
  readonly links: LinkId[];
}

/** Tells the operation that follows, and the history, what is gone. */
function report({ programs, links }: Gone, { recovered }: Context, finish: () => void): void {
  for (const id of programs) recovered.programs.add(id);
  for (const id of links) recovered.links.add(id);
  if (programs.length + links.length > 0) finish();
}

/** Returns the programs and links that had a row before and have none now. */
function goneSince(before: readonly RowInBrief[], now: readonly RowInBrief[]): Gone {
  const left = { program: new Set<number>(), link: new Set<number>() };
  for (const row of now) if ("id" in row) left[row.kind].add(row.id);
  return {
    programs: before.flatMap((row) => (row.kind === "program" && !left.program.has(row.id) ? row.id : [])),
    links: before.flatMap((row) => (row.kind === "link" && !left.link.has(row.id) ? row.id : [])),
  };
}

/** Somebody removed the pins, or the bpffs: users should know. */
function warnOfLost({ programs, links }: Gone, wasUnmounted: boolean, { log }: Context): void {
  if (wasUnmounted && programs.length > 0) {
    log.warn(
      "the BPF file system with the pins was not mounted here any more; a shell of its own mounts, " +
        'as "ip netns exec" and "unshare --mount" start one, takes it along: use --netns, or nsenter --net',
    );
  }
  for (const [what, ids] of Object.entries({ programs, links })) {
    if (ids.length > 0) log.warn(`${what} that lost their pins are gone; forgetting ${inBrief(ids)}`);
  }
}

/** Looks for what no row names: removes leftovers that hold nothing, and warns about pins, which may be another database's. */
function lookForStrays(host: Host, list: Listing, rows: readonly RowInBrief[], context: Context): void {
  try {
    removeLeftovers(host, list, rows, context);
    const warning = strayWarning(host, list, () => rows);
    if (warning === null) removeUnusedBytecode(host, rows, context);
    else context.log.warn(warning);
  } catch (cause) {
    context.log.warn("could not look for unrecorded objects", { reason: reasonOf(cause) });
  }
}

/** Finishes rows in mid-change, and chains, which can leave more behind than rows describe. */
async function finishWhatBegan(host: Host, users: Users, context: Context): Promise<void> {
  const { dropEmptyChains, lostChains, removeLostChain, removeOldRevisions, rollBack } = await import(
    "./recover-chains.ts"
  );
  for (const record of host.store.dispatchers()) {
    if (record.pendingRevision === null) continue;
    const what = `take back revision ${record.pendingRevision} on ${record.interface}`;
    await tryTo(context, what, async () => rollBack(host, record, context));
  }
  for (const row of host.store.unsettledLinks()) {
    await tryTo(context, `finish removing link ${row.record.id}`, () => finishLink(host, row, context));
  }
  for (const row of host.store.unsettledPrograms()) {
    await tryTo(context, `finish removing program ${row.record.id}`, () => finishProgram(host, row, users, context));
  }
  for (const record of lostChains(host)) {
    const what = `take the chain on ${record.interface} off, whose pins are gone`;
    await tryTo(context, what, () => removeLostChain(host, record, context));
  }
  dropEmptyChains(host);
  removeOldRevisions(host, context);
}

async function finishVolumes(host: Host, context: Context): Promise<void> {
  const { removeVolume } = await import("../volume/remove-volume.ts");
  for (const { record, isReady } of host.store.volumes().all()) {
    if (!isReady) await tryTo(context, `remove volume ${record.id}`, () => removeVolume(host, record));
  }
}

/** Returns those pins of the rows that exist, with one listing per directory however many rows there are. */
function pinnedPaths(list: Listing, rows: readonly RowInBrief[]): ReadonlySet<string> {
  const directories = new Set(rows.flatMap((row) => ("pinPath" in row ? directoryOf(row.pinPath) : [])));
  return new Set([...directories].flatMap((directory) => list(directory).map((name) => `${directory}/${name}`)));
}

const directoryOf = (path: string): string => path.slice(0, path.lastIndexOf("/"));

/** Removes everything of a session that asked for cleanup and has ended, possibly killed, or of an unfinished change. */
async function removeOwned(host: Host, owner: ProcessIdentity, users: Users, context: Context): Promise<void> {
  const finish = startEntry(host, context);
  const { links, programs } = host.store.ownedBy(owner);
  const whose = isUnfinished(owner) ? "unfinished change" : "ended session";
  const gone: Gone = { programs: [], links: [] };
  let result = "ok";
  if (isUnfinished(owner) && programs.length > 0) {
    const { giveBack } = await import("../replace/give-back.ts");
    const what = "give links back to the programs that they ran";
    if ((await tryTo(context, what, () => giveBack(host, programs, context))) !== "ok") return;
  }
  for (const record of links) {
    const what = `detach link ${record.id} of an ${whose}`;
    const code = await tryTo(context, what, () => removeLink(host, { record, state: "ready" }, context));
    if (code === "ok") gone.links.push(record.id);
    else result = code;
  }
  for (const record of inOrderOfRemoval(programs)) {
    const what = `unload program ${record.id} of an ${whose}`;
    const remove = async () => {
      // Another session's, or nobody's: the program goes when that one has gone.
      requireNotReplaced(host, record);
      await finishProgram(host, { record, state: "ready" }, users, context);
    };
    const code = await tryTo(context, what, remove);
    if (code === "ok") gone.programs.push(record.id);
    else result = code;
  }
  report(gone, context, () => finish(isUnfinished(owner) ? BY_ITSELF.recovery : BY_ITSELF.sessionEnd, result, gone));
}

/**
 * A problem that cannot be repaired must not block other repairs or the user's command. Returns `ok`, or the error code.
 */
async function tryTo(context: Context, what: string, act: () => Promise<void>): Promise<string> {
  context.log.info(what);
  try {
    await act();
    return "ok";
  } catch (cause) {
    context.log.warn(`could not ${what}`, { reason: reasonOf(cause) });
    return codeOf(cause);
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

async function finishProgram(host: Host, row: ProgramRow, users: Users, context: Context): Promise<void> {
  for (const record of host.store.links(row.record.id)) await removeLink(host, { record, state: "ready" }, context);
  await removeProgram(host, row, users(), context);
}

/** A link whose pin was removed by somebody: if the kernel released it too, its row is deleted. */
function dropLostLink(host: Host, id: LinkId): void {
  const link = host.store.link(id);
  // A chain's links are handled with their dispatcher.
  if (link === null || isChained(link.details) || isLive(host, link)) return;
  host.store.deleteLink(link.id);
}

/** Likewise for a program that is neither pinned nor in the kernel. */
async function dropLostProgram(host: Host, id: ProgramId, users: Users, context: Context): Promise<void> {
  const record = host.store.program(id);
  if (record === null || host.kernel.program(id) !== null) return;
  await removeProgram(host, { record, state: "ready" }, users(), context);
}
