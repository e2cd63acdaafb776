import * as v from "valibot";
import { PROGRAMS_PER_LOAD_MAX } from "../../domain/limits.ts";
import { globalData, globals, loadRequest } from "./load-request.ts";
import * as fields from "./request-fields.ts";

const idOrName = fields.idOrName();

/** New bytecode in the place of programs, which the object has under the same names. */
export const replaceProgramRequest = v.strictObject({
  programIds: v.pipe(v.array(idOrName), v.minLength(1), v.maxLength(PROGRAMS_PER_LOAD_MAX)),
  source: loadRequest.entries.source,
  globalData,
  globals,
  mapEntries: loadRequest.entries.mapEntries,
  /** `keep`: maps of the same names stay, with what they hold. */
  maps: v.optional(v.picklist(["keep", "new"]), "keep"),
});
export type ReplaceProgramRequest = v.InferOutput<typeof replaceProgramRequest>;
