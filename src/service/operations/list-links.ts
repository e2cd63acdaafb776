import type { LinkListAnswer } from "../../domain/answer.ts";
import { attachKindOf } from "../../domain/link.ts";
import { APPLICATION_KEY } from "../../domain/program.ts";
import { linkRecordAnswer, surroundingsOf } from "../../inspect/link.ts";
import type { Host } from "../../platform/host.ts";
import { hasApplication, hasMetadata, isOfType, requireTypeWord } from "../filter.ts";
import { operation } from "../operation.ts";
import { type ListLinksRequest, listLinksRequest } from "../requests/links.ts";

function listLinks(host: Host, request: ListLinksRequest): LinkListAnswer {
  requireTypeWord(request.programType);
  const all = host.store.links();
  const around = surroundingsOf(host, all);
  const names = new Map(host.store.programs().map((program) => [program.id, program.name]));
  const links = all
    .filter(
      ({ details }) =>
        isOfType(details.kind, request.programType) || attachKindOf(details.kind) === request.programType,
    )
    .filter(({ metadata }) => hasApplication(metadata, request.application))
    .filter(({ metadata }) => hasMetadata(metadata, request.metadataSelector))
    .map((link) => ({
      ...linkRecordAnswer(link, around),
      application: link.metadata[APPLICATION_KEY] ?? null,
      function_name: names.get(link.programId) ?? "",
    }));
  return { links };
}

export const implementation = operation({ request: listLinksRequest, run: listLinks });
