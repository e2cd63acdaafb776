import * as v from "valibot";
import { application, id, metadata, programType } from "./fields.ts";

export const unloadRequest = v.strictObject({ programId: id, ignoreMissing: v.optional(v.boolean(), false) });
export type UnloadRequest = v.InferOutput<typeof unloadRequest>;

export const getProgramRequest = v.strictObject({ programId: id });
export type GetProgramRequest = v.InferOutput<typeof getProgramRequest>;

export const listProgramsRequest = v.strictObject({
  programType,
  application,
  metadataSelector: metadata,
  all: v.optional(v.boolean(), false),
  /** `summary` leaves record and kernel status out: a table needs neither, and asking the kernel takes its time. */
  view: v.optional(v.picklist(["summary", "full"]), "full"),
});
export type ListProgramsRequest = v.InferOutput<typeof listProgramsRequest>;
