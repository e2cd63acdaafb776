/** Params of the session's own methods. Those of the operations are defined with the operations. */
import * as v from "valibot";
import { CHANGE_KINDS } from "../src/domain/change.ts";
import { EVENTS_ALLOWED_MAX } from "../src/domain/limits.ts";

/** `compact` is a shorter form of `messages` in some editors' clients; here both behave alike. */
const TRACE_VALUES = ["off", "messages", "compact", "verbose"] as const;

const text = v.pipe(v.string(), v.maxLength(512));
const sequence = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(Number.MAX_SAFE_INTEGER));

const processId = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(0x7fff_ffff));

/** Identifies the progress of one request. Accepted in the params of any operation. */
export const workDoneToken = v.union([text, v.pipe(v.number(), v.integer())]);

/**
 * Where results of a request go one by one: under that token, and at most as many as the client allows. Accepted in the params of
 * operations that go on until they are ended, and in the notification that allows more.
 */
export const streamParam = v.strictObject({
  token: workDoneToken,
  credits: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(EVENTS_ALLOWED_MAX)),
});

/**
 * Clients of language servers send more about themselves than is needed here, so unknown fields are ignored. In
 * `session`, which is our own, they are rejected: a misspelt `cleanup` would leave programs behind.
 */
export const initializeParams = v.object({
  /** Defaults to the newest version this server supports. */
  protocolVersion: v.optional(v.literal(1), 1),
  /** The session ends when this process exits. */
  processId: v.optional(v.nullable(processId), null),
  clientInfo: v.optional(v.nullable(v.object({ name: text, version: v.optional(v.nullable(text)) })), null),
  session: v.optional(
    v.strictObject({
      /** Removes what this session loads and attaches when it ends, however it ends. */
      cleanup: v.optional(v.boolean(), false),
    }),
    {},
  ),
  trace: v.optional(v.picklist(TRACE_VALUES), "off"),
});

export const noParams = v.optional(v.strictObject({}), {});

export const subscribeParams = v.optional(
  v.strictObject({
    /** Defaults to all kinds. */
    kinds: v.optional(v.pipe(v.array(v.picklist(CHANGE_KINDS)), v.minLength(1)), [...CHANGE_KINDS]),
    /** Sequence number of the last change the client knows. Later ones are reported first. */
    since: v.optional(v.nullable(sequence), null),
  }),
  {},
);

export const setTraceParams = v.strictObject({ value: v.picklist(TRACE_VALUES) });

/** Schemas by method, for validation and for the OpenRPC document. */
export const SESSION_SCHEMAS = {
  initialize: initializeParams,
  shutdown: noParams,
  "events/subscribe": subscribeParams,
  "events/unsubscribe": noParams,
  "rpc.discover": noParams,
} as const;
