import * as v from "valibot";
import { PROGRAM_TYPES } from "../../domain/kinds.ts";
import { ITERATOR_PAGE_BYTES_MAX } from "../../domain/limits.ts";
import { application, exactTypes, idOrName, metadata, offset, priority, programType } from "./request-fields.ts";

export function detachRequest() {
  return v.strictObject({ linkId: idOrName(), ignoreMissing: v.optional(v.boolean(), false) });
}
export type DetachRequest = v.InferOutput<ReturnType<typeof detachRequest>>;

export function deleteLinkRequest() {
  return v.strictObject({
    linkId: idOrName(),
    /** If its program is unloaded too, also delete the programs that use that program's maps. */
    recursive: v.optional(v.boolean(), false),
  });
}
export type DeleteLinkRequest = v.InferOutput<ReturnType<typeof deleteLinkRequest>>;

export function getLinkRequest() {
  return v.strictObject({ linkId: idOrName() });
}

export function readLinkRequest() {
  return v.strictObject({
    linkId: idOrName(),
    /** Bytes to skip: `next` of the page before. */
    offset: v.optional(offset(), 0),
    /** Bytes in the answer, at most. */
    limit: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(ITERATOR_PAGE_BYTES_MAX)), 65_536),
  });
}
export type ReadLinkRequest = v.InferOutput<ReturnType<typeof readLinkRequest>>;

export function listLinksRequest() {
  return v.strictObject({
    programType: programType(),
    exactTypes: exactTypes(),
    application: application(),
    /** Pairs that the link or its program must have. */
    metadataSelector: metadata(),
    programId: v.optional(v.nullable(idOrName())),
    /** Exact kinds; none for all. */
    kinds: v.optional(v.array(v.picklist(PROGRAM_TYPES))),
  });
}
export type ListLinksRequest = v.InferOutput<ReturnType<typeof listLinksRequest>>;

/** The changeable properties of a live chain link. Proceed-on words are checked against the link's kind. */
export function updateLinkRequest() {
  return v.pipe(
    v.strictObject({
      linkId: idOrName(),
      priority: v.optional(v.nullable(priority()), null),
      proceedOn: v.optional(v.nullable(v.pipe(v.array(v.string()), v.minLength(1))), null),
    }),
    v.check(
      (request) => request.priority !== null || request.proceedOn !== null,
      "give a priority, proceedOn, or both",
    ),
  );
}
export type UpdateLinkRequest = v.InferOutput<ReturnType<typeof updateLinkRequest>>;
