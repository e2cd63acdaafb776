import * as v from "valibot";
import { DISPATCHER_TYPES } from "../../domain/dispatcher.ts";

const type = v.picklist(DISPATCHER_TYPES);
/** Inodes of network namespaces and ifindexes. */
const number = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(0xffff_ffff));

export const listDispatchersRequest = v.strictObject({
  type: v.optional(v.nullable(type), null),
  nsid: v.optional(v.nullable(number), null),
  ifindex: v.optional(v.nullable(number), null),
  /** Also dispatchers that other tools put on XDP hooks. */
  all: v.optional(v.boolean(), false),
});
export type ListDispatchersRequest = v.InferOutput<typeof listDispatchersRequest>;

export const getDispatcherRequest = v.strictObject({ type, nsid: number, ifindex: number });
export type GetDispatcherRequest = v.InferOutput<typeof getDispatcherRequest>;

export const deleteDispatcherRequest = getDispatcherRequest;
