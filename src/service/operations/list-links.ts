import type { LinkListAnswer, PinState } from "../../domain/answer.ts";
import { isChained, type LinkRecord } from "../../domain/link.ts";
import { linkPin } from "../../domain/pin.ts";
import { applicationOf, type Metadata } from "../../domain/program.ts";
import { linkRecordAnswer, ownKernelLink, surroundingsOf } from "../../inspect/link-answer.ts";
import { pinState } from "../../inspect/pin-state.ts";
import type { Host } from "../../platform/host.ts";
import { hasApplication, hasMetadata, isOfKind, requireTypeWords } from "../filter.ts";
import { type Context, operation } from "../operation.ts";
import { programIdOf } from "../require-record.ts";
import { type ListLinksRequest, listLinksRequest } from "../requests/link-requests.ts";

function listLinks(host: Host, request: ListLinksRequest, context: Context): LinkListAnswer {
  requireTypeWords(request);
  const only =
    request.programId === undefined || request.programId === null
      ? null
      : programIdOf(host, request.programId, context);
  const all = host.store.links();
  const around = surroundingsOf(host, all);
  const programs = new Map(host.store.programSummaries().map((program) => [program.id, program]));
  /** A link matches by its own metadata or its program's. */
  const either = (link: LinkRecord, holds: (metadata: Metadata) => boolean): boolean =>
    holds(link.metadata) || holds(programs.get(link.programId)?.metadata ?? {});
  const linkState = (link: LinkRecord): PinState => {
    const { pinPath, kernelLinkId: id, details, createdAt } = link;
    // A TC filter has no pin, nor has a link that lost its hook: the attachment says what became of them.
    if (pinPath === "" || id === null) return null;
    // Each change of a chain pins its members anew.
    const since = isChained(details) ? new Date() : createdAt;
    return pinState(host, linkPin(pinPath, id), since, () => ownKernelLink(link, around) !== null);
  };
  const pairs = Object.entries(request.metadataSelector);
  const links = all
    .filter(({ programId }) => (only ?? programId) === programId)
    .filter(({ details }) => isOfKind(details.kind, request))
    .filter(({ details }) => (request.kinds ?? [details.kind]).includes(details.kind))
    .filter((link) => either(link, (metadata) => hasApplication(metadata, request.application)))
    .filter((link) =>
      pairs.every(([key, value]) => either(link, (metadata) => hasMetadata(metadata, { [key]: value }))),
    )
    .map((link) => ({
      ...linkRecordAnswer(link, around),
      application: applicationOf(link.metadata),
      function_name: programs.get(link.programId)?.name ?? "",
      state: linkState(link),
      attachment: around.attachments.ofLink(link),
    }));
  return { links };
}

export const implementation = operation({
  get request() {
    return listLinksRequest();
  },
  uses: () => ["store", "pins"],
  run: listLinks,
});
