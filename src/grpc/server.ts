/**
 * gRPC over HTTP/2: unary methods on Unix sockets. What calls one of them may be hostile as long as it can open the socket,
 * so everything that it can make grow is bounded (GRPC_* in domain/limits.ts).
 */
import {
  fromBinary,
  type DescMessage,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import { create, toBinary } from "@bufbuild/protobuf";
import {
  constants,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import {
  GRPC_CALLS_MAX,
  GRPC_CALLS_PER_COLLECTION,
  GRPC_CONNECTIONS_MAX,
  GRPC_HEADER_LIST_BYTES_MAX,
  GRPC_HELD_BYTES_MAX,
  GRPC_STALL_TIMEOUT_MS,
  GRPC_STOP_TIMEOUT_MS,
  GRPC_STREAMS_MAX,
  WORKER_CANCEL_TIMEOUT_MS,
} from "../domain/limits.ts";
import type { LogPort } from "../domain/log.ts";
import { encodedMessage, STATUS, type Status, StatusError, statusOf } from "./errors.ts";
import { framed, RequestBody, timeoutMs } from "./framing.ts";

/** What a method gets besides its request. */
export interface Call {
  /** Aborted when the client cancels or leaves, its deadline passes, or the server stops. */
  readonly signal: AbortSignal;
}

/** A method of a service and what it does. Make one with `unary`, which knows the types. */
export interface UnaryMethod {
  readonly descriptor: DescMethodUnary;
  handle(request: unknown, call: Call): Promise<unknown>;
}

/** `handle` throws BpfmanError, or StatusError for a number that the protocol prescribes. */
export const unary = <Input extends DescMessage, Output extends DescMessage>(
  descriptor: DescMethodUnary<Input, Output>,
  handle: (request: MessageShape<Input>, call: Call) => Promise<MessageInitShape<Output>>,
): UnaryMethod => ({ descriptor, handle: handle as UnaryMethod["handle"] });

export interface ServerOptions {
  readonly methods: readonly UnaryMethod[];
  readonly log: LogPort;
}

const { HTTP2_HEADER_PATH, HTTP2_HEADER_METHOD, NGHTTP2_CANCEL, NGHTTP2_NO_ERROR } = constants;
const CONTENT_TYPE = /^application\/grpc(\+proto)?(;.*)?$/;

/** One set of methods, on one socket. */
export class GrpcServer {
  /** The caller makes it listen (listen.ts). */
  readonly http: Http2Server;
  readonly #methods: ReadonlyMap<string, UnaryMethod>;
  readonly #log: LogPort;
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #calls = new Set<Running>();
  #heldBytes = 0;
  #ended = 0;
  #idle: (() => void) | null = null;

  constructor({ methods, log }: ServerOptions) {
    this.#methods = new Map(
      methods.map((method) => [`/${method.descriptor.parent.typeName}/${method.descriptor.name}`, method]),
    );
    this.#log = log;
    this.http = createServer({
      maxSendHeaderBlockLength: GRPC_HEADER_LIST_BYTES_MAX,
      settings: {
        maxConcurrentStreams: GRPC_STREAMS_MAX,
        maxHeaderListSize: GRPC_HEADER_LIST_BYTES_MAX,
        enablePush: false,
      },
    });
    // Beyond that, they are closed before anything of theirs is read.
    this.http.maxConnections = GRPC_CONNECTIONS_MAX;
    this.http.on("session", (session) => this.#opened(session));
    this.http.on("stream", (stream, headers) => this.#receive(stream as ServerHttp2Stream, headers));
    // A connection that breaks the protocol ends; the others know nothing of it.
    this.http.on("sessionError", (error) => this.#log.debug("a connection broke", { reason: error.message }));
  }

  /** Takes no more connections and calls, lets those that run finish for a while, then cancels them. */
  async stop(graceMs = GRPC_STOP_TIMEOUT_MS): Promise<void> {
    this.http.close();
    for (const session of this.#sessions) session.goaway(NGHTTP2_NO_ERROR);
    if (!(await this.#finished(graceMs))) {
      this.#log.warn(`cancelling ${this.#calls.size} calls that have not finished`);
      for (const call of this.#calls) call.giveUp(STATUS.UNAVAILABLE, "the server stops");
      await this.#finished(2 * WORKER_CANCEL_TIMEOUT_MS);
    }
    for (const session of this.#sessions) session.destroy();
  }

  /** Whether no call is left, which it waits for at most that long. */
  async #finished(ms: number): Promise<boolean> {
    if (this.#calls.size === 0) return true;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const late = setTimeout(() => resolve(false), ms);
    this.#idle = () => resolve(true);
    const isFinished = await promise;
    clearTimeout(late);
    return isFinished;
  }

  #opened(session: ServerHttp2Session): void {
    this.#sessions.add(session);
    session.on("error", () => {});
    session.on("close", () => this.#sessions.delete(session));
  }

  #receive(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    // Said by `close`, which comes after it.
    stream.on("error", () => {});
    if (headers[HTTP2_HEADER_METHOD] !== "POST") reject(stream, 405);
    else if (!CONTENT_TYPE.test(headers["content-type"] ?? "")) reject(stream, 415);
    else if (this.#calls.size >= GRPC_CALLS_MAX || this.#heldBytes > GRPC_HELD_BYTES_MAX) fail(stream, TOO_MANY);
    else void this.#call(stream, headers);
  }

  /** One call, from its headers until nothing of it is left. Never throws. */
  async #call(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
    const call = new Running(stream, (bytes) => this.#hold(bytes));
    this.#calls.add(call);
    try {
      const ms = timeoutMs(one(headers["grpc-timeout"]));
      if (ms !== null) call.end.in(ms, () => call.giveUp(STATUS.DEADLINE_EXCEEDED, "the client's deadline has passed"));
      const method = this.#methodAt(one(headers[HTTP2_HEADER_PATH]));
      const { input, output } = method.descriptor;
      const request = decoded(input, await call.request(one(headers["grpc-encoding"])));
      const answer = await call.untilGivenUp(method.handle(request, { signal: call.signal }));
      call.succeed(toBinary(output, create(output, answer as MessageInitShape<typeof output>)));
    } catch (thrown) {
      const status = statusOf(thrown);
      if (status.status === STATUS.INTERNAL) this.#log.error("a call failed", { reason: status.message });
      fail(stream, status);
    } finally {
      await call.over();
      this.#calls.delete(call);
      // Left alone, the engine lets the garbage of thousands of calls grow to some 40 MiB first, and keeps these.
      if (++this.#ended % GRPC_CALLS_PER_COLLECTION === 0) Bun.gc(true);
      if (this.#calls.size === 0) this.#idle?.();
    }
  }

  /** Counts the bytes of a call. Throws StatusError if they are too many. */
  #hold(bytes: number): void {
    this.#heldBytes += bytes;
    if (bytes > 0 && this.#heldBytes > GRPC_HELD_BYTES_MAX) throw new StatusError(TOO_MANY.status, TOO_MANY.message);
  }

  #methodAt(path: string | undefined): UnaryMethod {
    const method = this.#methods.get(path ?? "");
    if (method !== undefined) return method;
    const named = JSON.stringify((path ?? "").slice(0, 100));
    throw new StatusError(STATUS.UNIMPLEMENTED, `there is no method ${named} here`);
  }
}

const TOO_MANY: Status = {
  status: STATUS.RESOURCE_EXHAUSTED,
  message: "there are too many calls at once; try again when some have ended",
};

/** A timer that is set at most once at a time. */
class Timer {
  #timer: NodeJS.Timeout | undefined;

  in(ms: number, then: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(then, ms);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}

/** A call that is not over. */
class Running {
  readonly #stream: ServerHttp2Stream;
  readonly #hold: (bytes: number) => void;
  readonly #abort = new AbortController();
  readonly #givenUp = Promise.withResolvers<never>();
  readonly #closed = Promise.withResolvers<void>();
  readonly end = new Timer();
  readonly #stall = new Timer();
  #handling: Promise<unknown> = Promise.resolve();
  #bytes = 0;

  constructor(stream: ServerHttp2Stream, hold: (bytes: number) => void) {
    this.#stream = stream;
    this.#hold = hold;
    this.#givenUp.promise.catch(() => {});
    stream.on("close", () => {
      this.#closed.resolve();
      this.giveUp(STATUS.CANCELLED, "the client cancelled");
    });
    this.#stall.in(GRPC_STALL_TIMEOUT_MS, () => this.giveUp(STATUS.DEADLINE_EXCEEDED, "the request did not arrive"));
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  giveUp(status: number, why: string): void {
    this.#givenUp.reject(new StatusError(status, why));
    this.#abort.abort();
  }

  /** What the handler answers. Throws what it throws, or why the call was given up. */
  untilGivenUp<T>(handling: Promise<T>): Promise<T> {
    this.#handling = handling;
    return Promise.race([handling, this.#givenUp.promise]);
  }

  /** The one message of the request, as bytes. Throws StatusError. */
  async request(encoding: string | undefined): Promise<Uint8Array> {
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
    const body = new RequestBody();
    const stream = this.#stream;
    stream.on("data", (part: Uint8Array) => {
      try {
        this.#held(part.length);
        body.add(part);
      } catch (thrown) {
        reject(thrown);
      }
    });
    stream.on("end", () => {
      try {
        resolve(body.message(encoding));
      } catch (thrown) {
        reject(thrown);
      }
    });
    const message = await Promise.race([promise, this.#givenUp.promise]);
    this.#stall.stop();
    return message;
  }

  /** Throws StatusError. */
  succeed(message: Uint8Array): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.closed) return;
    this.#held(message.length);
    stream.respond(HEADERS, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": String(STATUS.OK) }));
    stream.end(framed(message));
  }

  /** Resolves when the client has the answer or wants none, and the handler has ended: what was cancelled is undone. */
  async over(): Promise<void> {
    this.end.stop();
    this.#stall.in(GRPC_STALL_TIMEOUT_MS, () => this.#stream.close(NGHTTP2_CANCEL));
    await Promise.all([this.#closed.promise, this.#handling.catch(() => {})]);
    this.#stall.stop();
    this.#hold(-this.#bytes);
  }

  #held(bytes: number): void {
    this.#bytes += bytes;
    this.#hold(bytes);
  }
}

/** Answers what is not gRPC: a person with a browser's tool, probably. */
function reject(stream: ServerHttp2Stream, status: number): void {
  stream.respond({ ":status": status, "content-type": "text/plain" });
  stream.end("this is a gRPC server: it takes POST of application/grpc\n");
}

/** Of a header that came several times, which only some of them may, the first. */
const one = (header: string | string[] | undefined): string | undefined => (Array.isArray(header) ? header[0] : header);

function decoded(input: DescMessage, bytes: Uint8Array): unknown {
  try {
    return fromBinary(input, bytes);
  } catch {
    const what = `INVALID_REQUEST: read the request: it is no ${input.typeName}`;
    throw new StatusError(STATUS.INVALID_ARGUMENT, what);
  }
}

const HEADERS = {
  ":status": 200,
  "content-type": "application/grpc",
  "grpc-accept-encoding": "identity,gzip",
} as const;

function fail(stream: ServerHttp2Stream, { status, message }: Status): void {
  if (stream.destroyed || stream.closed || stream.headersSent) return;
  const trailers = { "grpc-status": String(status), "grpc-message": encodedMessage(message) };
  stream.respond({ ...HEADERS, ...trailers }, { endStream: true });
  // What else comes of the request is of no interest.
  stream.close(NGHTTP2_NO_ERROR);
}
