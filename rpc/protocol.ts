/**
 * The protocol as types: methods with params and results, notifications with payloads, and error codes. JSON-RPC 2.0
 * over stdio with LSP framing; PROTOCOL.md has an example of each. Imports almost nothing at run time, so that it adds
 * next to nothing to a client.
 */
import type { InferInput } from "valibot";
import type { FeaturesAnswer } from "../src/domain/answer.ts";
import type { ChangeAnswers } from "../src/domain/change-answer.ts";
import type { ChangeKind } from "../src/domain/change.ts";
import type { ErrorCode, ErrorKind } from "../src/errors/codes.ts";
import type { SysFailure } from "../src/errors/error.ts";
import type { Answers, OPERATIONS, OperationName, Requests } from "../src/service/operations.ts";
import type { initializeParams, setTraceParams, streamParam, subscribeParams, workDoneToken } from "./schemas.ts";

export const PROTOCOL_VERSION = 1;

/** The events a client can subscribe to. Each is the name of its notification. */
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
    /** Methods that report progress if the params contain a `workDoneToken`. */
    readonly workDoneProgress: true;
    readonly sessionCleanup: true;
  };
  readonly kernel: {
    /** `uname -r` */
    readonly release: string;
    /** Whether the kernel exposes its BTF; null if unknown, without root. */
    readonly btf: boolean | null;
    /** What the kernel lets this process do, each feature tested; null without root. */
    readonly features: FeaturesAnswer | null;
  };
  /** Sequence number of the newest change, null without root. Subscribing with it as `since` misses nothing. */
  readonly sequence: number | null;
}

export type SubscribeParams = InferInput<typeof subscribeParams>;
export interface SubscribeResult {
  /** Sequence number of the newest change at this moment. */
  readonly sequence: number;
  /**
   * False if changes after `since` are no longer known (the log is bounded, the machine was rebooted, or the database
   * was replaced). The client must list everything again.
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

/** The params of any operation may contain a token under which its progress is reported. */
export interface WorkDoneParams {
  readonly workDoneToken?: ProgressToken;
}

/** Where results go one by one, and how many the client takes. */
export type StreamParam = InferInput<typeof streamParam>;

/** Operations that go on until they are ended. */
export type StreamName = {
  [Name in OperationName]: (typeof OPERATIONS)[Name] extends { readonly streams: true } ? Name : never;
}[OperationName];

/** The params of such an operation may say where its results go. Without it, all of them are in the answer. */
export interface StreamParams {
  readonly stream?: StreamParam;
}

type OperationMethods = {
  [Name in OperationName]: {
    readonly params: Requests[Name] & WorkDoneParams & (Name extends StreamName ? StreamParams : unknown);
    readonly result: Answers[Name];
  };
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
  /** Cancels a request in flight, which is then answered with -32800 unless it has already finished. */
  "$/cancelRequest": { readonly id: string | number };
  "$/setTrace": InferInput<typeof setTraceParams>;
  /** Takes that many more results of a request. */
  "stream/allow": StreamParam;
}

export type ProgressValue =
  | { readonly kind: "begin"; readonly title: string }
  | { readonly kind: "report"; readonly message: string }
  | { readonly kind: "end" };

/** Notifications from the server, by method. */
export interface ServerNotifications extends ChangeAnswers {
  /**
   * Notifications of `count` changes, up to number `sequence`, were dropped because the client did not read.
   * Subscribing again with the last number seen as `since` delivers them.
   */
  "events/didDrop": { readonly count: number; readonly sequence: number };
  /** Results of a request, in order. Each takes one of the client's credits, but for those that say how many others were lost. */
  "stream/didRead": { readonly token: ProgressToken; readonly results: readonly unknown[] };
  "$/progress": { readonly token: ProgressToken; readonly value: ProgressValue };
  "$/logTrace": { readonly message: string; readonly verbose?: string };
}
export type ServerNotification = keyof ServerNotifications;

/** `data` of an error from an operation or a schema. Errors of the protocol itself have none. */
export interface ErrorData {
  /** Stable; docs/errors.md lists all codes. */
  readonly code: ErrorCode;
  readonly kind: ErrorKind;
  readonly hint: string | null;
  /** Structured facts. For -32602, `field` is the path of the invalid field. */
  readonly details: Readonly<Record<string, unknown>>;
  readonly verifierLog: string | null;
  readonly sys: SysFailure | null;
}

/** Error codes defined by the JSON-RPC 2.0 and LSP specifications. */
export const PARSE_ERROR = -32700;
export const INVALID_REQUEST = -32600;
export const METHOD_NOT_FOUND = -32601;
export const INVALID_PARAMS = -32602;
export const INTERNAL_ERROR = -32603;
export const NOT_INITIALIZED = -32002;
export const REQUEST_CANCELLED = -32800;

/** Error codes of failed operations, by kind. A request that fails validation (INVALID_REQUEST) gets -32602 instead. */
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
