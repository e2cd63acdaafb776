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
  GRPC_CONNECTIONS_MAX,
  GRPC_HEADER_LIST_BYTES_MAX,
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

const { HTTP2_HEADER_PATH, HTTP2_HEADER_METHOD, NGHTTP2_NO_ERROR } = constants;
const CONTENT_TYPE = /^application\/grpc(\+proto)?(;.*)?$/;

/** One set of methods, on one socket. */
export class GrpcServer {
  /** The caller makes it listen (listen.ts). */
  readonly http: Http2Server;
  readonly #methods: ReadonlyMap<string, UnaryMethod>;
  readonly #log: LogPort;
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #calls = new Set<AbortController>();
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
      for (const call of this.#calls) call.abort();
      await this.#finished(2 * WORKER_CANCEL_TIMEOUT_MS);
    }
    for (const session of this.#sessions) session.close();
    await Bun.sleep(0);
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
    if (this.#sessions.size >= GRPC_CONNECTIONS_MAX) {
      session.destroy();
      return;
    }
    this.#sessions.add(session);
    session.on("error", () => {});
    session.on("close", () => this.#sessions.delete(session));
  }

  #receive(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    // Said by `close`, which comes after it.
    stream.on("error", () => {});
    const reject = (status: number): void => stream.respond({ ":status": status }, { endStream: true });
    if (headers[HTTP2_HEADER_METHOD] !== "POST") reject(405);
    else if (!CONTENT_TYPE.test(headers["content-type"] ?? "")) reject(415);
    else if (this.#calls.size >= GRPC_CALLS_MAX) {
      fail(stream, { status: STATUS.RESOURCE_EXHAUSTED, message: "there are too many calls at once; try again" });
    } else void this.#call(stream, headers);
  }

  /** One call, from its headers to its trailers. Never throws. */
  async #call(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
    const call = new AbortController();
    this.#calls.add(call);
    const closed = Promise.withResolvers<never>();
    closed.promise.catch(() => {});
    const giveUp = (reason: StatusError): void => {
      closed.reject(reason);
      call.abort();
    };
    stream.on("close", () => giveUp(new StatusError(STATUS.CANCELLED, "the client cancelled")));
    let deadline: NodeJS.Timeout | undefined;
    let running: Promise<unknown> = Promise.resolve();
    try {
      const ms = timeoutMs(one(headers["grpc-timeout"]));
      if (ms !== null) {
        const late = new StatusError(STATUS.DEADLINE_EXCEEDED, "the client's deadline has passed");
        deadline = setTimeout(() => giveUp(late), ms);
      }
      const method = this.#methodAt(one(headers[HTTP2_HEADER_PATH]));
      const message = await Promise.race([received(stream, one(headers["grpc-encoding"])), closed.promise]);
      const request = decoded(method.descriptor.input, message);
      const handling = method.handle(request, { signal: call.signal });
      running = handling;
      const answer = await Promise.race([handling, closed.promise]);
      const { output } = method.descriptor;
      succeed(stream, toBinary(output, create(output, answer as MessageInitShape<typeof output>)));
    } catch (thrown) {
      const status = statusOf(thrown);
      if (status.status === STATUS.INTERNAL) this.#log.error("a call failed", { reason: status.message });
      fail(stream, status);
    } finally {
      clearTimeout(deadline);
      // What was cancelled is still being undone.
      await running.catch(() => {});
      this.#calls.delete(call);
      if (this.#calls.size === 0) this.#idle?.();
    }
  }

  #methodAt(path: string | undefined): UnaryMethod {
    const method = this.#methods.get(path ?? "");
    if (method !== undefined) return method;
    const named = JSON.stringify((path ?? "").slice(0, 100));
    throw new StatusError(STATUS.UNIMPLEMENTED, `UNSUPPORTED: there is no method ${named} here`);
  }
}

/** Of a header that came several times, which only some of them may, the first. */
const one = (header: string | string[] | undefined): string | undefined => (Array.isArray(header) ? header[0] : header);

/** The one message of the request, as bytes. Throws StatusError. */
function received(stream: ServerHttp2Stream, encoding: string | undefined): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const body = new RequestBody();
  stream.on("data", (part: Uint8Array) => {
    try {
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
  return promise;
}

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

function succeed(stream: ServerHttp2Stream, message: Uint8Array): void {
  if (stream.destroyed || stream.closed) return;
  stream.respond(HEADERS, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": String(STATUS.OK) }));
  stream.end(framed(message));
}

function fail(stream: ServerHttp2Stream, { status, message }: Status): void {
  if (stream.destroyed || stream.closed || stream.headersSent) return;
  const trailers = { "grpc-status": String(status), "grpc-message": encodedMessage(message) };
  stream.respond({ ...HEADERS, ...trailers }, { endStream: true });
  // What else comes of the request is of no interest.
  stream.close(NGHTTP2_NO_ERROR);
}
