import * as v from "valibot";
import { RESTORE_WAIT_MS_MAX } from "../../domain/limits.ts";
import * as fields from "./request-fields.ts";

const id = fields.id();

const WAIT = `a whole number of milliseconds from 0 to ${RESTORE_WAIT_MS_MAX}`;

export const restoreRequest = v.pipe(
  v.strictObject({
    dryRun: v.optional(v.boolean(), false),
    /** Only what comes back by itself: what was loaded to be kept, or everything if the configuration says so. */
    kept: v.optional(v.boolean(), false),
    /** How long to wait for interfaces and network namespaces that are not there yet. */
    waitMs: v.optional(
      v.pipe(v.number(WAIT), v.integer(WAIT), v.minValue(0, WAIT), v.maxValue(RESTORE_WAIT_MS_MAX, WAIT)),
      0,
    ),
    /** Forget what waits in place of restoring anything: one program with its links, or one link, by the ID it had. */
    forget: v.optional(v.nullable(v.union([v.strictObject({ program: id }), v.strictObject({ link: id })])), null),
  }),
  v.check(
    ({ forget, dryRun, kept, waitMs }) => forget === null || !(dryRun || kept || waitMs > 0),
    "forget goes with nothing else",
  ),
);
export type RestoreRequest = v.InferOutput<typeof restoreRequest>;
