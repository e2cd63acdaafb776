import * as v from "valibot";
import { attachTarget } from "./attach-request.ts";
import { loadFields } from "./load-request.ts";
import * as fields from "./request-fields.ts";

const table = fields.table();

const given = v.optional(v.unknown());
const names = new Set(attachTarget().options.flatMap(({ entries }) => Object.keys(entries)));
names.delete("kind");

/**
 * The fields of any target, as in `link/attach`, without its kind: that follows from the program. They are checked when it is
 * known. Each program takes those that its kind has.
 */
const anyTarget = v.pipe(table, v.strictObject(Object.fromEntries([...names].map((name) => [name, given]))));

export const runRequest = v.strictObject({ ...loadFields, attach: v.optional(anyTarget, {}) });
export type RunRequest = v.InferOutput<typeof runRequest>;
