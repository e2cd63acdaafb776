import * as v from "valibot";
import { SELECTOR_CHARS_MAX } from "../../domain/limits.ts";
import { application, exactTypes, idOrName, metadata, programType } from "./request-fields.ts";

export function unloadRequest() {
  return v.strictObject({ programId: idOrName(), ignoreMissing: v.optional(v.boolean(), false) });
}
export type UnloadRequest = v.InferOutput<ReturnType<typeof unloadRequest>>;

/** One program, or all that bpfman manages. */
export function deleteProgramRequest() {
  return v.pipe(
    v.strictObject({
      programId: v.optional(v.nullable(idOrName()), null),
      all: v.optional(v.boolean(), false),
      /** Also delete the programs that use its maps or replace functions of it. */
      recursive: v.optional(v.boolean(), false),
      /** With `all`: also unmount the bpffs, and remove the runtime directory if nothing else is in it. */
      unmount: v.optional(v.boolean(), false),
    }),
    v.check(({ programId, all }) => (programId !== null) !== all, "give a programId, or all"),
    v.check(({ unmount, all }) => all || !unmount, "unmount goes with all"),
  );
}
export type DeleteProgramRequest = v.InferOutput<ReturnType<typeof deleteProgramRequest>>;

export function getProgramRequest() {
  return v.strictObject({ programId: idOrName() });
}
export type GetProgramRequest = v.InferOutput<ReturnType<typeof getProgramRequest>>;

export function listProgramsRequest() {
  return v.strictObject({
    programType: programType(),
    exactTypes: exactTypes(),
    application: application(),
    metadataSelector: metadata(),
    /** Terms in Kubernetes syntax: `a=b,c!=d,e in (f,g),!h`. All must match. */
    selector: v.optional(v.nullable(v.pipe(v.string(), v.maxLength(SELECTOR_CHARS_MAX)))),
    /** Only programs with links, or only those without; null for both. */
    attached: v.optional(v.nullable(v.boolean())),
    all: v.optional(v.boolean(), false),
    /** `summary` omits record and kernel state, which a table does not need and which take time to query. */
    view: v.optional(v.picklist(["summary", "full"]), "full"),
  });
}
export type ListProgramsRequest = v.InferOutput<ReturnType<typeof listProgramsRequest>>;
