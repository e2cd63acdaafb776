/** Compares the rows of links outside chains with the kernel, their pins, and what they are attached to. */
import { isChained, type LinkRecord, placeInBrief } from "../../domain/link.ts";
import { linkPin } from "../../domain/pin.ts";
import { attachmentsOf } from "../../inspect/attachment.ts";
import type { Host } from "../../platform/host.ts";
import { hasLostHook } from "../chain/place.ts";
import type { Context } from "../operation.ts";
import { isLive, removeLink } from "../removal/remove-link.ts";
import { checking, type Found, finding, type Mend } from "./finding.ts";
import { lookAtPin, pinningAgain } from "./pinning.ts";
import type { Rows } from "./rows.ts";

export function checkLinks(host: Host, { links }: Rows, context: Context): Found[] {
  const single = links.filter(({ details }) => !isChained(details));
  const attachments = attachmentsOf(host, { dispatchers: [], links: single });
  return links.flatMap((record) => checking(`link ${record.id}`, () => checkLink(record)));

  function checkLink(record: LinkRecord): Found[] {
    const { id, details, kernelLinkId, pinPath, programId } = record;
    const evidence = { link_id: id, program_id: programId, kernel_link_id: kernelLinkId, pin: pinPath };
    const forgetting: Mend = {
      stage: "links",
      action: `forget link ${id}`,
      run: () => removeLink(host, { record, state: "ready" }, context),
    };
    if (isChained(details)) {
      if (!hasLostHook(details)) return [];
      const what = `link ${id} was on ${details.interface}, which no longer exists`;
      return [finding("hook-gone", what, { ...evidence, interface: details.interface }, { mend: forgetting })];
    }
    if (kernelLinkId === null) return [];
    const pinned = lookAtPin(host, linkPin(pinPath, kernelLinkId));
    if (typeof pinned === "object") {
      const mend: Mend = { ...forgetting, run: () => host.store.deleteLink(id) };
      const more = isLive(host, record) ? {} : { mend };
      return [
        finding(
          "pin-foreign",
          `at the pin of link ${id} is ${pinned.other}`,
          { ...evidence, found: pinned.other },
          more,
        ),
      ];
    }
    if (!isLive(host, record)) {
      return [
        finding("link-gone", `link ${id} of program ${programId} is recorded, but not in the kernel`, evidence, {
          mend: forgetting,
        }),
      ];
    }
    const attachment = attachments.ofLink(record);
    if (attachment?.reason === "detached") {
      const what = `link ${id} of program ${programId} was detached by another tool: ${placeInBrief(details)}`;
      return [finding("link-detached", what, evidence, { mend: forgetting })];
    }
    if ("cgroupId" in details && attachment?.present === false) {
      const { cgroup, cgroupId } = details;
      const what = `link ${id} was attached to cgroup "${cgroup}", which has been removed`;
      return [finding("target-gone", what, { ...evidence, cgroup, cgroup_id: cgroupId }, { mend: forgetting })];
    }
    if (details.kind === "sk_lookup" && attachment?.present === false) {
      const what = `link ${id} was attached to a network namespace that no longer exists`;
      return [finding("hook-gone", what, { ...evidence, netns: details.netns }, { mend: forgetting })];
    }
    const where = "interface" in details ? details.interface : "path" in details ? details.path : "";
    const isNamespace = attachment?.reason === "namespace-gone";
    if (attachment?.present === false && (isNamespace || attachment.reason === "interface-gone")) {
      const what = `link ${id} is on ${where}, ${isNamespace ? "whose network namespace" : "which"} no longer exists`;
      return [
        finding("hook-gone", what, { ...evidence, interface: where, reason: attachment.reason }, { mend: forgetting }),
      ];
    }
    if (pinned === "missing") {
      const mend = pinningAgain(host, linkPin(pinPath, kernelLinkId));
      return [finding("link-unpinned", `link ${id} of program ${programId} has lost its pin`, evidence, { mend })];
    }
    if (details.kind === "netfilter" && attachment?.reason === "namespace-gone") {
      const { netns, nsid } = details;
      const what = `link ${id} keeps a network namespace alive that is no longer at "${netns}"`;
      const remedy = `run: bpfman detach ${id}, unless processes still run in that namespace`;
      return [finding("namespace-held", what, { ...evidence, netns, nsid }, { remedy })];
    }
    if (attachment?.present !== false) return [];
    const what = `link ${id} probes a file that was at ${where} and is no longer there`;
    const remedy = `run: bpfman detach ${id}; then attach program ${programId} again`;
    return [finding("target-replaced", what, { ...evidence, path: where, reason: attachment.reason }, { remedy })];
  }
}
