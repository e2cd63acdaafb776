import * as v from "valibot";
import { LIVE_VALUES } from "../../domain/completion.ts";
import { NAME_CHARS_MAX } from "../../domain/limits.ts";
import { path } from "./request-fields.ts";

export const completeRequest = v.strictObject({
  what: v.picklist(LIVE_VALUES),
  prefix: v.pipe(v.string(), v.maxLength(NAME_CHARS_MAX)),
  /** The namespace whose interfaces are meant; null for the caller's own. */
  netns: v.optional(v.nullable(path), null),
  /** The object file whose programs or variables are meant; the target whose functions are. */
  file: v.optional(v.nullable(path), null),
});
export type CompleteRequest = v.InferOutput<typeof completeRequest>;
