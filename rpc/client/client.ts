/**
 * A typed client for `bpfman rpc`, for extensions and parent processes, in Node.js 18 or newer and in Bun. It starts
 * the executable, or uses streams that lead to a running one. docs/embedding.md shows how to use it.
 */
import { spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import {
  CancellationTokenSource,
  ConnectionError,
  createMessageConnection,
  ErrorCodes,
  type MessageConnection,
  ProgressType,
  ResponseError,
  StreamMessageReader,
  StreamMessageWriter,
} from "vscode-jsonrpc/node";
import type { MapEventAnswer, TraceLineAnswer } from "../../src/domain/answer.ts";
import { CHANGE_KINDS } from "../../src/domain/change.ts";
import { type ChangeEvent, EventStream } from "./event-stream.ts";
import {
  type ErrorData,
  type InitializeParams,
  type InitializeResult,
  type Method,
  type ParamsOf,
  type ProgressValue,
  type ProgressToken,
  PROTOCOL_VERSION,
  REQUEST_CANCELLED,
  type ResultOf,
  type ServerNotifications,
  type StreamName,
  type SubscribeParams,
  type SubscribeResult,
} from "../protocol.ts";

/** How long `dispose` waits for the server to exit before killing it. The server finishes a running change first. */
const DISPOSE_LIMIT_MS = 30_000;
const LAST_WORDS_LIMIT_MS = 1000;
const STREAM_WINDOW = 1000;
/** How much of the end of the server's stderr is kept, to explain why it exited. */
const STDERR_KEPT_CHARS = 4096;

/**
 * The server answered with an error. `code` is the JSON-RPC error code; `data` says what failed, why, and what to do.
 */
export class RpcError extends Error {
  override readonly name = "RpcError";
  readonly method: string;
  readonly code: number;
  /** Null for errors of the protocol itself, which have only a code and a message. */
  readonly data: ErrorData | null;

  constructor(method: string, message: string, { code, data }: { code: number; data: ErrorData | null }) {
    super(message);
    this.method = method;
    this.code = code;
    this.data = data;
  }
}

/** The server has exited or was never reached, so no answer will come. */
export class DisconnectedError extends Error {
  override readonly name = "DisconnectedError";
}

/** Options of a new session. */
export interface ClientOptions {
  readonly clientInfo?: NonNullable<InitializeParams["clientInfo"]>;
  /** Removes what this session loads and attaches when it ends, even if this process is killed. */
  readonly cleanup?: boolean;
}

export interface StartOptions extends ClientOptions {
  /** The executable and its arguments, `["bpfman", "rpc"]` by default. */
  readonly command?: readonly [string, ...string[]];
  /** Defaults to the environment of this process. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Starts it in a session of its own (setsid(2)), where nothing can ask on the terminal of this process. */
  readonly detached?: boolean;
  /** The command runs the server on another machine, as ssh does, where the ID of this process says nothing. */
  readonly remote?: boolean;
  /** Receives what the server writes to stderr: its log. */
  readonly onLog?: (text: string) => void;
  /** Aborting it ends the start, and the process: it may wait for a password. Later, it does nothing. */
  readonly signal?: AbortSignal;
}

/** The two streams of a server that was started elsewhere. */
export interface Streams {
  /** The server's output. */
  readonly input: Readable;
  /** The server's input. */
  readonly output: Writable;
}

export interface CallOptions {
  /**
   * Aborting cancels the request. The call still waits for the server's answer: it fails with -32800 once everything is
   * undone, or succeeds if the operation had already finished.
   */
  readonly signal?: AbortSignal;
  readonly onProgress?: (value: ProgressValue) => void;
}

export interface StreamOptions extends CallOptions {
  /** How many results may be under way, up to 10,000. */
  readonly window?: number;
}

/** One result of each method that goes on until it is ended. */
export interface StreamResults {
  readonly "map/events": MapEventAnswer;
  readonly trace: TraceLineAnswer;
}

/** The methods `call` accepts. The client calls the others itself. */
export type CallableMethod = Exclude<Method, "initialize" | "shutdown" | "events/subscribe" | "events/unsubscribe">;

/** Params are optional if no field is required. */
type CallArguments<Name extends CallableMethod> =
  Record<never, never> extends ParamsOf<Name>
    ? [params?: ParamsOf<Name>, options?: CallOptions]
    : [params: ParamsOf<Name>, options?: CallOptions];

/** Stays active until `close`, or until the connection ends. */
export interface Subscription extends SubscribeResult {
  close(): Promise<void>;
}

/** A subscription consumed by a `for await` loop. Leaving the loop closes it. */
export interface EventSubscription extends Subscription, AsyncIterable<ChangeEvent> {}

/** Starts an executable and opens a session. Throws DisconnectedError with the process's stderr on failure. */
export async function startClient(options: StartOptions = {}): Promise<Client> {
  const [executable, ...args] = options.command ?? ["bpfman", "rpc"];
  const child = spawn(executable, args, {
    stdio: ["pipe", "pipe", "pipe"],
    detached: options.detached ?? false,
    ...(options.env === undefined ? {} : { env: options.env }),
  });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(-STDERR_KEPT_CHARS);
    options.onLog?.(text);
  });
  const ended = new Promise<string>((resolve) => {
    child.on("error", (cause) => resolve(`"${executable}" cannot be started: ${cause.message}`));
    child.once("close", (code, signal) => {
      const how = signal === null ? `with exit code ${code}` : `by ${signal}`;
      resolve(`the server ended ${how}${said === "" ? "" : `: ${said.trim()}`}`);
    });
  });
  const kill = (): void => {
    try {
      child.kill("SIGKILL");
    } catch {
      // It has become root, and this process has not: it goes with its input.
    }
  };
  const connection: Connection = { input: child.stdout, output: child.stdin, ended, kill };
  const abort = (): void => {
    child.stdin.end();
    child.stdout.destroy();
    kill();
  };
  if (options.signal?.aborted) abort();
  options.signal?.addEventListener("abort", abort, { once: true });
  try {
    return await begin(connection, { processId: options.remote === true ? null : process.pid, ...options });
  } finally {
    options.signal?.removeEventListener("abort", abort);
  }
}

/** Opens a session over the streams of a server that was started elsewhere. */
export async function connectClient({ input, output }: Streams, options: ClientOptions = {}): Promise<Client> {
  const ended = new Promise<string>((resolve) => input.once("close", () => resolve("the connection was closed")));
  return begin({ input, output, ended, kill: () => {} }, { processId: null, ...options });
}

interface Connection extends Streams {
  /** Resolves with the reason when the connection has ended. */
  readonly ended: Promise<string>;
  kill(): void;
}

async function begin(
  connection: Connection,
  options: ClientOptions & { readonly processId: number | null },
): Promise<Client> {
  const { input, output } = connection;
  const reader = new StreamMessageReader(input);
  const rpc = createMessageConnection(reader, new StreamMessageWriter(output));
  const requests = new Requests(rpc, connection);
  reader.onError((cause) => requests.break(`the server sent something other than a message: ${cause.message}`));
  rpc.listen();
  const params: InitializeParams = {
    protocolVersion: PROTOCOL_VERSION,
    processId: options.processId,
    clientInfo: options.clientInfo ?? null,
    session: { cleanup: options.cleanup ?? false },
  };
  try {
    const server = await requests.send<InitializeResult>("initialize", params);
    await rpc.sendNotification("initialized", {});
    return new Client(server, requests);
  } catch (cause) {
    output.end();
    connection.kill();
    throw cause;
  }
}

/** A session, created by {@link startClient} or {@link connectClient}. */
export class Client {
  /** What the server reported about itself and the kernel. */
  readonly server: InitializeResult;
  /** Resolves with the reason when the connection has ended, whichever side closed it. */
  readonly closed: Promise<string>;
  readonly #requests: Requests;
  #listener: ((event: ChangeEvent) => void) | null = null;
  #disposing: Promise<void> | null = null;
  /** Where results go, by token. */
  readonly #streams = new Map<ProgressToken, (results: readonly unknown[]) => void>();
  #streamed = 0;

  constructor(server: InitializeResult, requests: Requests) {
    this.server = server;
    this.#requests = requests;
    this.closed = requests.connection.ended;
    for (const kind of [...CHANGE_KINDS, "events/didDrop"] as const) {
      requests.rpc.onNotification(kind, (params) => this.#listener?.({ kind, ...params }));
    }
    requests.rpc.onNotification("stream/didRead", ({ token, results }: ServerNotifications["stream/didRead"]) =>
      this.#streams.get(token)?.(results),
    );
  }

  /** Calls a method. Throws RpcError if the server answers with an error, DisconnectedError if it has exited. */
  call<Name extends CallableMethod>(method: Name, ...rest: CallArguments<Name>): Promise<ResultOf<Name>> {
    const [params, options] = rest;
    return this.#requests.send(method, params, options);
  }

  /**
   * Calls a method that goes on until it is ended: by its own params, or by the signal, when it throws. Its results come as they
   * are found, at most `window` of them ahead of the listener, and are empty in the answer.
   */
  async stream<Name extends StreamName>(
    method: Name,
    params: Omit<ParamsOf<Name>, "stream">,
    listener: (results: readonly StreamResults[Name][]) => void | Promise<void>,
    { window = STREAM_WINDOW, ...options }: StreamOptions = {},
  ): Promise<ResultOf<Name>> {
    const { rpc } = this.#requests;
    const token = `${method} ${this.#streamed++}`;
    let handled = Promise.resolve();
    this.#streams.set(token, (results) => {
      handled = handled.then(async () => {
        const own = results as readonly StreamResults[Name][];
        await listener(own);
        const credits = own.filter(({ lost }) => lost === undefined).length;
        if (credits > 0 && this.#requests.isOpen) await rpc.sendNotification("stream/allow", { token, credits });
      });
    });
    try {
      const answer = await this.#requests.send<ResultOf<Name>>(
        method,
        { ...params, stream: { token, credits: window } },
        options,
      );
      await handled;
      return answer;
    } finally {
      this.#streams.delete(token);
    }
  }

  /**
   * Calls `listener` for each change made by any process, from now on or after `since`. Only one subscription can be
   * active at a time.
   */
  async subscribe(params: SubscribeParams, listener: (event: ChangeEvent) => void): Promise<Subscription> {
    if (this.#listener !== null) throw new Error("this client is subscribed already: close that subscription first");
    // Set it before the request: the first events may arrive together with the answer.
    this.#listener = listener;
    let open = true;
    try {
      const result = await this.#requests.send<SubscribeResult>("events/subscribe", params);
      const close = async (): Promise<void> => {
        if (!open) return;
        open = false;
        this.#listener = null;
        if (!this.#requests.isOpen || this.#disposing !== null) return;
        await this.#requests.send("events/unsubscribe").catch(ignoreDisconnected);
      };
      return { ...result, close };
    } catch (cause) {
      this.#listener = null;
      throw cause;
    }
  }

  /** Like `subscribe`, for a `for await` loop, which ends with the session and throws if the server dies. */
  async events(params: SubscribeParams = {}): Promise<EventSubscription> {
    let close: () => Promise<void> = async () => {};
    const stream = new EventStream(() => close());
    const subscription = await this.subscribe(params, (event) => stream.push(event));
    close = subscription.close;
    this.closed.then((how) => stream.end(this.#disposing === null ? new DisconnectedError(how) : null));
    return {
      ...subscription,
      close: async () => void (await stream.return()),
      [Symbol.asyncIterator]: () => stream,
    };
  }

  /** Ends the session. Running requests finish first; when this resolves, the session has been cleaned up. */
  dispose(): Promise<void> {
    this.#disposing ??= this.#requests.end();
    return this.#disposing;
  }
}

function ignoreDisconnected(cause: unknown): void {
  if (!(cause instanceof DisconnectedError)) throw cause;
}

/** Sends requests over one connection and converts failures to the client's error types. */
class Requests {
  readonly rpc: MessageConnection;
  readonly connection: Connection;
  isOpen = true;
  #tokens = 0;
  #broken: string | null = null;

  constructor(rpc: MessageConnection, connection: Connection) {
    this.rpc = rpc;
    this.connection = connection;
    // Disposing rejects the requests that will not be answered.
    rpc.onClose(() => this.#close());
    connection.ended.then(() => this.#close());
  }

  #close(): void {
    this.isOpen = false;
    this.rpc.dispose();
  }

  /** What follows cannot be understood any more, and no answer will be. */
  break(why: string): void {
    this.#broken ??= why;
    this.connection.kill();
    this.#close();
  }

  async send<Result>(method: Method, params: object = {}, { signal, onProgress }: CallOptions = {}): Promise<Result> {
    if (signal?.aborted)
      throw new RpcError(method, "cancelled before it was sent", { code: REQUEST_CANCELLED, data: null });
    const cancellation = new CancellationTokenSource();
    const cancel = (): void => cancellation.cancel();
    signal?.addEventListener("abort", cancel, { once: true });
    const workDoneToken = `${method} ${this.#tokens++}`;
    const progress = onProgress && this.rpc.onProgress(new ProgressType<ProgressValue>(), workDoneToken, onProgress);
    const sent = progress === undefined ? params : { ...params, workDoneToken };
    try {
      return await this.rpc.sendRequest<Result>(method, sent, cancellation.token);
    } catch (cause) {
      throw await this.#failure(method, cause);
    } finally {
      signal?.removeEventListener("abort", cancel);
      progress?.dispose();
      cancellation.dispose();
    }
  }

  async end(): Promise<void> {
    const { connection } = this;
    const late = setTimeout(() => {
      connection.kill();
      connection.input.destroy();
    }, DISPOSE_LIMIT_MS);
    try {
      await this.send("shutdown");
      await this.rpc.sendNotification("exit", {});
    } catch (cause) {
      ignoreDisconnected(cause instanceof ConnectionError ? new DisconnectedError(cause.message) : cause);
    } finally {
      connection.output.end();
      await connection.ended;
      clearTimeout(late);
    }
  }

  /** When writing fails, the server is about to exit. Waits a limited time for the reason. */
  async #howItEnded(): Promise<string> {
    if (this.#broken !== null) return this.#broken;
    return Promise.race([
      this.connection.ended,
      sleep(LAST_WORDS_LIMIT_MS, "the connection was closed", { ref: false }),
    ]);
  }

  async #failure(method: string, cause: unknown): Promise<unknown> {
    const gone =
      cause instanceof ConnectionError ||
      (cause instanceof ResponseError &&
        [ErrorCodes.PendingResponseRejected, ErrorCodes.MessageWriteError].some((code) => code === cause.code));
    if (gone) return new DisconnectedError(`${method}: ${await this.#howItEnded()}`);
    if (!(cause instanceof ResponseError)) return cause;
    return new RpcError(method, cause.message, {
      code: cause.code,
      data: (cause.data as ErrorData | undefined) ?? null,
    });
  }
}
