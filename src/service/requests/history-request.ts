import * as v from "valibot";
import { OPERATIONS_MAX } from "../../domain/limits.ts";
import * as fields from "./request-fields.ts";

const idOrName = fields.idOrName();

export const historyRequest = v.strictObject({
  /** Only what was about this program, which may be long gone. */
  programId: v.optional(v.nullable(idOrName), null),
  linkId: v.optional(v.nullable(idOrName), null),
  /** Only what started at this time or later (RFC 3339). */
  since: v.optional(v.nullable(v.pipe(v.string(), v.isoTimestamp("a time like 2026-01-31T12:00:00Z is needed"))), null),
  /** Only what failed. */
  failed: v.optional(v.boolean(), false),
  /** Only the newest so many of those; null for all. */
  limit: v.optional(v.nullable(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(OPERATIONS_MAX))), null),
});
export type HistoryRequest = v.InferOutput<typeof historyRequest>;
