import * as v from "valibot";
import { STATS_INTERVAL_MS_MAX, STATS_PROGRAMS_MAX } from "../../domain/limits.ts";
import * as fields from "./request-fields.ts";

const idOrName = fields.idOrName();
const path = fields.path();

export const statsRequest = v.strictObject({
  /** Only these programs; empty for all in the kernel. */
  programIds: v.optional(v.pipe(v.array(idOrName), v.maxLength(STATS_PROGRAMS_MAX)), []),
  /** How long to count. */
  intervalMs: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(STATS_INTERVAL_MS_MAX)), 1000),
  /** Also count each member of bpfman's chains, and its verdicts. */
  members: v.optional(v.boolean(), false),
});
export type StatsRequest = v.InferOutput<typeof statsRequest>;

export const metricsRequest = v.strictObject({
  /** Writes them to this file as text, in Prometheus's format. Others see nothing or all of it. */
  output: v.optional(v.nullable(path), null),
});
export type MetricsRequest = v.InferOutput<typeof metricsRequest>;
