/** Params of the methods that belong to the session itself; those of the operations stand with the operations. */
import * as v from "valibot";
import { CHANGE_KINDS } from "../src/domain/change.ts";

/** `compact` is what some editors' clients call a terser form of `messages`; here it is the same. */
const TRACE_VALUES = ["off", "messages", "compact", "verbose"] as const;

const text = v.pipe(v.string(), v.maxLength(512));
const sequence = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(Number.MAX_SAFE_INTEGER));

const processId = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(0x7fff_ffff));

/** Names the progress of one request, and stands beside the params of any operation. */
export const workDoneToken = v.union([text, v.pipe(v.number(), v.integer())]);

/**
 * Clients of language servers tell more about themselves than is of use here: fields that are not known are ignored. Not
 * so in `session`, which is ours alone: a misspelt `cleanup` would leave programs behind.
 */
export const initializeParams = v.object({
  /** The newest that this server speaks when absent. */
  protocolVersion: v.optional(v.literal(1), 1),
  /** The session ends when this process does. */
  processId: v.optional(v.nullable(processId), null),
  clientInfo: v.optional(v.nullable(v.object({ name: text, version: v.optional(v.nullable(text)) })), null),
  session: v.optional(
    v.strictObject({
      /** What this session loads and attaches goes when the session ends, however it ends. */
      cleanup: v.optional(v.boolean(), false),
    }),
    {},
  ),
  trace: v.optional(v.picklist(TRACE_VALUES), "off"),
});

export const noParams = v.optional(v.strictObject({}), {});

export const subscribeParams = v.optional(
  v.strictObject({
    /** All kinds when absent. */
    kinds: v.optional(v.pipe(v.array(v.picklist(CHANGE_KINDS)), v.minLength(1)), [...CHANGE_KINDS]),
    /** Sequence number of the last change that the client knows: those after it are told first. */
    since: v.optional(v.nullable(sequence), null),
  }),
  {},
);

export const setTraceParams = v.strictObject({ value: v.picklist(TRACE_VALUES) });

/** Schemas by method, for checking and for the OpenRPC document. */
export const SESSION_SCHEMAS = {
  initialize: initializeParams,
  shutdown: noParams,
  "events/subscribe": subscribeParams,
  "events/unsubscribe": noParams,
  "rpc.discover": noParams,
} as const;
