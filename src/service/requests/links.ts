import * as v from "valibot";
import { application, id, metadata, programType } from "./fields.ts";

export const detachRequest = v.strictObject({ linkId: id, ignoreMissing: v.optional(v.boolean(), false) });
export type DetachRequest = v.InferOutput<typeof detachRequest>;

export const getLinkRequest = v.strictObject({ linkId: id });
export type GetLinkRequest = v.InferOutput<typeof getLinkRequest>;

export const listLinksRequest = v.strictObject({ programType, application, metadataSelector: metadata });
export type ListLinksRequest = v.InferOutput<typeof listLinksRequest>;
