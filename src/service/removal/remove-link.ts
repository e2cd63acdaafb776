/** Removes a link, for `detach`, `unload` and recovery: first the pin, then the kernel's link, then the row. */
import { LINK_GONE_TIMEOUT_MS } from "../../domain/limits.ts";
import { type LinkRecord, isChained } from "../../domain/link.ts";
import { linkPin } from "../../domain/pin.ts";
import type { RowState } from "../../domain/program.ts";
import { BpfmanError } from "../../errors/error.ts";
import type { Host } from "../../platform/host.ts";
import type { Context } from "../operation.ts";
import { carryOut, finish } from "../plan.ts";
import { isGone, waitUntil } from "../wait.ts";

/** Reports whether the kernel still has this link. It reuses IDs, so a link of another program is a different link. */
export function isLive(host: Host, link: LinkRecord): boolean {
  if (link.kernelLinkId === null) return false;
  return host.kernel.link(link.kernelLinkId)?.programId === link.programId;
}

/** A row and its previous state, which is restored if nothing could be done. */
export interface LinkRow {
  readonly record: LinkRecord;
  readonly state: RowState;
}

/**
 * Detaches a link. When this returns, the kernel's link can no longer be opened and the program does not run on that
 * hook. Throws LINK_STILL_HELD if another process keeps the link alive; its row stays until the link is gone. Throws
 * STATE_CONFLICT, and changes nothing, if another object is pinned at its path.
 */
export async function removeLink(host: Host, row: LinkRow, context: Context): Promise<void> {
  const link = row.record;
  const { details } = link;
  if (isChained(details)) {
    const { removeFromChain } = await import("../chain/remove-member.ts");
    return removeFromChain(host, { record: { ...link, details }, state: row.state }, context);
  }
  // Held open, so that it can be pinned again if something fails.
  const handle = link.kernelLinkId === null ? null : host.kernel.openPin(linkPin(link.pinPath, link.kernelLinkId));
  try {
    await carryOut(context, async (steps) => {
      await steps.step(
        `mark link ${link.id}`,
        () => host.store.setLinkState(link.id, "removing"),
        () => host.store.setLinkState(link.id, row.state),
      );
      await steps.step(
        `unpin link ${link.id}`,
        () => handle !== null && host.pins.remove(link.pinPath),
        (was) => {
          if (was) handle?.pin(link.pinPath);
        },
      );
      await steps.step(`detach link ${link.id}`, () => {
        if (handle !== null) handle.detach();
        else if (link.kernelLinkId !== null && isLive(host, link)) host.kernel.forceDetach(link.kernelLinkId);
      });
    });
  } finally {
    handle?.close();
  }
  // No rollback from here: the row is `removing`, and the next command finishes the removal if this one fails.
  if (!(await waitUntil(host, () => isGone(() => isLive(host, link)), LINK_GONE_TIMEOUT_MS))) {
    throw new BpfmanError("LINK_STILL_HELD", `link ${link.id} was unpinned, but another process keeps it alive`, {
      details: { link_id: link.id, kernel_link_id: link.kernelLinkId },
      hint: `find the holder with "bpftool link show id ${link.kernelLinkId}" and end it`,
    });
  }
  await finish(`forget link ${link.id}`, () => host.store.deleteLink(link.id));
}
