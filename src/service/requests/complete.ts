import * as v from "valibot";
import { LIVE_VALUES } from "../../domain/completion.ts";
import { ATTACH_KINDS } from "../../domain/kinds.ts";
import { NAME_CHARS_MAX } from "../../domain/limits.ts";
import { id, path } from "./fields.ts";

export const completeRequest = v.strictObject({
  what: v.picklist(LIVE_VALUES),
  prefix: v.pipe(v.string(), v.maxLength(NAME_CHARS_MAX)),
  /** The namespace whose interfaces are meant; null for the caller's own. */
  netns: v.optional(v.nullable(path), null),
  /** The object file whose programs or variables are meant; the target whose functions are. */
  file: v.optional(v.nullable(path), null),
  /** The program whose kind of hook is meant. */
  programId: v.optional(v.nullable(id), null),
  /** The kind of hook that programs are to fit; null for all programs. */
  attachKind: v.optional(v.nullable(v.picklist(ATTACH_KINDS)), null),
});
export type CompleteRequest = v.InferOutput<typeof completeRequest>;
