/**
 * The layer between frames and vscode-jsonrpc. Incoming requests get an ID of our own, and replies get the client's ID
 * back. The library therefore never sees duplicate IDs, whatever the client sends, and the replies to a batch can be
 * collected.
 */
import type { Message, RequestMessage, ResponseMessage } from "vscode-jsonrpc/node";
import { BATCH_MESSAGES_MAX, REQUEST_ID_CHARS_MAX } from "../src/domain/limits.ts";
import { RefusedRequest } from "./errors.ts";
import type { Parsed } from "./json.ts";
import { INVALID_REQUEST, PARSE_ERROR } from "./protocol.ts";

type RequestId = string | number | null;

/** The replies to a batch so far, and how many are missing. */
interface Batch {
  readonly replies: unknown[];
  missing: number;
}

interface Pending {
  readonly clientId: RequestId;
  readonly batch: Batch | null;
}

export interface ExchangeOptions {
  /** Writes a reply, or the replies to a batch. */
  write(reply: unknown): void;
  /** Called for each request and notification, in order of arrival. Throws RefusedRequest. */
  admit(method: string, isRequest: boolean): void;
}

const errorReply = (id: RequestId, code: number, message: string): unknown => {
  return { jsonrpc: "2.0", id, error: { code, message } };
};

export class Exchange {
  readonly #options: ExchangeOptions;
  /** Keyed by our own ID. */
  readonly #pending = new Map<number, Pending>();
  /** Our own ID by the client's: the number 1 and the string "1" are different IDs. */
  readonly #own = new Map<string, number>();
  #lastId = 0;
  #waiting: (() => void)[] = [];

  constructor(options: ExchangeOptions) {
    this.#options = options;
  }

  get inFlight(): number {
    return this.#pending.size;
  }

  /** Resolves when at most `count` requests are unanswered. */
  async whenInFlight(count: number): Promise<void> {
    while (this.#pending.size > count) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Handles the contents of a frame. Calls `deliver` with each well-formed message. */
  receive(parsed: Parsed, deliver: (message: Message) => void): void {
    if (parsed.kind !== "value") {
      const code = parsed.kind === "malformed" ? PARSE_ERROR : INVALID_REQUEST;
      const what = parsed.kind === "malformed" ? "malformed JSON" : "not a request";
      this.#options.write(errorReply(null, code, `${what}: ${parsed.reason}`));
    } else if (Array.isArray(parsed.value)) this.#receiveBatch(parsed.value, deliver);
    else this.#receiveOne(parsed.value, null, deliver);
  }

  #receiveBatch(messages: readonly unknown[], deliver: (message: Message) => void): void {
    if (messages.length === 0 || messages.length > BATCH_MESSAGES_MAX) {
      const problem = messages.length === 0 ? "it is empty" : `it has more than ${BATCH_MESSAGES_MAX} messages`;
      this.#options.write(errorReply(null, INVALID_REQUEST, `not a batch: ${problem}`));
      return;
    }
    // Counts one extra until all messages have been read, so that an early reply does not complete the batch.
    const batch: Batch = { replies: [], missing: 1 };
    for (const message of messages) this.#receiveOne(message, batch, deliver);
    this.#close(batch);
  }

  #receiveOne(value: unknown, batch: Batch | null, deliver: (message: Message) => void): void {
    const refuse = (id: RequestId, { code, message }: RefusedRequest): void => {
      if (batch === null) this.#options.write(errorReply(id, code, message));
      else batch.replies.push(errorReply(id, code, message));
    };
    const read = readMessage(value);
    if (read.kind === "response") return;
    if (read.kind === "invalid") {
      refuse(read.id, new RefusedRequest(INVALID_REQUEST, read.reason));
      return;
    }
    const { method, params } = read;
    try {
      if (read.kind === "notification") {
        this.#options.admit(method, false);
        const own = method === "$/cancelRequest" ? this.#cancelled(params) : params;
        if (own !== null) deliver({ jsonrpc: "2.0", method, ...(own === undefined ? {} : { params: own }) } as Message);
        return;
      }
      const key = keyOf(read.id);
      if (this.#own.has(key)) throw new RefusedRequest(INVALID_REQUEST, "a request with this id is not answered yet");
      this.#options.admit(method, true);
      const id = ++this.#lastId;
      this.#own.set(key, id);
      this.#pending.set(id, { clientId: read.id, batch });
      if (batch !== null) batch.missing++;
      deliver({ jsonrpc: "2.0", id, method, ...(params === undefined ? {} : { params }) } as RequestMessage);
    } catch (thrown) {
      if (!(thrown instanceof RefusedRequest)) throw thrown;
      if (read.kind === "request") refuse(read.id, thrown);
    }
  }

  /** Translates the params of a cancellation to our own ID; null if no such request is in flight. */
  #cancelled(params: unknown): { readonly id: number } | null {
    const id = (params as { readonly id?: unknown } | null | undefined)?.id;
    if (typeof id !== "string" && typeof id !== "number") return null;
    const own = this.#own.get(keyOf(id));
    return own === undefined ? null : { id: own };
  }

  /** Takes a reply from the library and writes it with the client's ID. */
  settle({ id, ...reply }: ResponseMessage): void {
    const pending = this.#pending.get(Number(id));
    if (pending === undefined) return;
    this.#pending.delete(Number(id));
    this.#own.delete(keyOf(pending.clientId));
    const { batch, clientId } = pending;
    const own = { ...reply, jsonrpc: "2.0", id: clientId };
    if (batch === null) this.#options.write(own);
    else {
      batch.replies.push(own);
      this.#close(batch);
    }
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  #close(batch: Batch): void {
    batch.missing--;
    if (batch.missing === 0 && batch.replies.length > 0) this.#options.write(batch.replies);
  }
}

const keyOf = (id: RequestId): string => `${typeof id} ${id}`;

type Read =
  | { readonly kind: "request"; readonly id: RequestId; readonly method: string; readonly params: unknown }
  | { readonly kind: "notification"; readonly method: string; readonly params: unknown }
  | { readonly kind: "response" }
  | { readonly kind: "invalid"; readonly id: RequestId; readonly reason: string };

/**
 * Reports whether an ID can be returned unchanged. An integer beyond 2^53 may have lost digits when it was parsed; a
 * fraction is returned as the same double.
 */
const isId = (id: unknown): id is RequestId =>
  id === null ||
  (typeof id === "string" && id.length <= REQUEST_ID_CHARS_MAX) ||
  (typeof id === "number" && (Number.isSafeInteger(id) || (Number.isFinite(id) && !Number.isInteger(id))));

const ID_SHAPE = `an id is a string of up to ${REQUEST_ID_CHARS_MAX} characters, a number up to 2^53 - 1, or null`;

function readMessage(value: unknown): Read {
  const invalid = (reason: string, id: RequestId = null): Read => ({ kind: "invalid", id, reason });
  if (typeof value !== "object" || value === null || Array.isArray(value)) return invalid("a request is an object");
  const has = (name: string): boolean => Object.hasOwn(value, name);
  const { jsonrpc, id, method, params } = value as Partial<Record<string, unknown>>;
  // The server sends no requests, so it expects no replies; and replying to a reply could loop forever.
  if (!has("method") && (has("result") || has("error"))) return { kind: "response" };
  if (has("id") && !isId(id)) return invalid(ID_SHAPE);
  const clientId = has("id") ? (id as RequestId) : null;
  if (jsonrpc !== "2.0") return invalid('"jsonrpc" must be "2.0"', clientId);
  if (typeof method !== "string") return invalid('"method" must be a string', clientId);
  if (params !== undefined && typeof params !== "object") return invalid('"params" must be an object', clientId);
  const call = { method, params: params === null ? undefined : params };
  return has("id") ? { kind: "request", id: clientId, ...call } : { kind: "notification", ...call };
}
