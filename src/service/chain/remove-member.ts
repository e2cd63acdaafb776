/** Removes programs from a chain, for `detach`, `unload`, `delete` and recovery. */
import type { DispatcherKey, DispatcherRecord } from "../../domain/dispatcher.ts";
import { capabilitiesOf, type ChainedKind, KINDS } from "../../domain/kinds.ts";
import type { LinkId, ProgramId } from "../../domain/ids.ts";
import { LINK_GONE_TIMEOUT_MS } from "../../domain/limits.ts";
import type { Pin } from "../../domain/pin.ts";
import { orderChain } from "../../dispatcher/order.ts";
import { BpfmanError } from "../../errors/error.ts";
import type { Host } from "../../platform/host.ts";
import type { Context } from "../operation.ts";
import { requireOwn } from "../own-pins.ts";
import { carryOut, finish } from "../plan.ts";
import { isGone, waitUntil } from "../wait.ts";
import type { RowState } from "../../domain/program.ts";
import { type ChainLink, linksOf, membersOf } from "./members.ts";
import { type ChainPlace, hasLostHook, placeName, placeOf, withoutHook } from "./place.ts";
import { rebuild, removeAtRest } from "./rebuild.ts";
import { seatOf } from "./seat.ts";

export interface ChainRow {
  readonly record: ChainLink;
  readonly state: RowState;
}

/** Reports whether the interface or its namespace no longer exists, so that nothing on it runs any more. */
const hasHookGone = (cause: unknown): boolean =>
  cause instanceof BpfmanError && (cause.code === "INTERFACE_NOT_FOUND" || cause.code === "NETNS_NOT_FOUND");

/** Those that stay are put into a new chain, and TC filters are removed by netlink: asked for before anything changes. */
const requireForChains = (kind: ChainedKind, context: Context): void =>
  context.requireCapabilities(capabilitiesOf(kind), `changing ${KINDS[kind].display} chain`);

export async function removeFromChain(host: Host, row: ChainRow, context: Context): Promise<void> {
  const link = row.record;
  requireForChains(link.details.kind, context);
  if (hasLostHook(link.details)) return host.store.deleteLink(link.id);
  const untilGone = departure(host, link);
  const place = placeOf(link.details);
  let gone = false;
  const rest = membersOf(host, place.key).filter((member) => member.link !== link.id);
  const forget = (): void => host.store.deleteLink(link.id);
  if (rest.length === 0) requireOwn(host, pinsOf(host, place.key));
  await carryOut(context, async (steps) => {
    await steps.step(
      `mark link ${link.id}`,
      () => host.store.setLinkState(link.id, "removing"),
      () => host.store.setLinkState(link.id, row.state),
    );
    if (rest.length === 0) return;
    const members = orderChain(rest, null);
    try {
      await carryOut(context, (inner) => rebuild(host, { place, members, commit: forget }, { steps: inner, context }));
    } catch (cause) {
      if (!hasHookGone(cause)) throw cause;
      gone = true;
      // Before the pins are removed: if the command is killed in between, the next one finds a single link to remove.
      loseHook(host, place, link.id);
      const others = rest.map((member) => member.link);
      context.log.info(`${placeName(place)} has gone, and the chain with it`, { links_that_ran_there: others });
    }
  });
  if (rest.length === 0 || gone) await removeChain(host, { place, links: [link] }, context);
  await untilGone();
}

/** Returns all pins of the chain on a hook. */
function pinsOf(host: Host, key: DispatcherKey): Pin[] {
  const { paths } = host.pins;
  const revision = host.store.dispatcher(key)?.revision ?? 0;
  const directory = host.store.recordedPins(paths.revision(key, revision));
  return key.type === "xdp" ? [...host.store.recordedPins(paths.xdpLink(key)), ...directory] : directory;
}

/** The chain's other links no longer run. Their rows stay, so that they can be detached like any other. */
function loseHook(host: Host, place: ChainPlace, except: LinkId): void {
  const others = linksOf(host, place.key).filter((link) => link.id !== except);
  host.store.transaction(() => {
    for (const { id, programId, details } of others) {
      host.store.moveLink(id, { programId, details: withoutHook(details), pinPath: "", kernelLinkId: null });
    }
  });
}

/** Call this before removing a link, because the kernel may reuse its ID; the result waits until the link is released. */
function departure(host: Host, { kernelLinkId }: ChainLink): () => Promise<void> {
  const running = (): ProgramId | null => (kernelLinkId && host.kernel.link(kernelLinkId)?.programId) || null;
  const program = running();
  return async () => {
    if (program !== null) await waitUntil(host, () => isGone(() => running() === program), LINK_GONE_TIMEOUT_MS);
  };
}

/**
 * Removes all members from a hook atomically: no packet passes through part of the chain. Returns the removed links. If
 * the command is killed, the next writing command finishes the removal, as for any link in state `removing`.
 */
export async function removeWholeChain(host: Host, record: DispatcherRecord, context: Context): Promise<LinkId[]> {
  requireForChains(record.type === "xdp" ? "xdp" : "tc", context);
  const links = linksOf(host, record);
  const place: ChainPlace = { key: record, interface: record.interface, netns: record.netns };
  requireOwn(host, pinsOf(host, record));
  await carryOut(context, async (steps) => {
    const markAll = (state: RowState): void =>
      host.store.transaction(() => links.forEach((link) => host.store.setLinkState(link.id, state)));
    await steps.step(
      `mark the links on ${placeName(place)}`,
      () => markAll("removing"),
      () => markAll("ready"),
    );
  });
  const departures = links.map((link) => departure(host, link));
  // No rollback from here: the rows are `removing`, and the next command finishes the removal if this one fails.
  await removeChain(host, { place, links }, context);
  for (const untilGone of departures) await untilGone();
  return links.map((link) => link.id);
}

interface WholeChain {
  readonly place: ChainPlace;
  /** All remaining members. */
  readonly links: readonly ChainLink[];
}

/** Removes everything bpfman has on the hook. clsact stays, because others may use it. */
function removeChain(host: Host, whole: WholeChain, context: Context): Promise<void> {
  const links = whole.links.map((link) => link.id).join(", ");
  return finish(`take link ${links} off ${placeName(whole.place)}`, () => leaveHook(host, whole, context));
}

function leaveHook(host: Host, { place, links }: WholeChain, context: Context): void {
  const record = host.store.dispatcher(place.key);
  if (record !== null) {
    try {
      const seat = seatOf(host, { place, record, context });
      const running = seat.running();
      if (running === null || running === record.programId) seat.leave();
      else context.log.warn("the hook runs a program that is not bpfman's; leaving it alone", { program_id: running });
    } catch (cause) {
      if (!hasHookGone(cause)) throw cause;
    }
    // These must be removed now, because the rows that name them are deleted next.
    if (record.revision > 0) removeAtRest(host, host.pins.paths.revision(record, record.revision));
  }
  host.store.transaction(() => {
    for (const link of links) host.store.deleteLink(link.id);
    host.store.deleteDispatcher(place.key);
  });
}
