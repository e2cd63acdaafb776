/**
 * The protocol as types: methods with params and results, notifications with payloads, errors with numbers. JSON-RPC 2.0
 * over stdio with the framing of LSP; PROTOCOL.md has an example of each. Next to nothing is imported here at run time,
 * so that a client pays for nothing.
 */
import type { InferInput } from "valibot";
import type { FeaturesAnswer } from "../src/domain/answer.ts";
import type { ChangeAnswers } from "../src/domain/change-answer.ts";
import type { ChangeKind } from "../src/domain/change.ts";
import type { ErrorCode, ErrorKind } from "../src/errors/codes.ts";
import type { SysFailure } from "../src/errors/error.ts";
import type { Answers, OperationName, Requests } from "../src/service/operations.ts";
import type { initializeParams, setTraceParams, subscribeParams, workDoneToken } from "./schemas.ts";

export const PROTOCOL_VERSION = 1;

/** What can be subscribed to; each is the name of its notification. */
export type EventKind = ChangeKind;

export type ProgressToken = InferInput<typeof workDoneToken>;

export type InitializeParams = InferInput<typeof initializeParams>;

export interface InitializeResult {
  readonly serverInfo: { readonly name: "bpfman"; readonly version: string; readonly commit: string };
  readonly protocolVersion: typeof PROTOCOL_VERSION;
  readonly capabilities: {
    /** Every method that can be called in this session. */
    readonly methods: readonly string[];
    readonly events: readonly EventKind[];
    /** Methods that tell their progress when the params carry a `workDoneToken`. */
    readonly workDoneProgress: true;
    readonly sessionCleanup: true;
  };
  readonly kernel: {
    /** `uname -r` */
    readonly release: string;
    /** Whether the kernel shows its types; null when that is not known, without root. */
    readonly btf: boolean | null;
    /** What the kernel lets this process do, each tried out; null without root. */
    readonly features: FeaturesAnswer | null;
  };
  /** Number of the newest change there is, null without root; `events/subscribe` with it as `since` misses nothing. */
  readonly sequence: number | null;
}

export type SubscribeParams = InferInput<typeof subscribeParams>;
export interface SubscribeResult {
  /** Number of the newest change at this moment. */
  readonly sequence: number;
  /**
   * False when changes after `since` are not known any more (the log is bounded, the machine was restarted, or the
   * database is another one): list anew.
   */
  readonly complete: boolean;
}

type NoParams = Readonly<Record<string, never>> | undefined;

interface SessionMethods {
  initialize: { readonly params: InitializeParams; readonly result: InitializeResult };
  shutdown: { readonly params: NoParams; readonly result: null };
  "events/subscribe": { readonly params: SubscribeParams; readonly result: SubscribeResult };
  "events/unsubscribe": { readonly params: NoParams; readonly result: null };
  /** The OpenRPC document of this server. */
  "rpc.discover": { readonly params: NoParams; readonly result: Readonly<Record<string, unknown>> };
}

/** Params of any operation may carry a token under which its progress is told. */
export interface WorkDoneParams {
  readonly workDoneToken?: ProgressToken;
}

type OperationMethods = {
  [Name in OperationName]: { readonly params: Requests[Name] & WorkDoneParams; readonly result: Answers[Name] };
};

/** Requests from the client, by method. */
export type Methods = SessionMethods & OperationMethods;
export type Method = keyof Methods;
export type ParamsOf<Name extends Method> = Methods[Name]["params"];
export type ResultOf<Name extends Method> = Methods[Name]["result"];

/** Notifications from the client, by method. */
export interface ClientNotifications {
  initialized: NoParams;
  exit: NoParams;
  /** Cancels a request in flight, which is then answered with -32800, unless it was done already. */
  "$/cancelRequest": { readonly id: string | number };
  "$/setTrace": InferInput<typeof setTraceParams>;
}

export type ProgressValue =
  | { readonly kind: "begin"; readonly title: string }
  | { readonly kind: "report"; readonly message: string }
  | { readonly kind: "end" };

/** Notifications from the server, by method. */
export interface ServerNotifications extends ChangeAnswers {
  /**
   * The client did not read, so notifications were dropped: `count` of changes, up to number `sequence`. Subscribing
   * anew with the last number seen as `since` brings them again.
   */
  "events/didDrop": { readonly count: number; readonly sequence: number };
  "$/progress": { readonly token: ProgressToken; readonly value: ProgressValue };
  "$/logTrace": { readonly message: string; readonly verbose?: string };
}
export type ServerNotification = keyof ServerNotifications;

/** `data` of an error that an operation or a schema gave. Errors of the protocol itself have none. */
export interface ErrorData {
  /** Stable; docs/errors.md has them all. */
  readonly code: ErrorCode;
  readonly kind: ErrorKind;
  readonly hint: string | null;
  /** Facts in fields. For -32602 `field` is the path of the wrong field. */
  readonly details: Readonly<Record<string, unknown>>;
  readonly verifierLog: string | null;
  readonly sys: SysFailure | null;
}

/** Numbers of errors that the JSON-RPC 2.0 and LSP specifications define. */
export const PARSE_ERROR = -32700;
export const INVALID_REQUEST = -32600;
export const METHOD_NOT_FOUND = -32601;
export const INVALID_PARAMS = -32602;
export const INTERNAL_ERROR = -32603;
export const NOT_INITIALIZED = -32002;
export const REQUEST_CANCELLED = -32800;

/** Numbers of failed operations, by kind. A request that its schema refuses (INVALID_REQUEST) is -32602 instead. */
export const ERROR_NUMBERS: Readonly<Record<ErrorKind, number>> = {
  invalid: -31001,
  "not-found": -31002,
  conflict: -31003,
  precondition: -31004,
  permission: -31005,
  unsupported: -31006,
  unavailable: -31007,
  cancelled: REQUEST_CANCELLED,
  internal: INTERNAL_ERROR,
};
