/** Taking a program out of a chain: for `detach`, `unload` and the recovery. */
import { LINK_GONE_TIMEOUT_MS } from "../../domain/limits.ts";
import { orderChain } from "../../dispatcher/order.ts";
import { BpfmanError } from "../../errors/error.ts";
import type { Host } from "../../platform/host.ts";
import type { Context } from "../operation.ts";
import { carryOut } from "../plan.ts";
import { waitUntil } from "../wait.ts";
import type { RowState } from "../../domain/program.ts";
import { type ChainLink, membersOf } from "./members.ts";
import { placeOf } from "./place.ts";
import { rebuild, removeRevision } from "./rebuild.ts";
import { seatOf } from "./seat.ts";

export interface ChainRow {
  readonly record: ChainLink;
  readonly state: RowState;
}

/** The interface, or its namespace, is not there any more: whatever ran on it has ended. */
const isGone = (cause: unknown): boolean =>
  cause instanceof BpfmanError && (cause.code === "INTERFACE_NOT_FOUND" || cause.code === "NETNS_NOT_FOUND");

export async function removeFromChain(host: Host, row: ChainRow, context: Context): Promise<void> {
  const link = row.record;
  const place = placeOf(link.details);
  const rest = membersOf(host, place.key).filter((member) => member.link !== link.id);
  const forget = (): void => host.store.deleteLink(link.id);
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
      if (!isGone(cause)) throw cause;
      if (link.pinPath !== "") host.pins.remove(link.pinPath);
      forget();
    }
  });
  if (rest.length === 0) removeChain(host, link, context);
  const kernelLink = link.kernelLinkId;
  if (kernelLink === null) return;
  const isLive = (): boolean => host.kernel.link(kernelLink)?.programId === link.programId;
  await waitUntil(host, () => !isLive(), LINK_GONE_TIMEOUT_MS);
}

/** The last member goes, and with it everything that bpfman had on the hook. clsact stays: others may use it. */
function removeChain(host: Host, link: ChainLink, context: Context): void {
  const place = placeOf(link.details);
  const record = host.store.dispatcher(place.key);
  if (record !== null) {
    try {
      const seat = seatOf(host, { place, record, context });
      const running = seat.running();
      if (running === null || running === record.programId) seat.leave();
      else context.log.warn("the hook runs a program that is not bpfman's; left alone", { program_id: running });
    } catch (cause) {
      if (!isGone(cause)) throw cause;
    }
    removeRevision(host, record, context);
  }
  host.store.transaction(() => {
    host.store.deleteLink(link.id);
    host.store.deleteDispatcher(place.key);
  });
}
