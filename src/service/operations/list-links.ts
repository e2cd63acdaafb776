import type { LinkListAnswer } from "../../domain/answer.ts";
import type { LinkRecord } from "../../domain/link.ts";
import { applicationOf, type Metadata } from "../../domain/program.ts";
import { linkRecordAnswer, surroundingsOf } from "../../inspect/link.ts";
import type { Host } from "../../platform/host.ts";
import { hasApplication, hasMetadata, isOfKind, requireTypeWords } from "../filter.ts";
import { operation } from "../operation.ts";
import { type ListLinksRequest, listLinksRequest } from "../requests/links.ts";

function listLinks(host: Host, request: ListLinksRequest): LinkListAnswer {
  requireTypeWords(request.programType);
  const all = host.store.links();
  const around = surroundingsOf(host, all);
  const programs = new Map(host.store.programSummaries().map((program) => [program.id, program]));
  /** A link has its program's metadata as well; its own wins. */
  const metadataOf = (link: LinkRecord): Metadata => ({ ...programs.get(link.programId)?.metadata, ...link.metadata });
  const links = all
    .filter(({ programId }) => (request.programId ?? programId) === programId)
    .filter(({ details }) => isOfKind(details.kind, request.programType))
    .filter(({ details }) => (request.kinds ?? [details.kind]).includes(details.kind))
    .filter((link) => hasApplication(metadataOf(link), request.application))
    .filter((link) => hasMetadata(metadataOf(link), request.metadataSelector))
    .map((link) => ({
      ...linkRecordAnswer(link, around),
      application: applicationOf(link.metadata),
      function_name: programs.get(link.programId)?.name ?? "",
    }));
  return { links };
}

export const implementation = operation({ request: listLinksRequest, run: listLinks });
