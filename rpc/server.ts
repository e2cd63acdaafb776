/** A session of the JSON-RPC server: requests in, replies and notifications out, until either side ends it. */
import {
  createMessageConnection,
  type CancellationToken,
  type MessageConnection,
  ResponseError,
} from "vscode-jsonrpc/node";
import {
  INTERRUPTED_REPLIES_TIMEOUT_MS,
  REQUESTS_IN_FLIGHT_MAX,
  WORKER_CANCEL_TIMEOUT_MS,
} from "../src/domain/limits.ts";
import { BpfmanError } from "../src/errors/error.ts";
import type { SessionService } from "../src/service/session.ts";
import { replyError } from "./errors.ts";
import { Exchange } from "./exchange.ts";
import { Methods } from "./methods.ts";
import { PARSE_ERROR, type ServerNotification, type ServerNotifications } from "./protocol.ts";
import { BoundedReader, type InputEnd } from "./reader.ts";
import { BoundedWriter } from "./writer.ts";

/** The process that hosts a session. */
export interface RpcHost {
  /** Chunks in order of arrival, read only on demand. */
  readonly input: AsyncIterable<Uint8Array>;
  /** Resolves when the bytes have been written; rejects if they never can be. */
  output(bytes: Uint8Array): Promise<void>;
  readonly service: SessionService;
  /** Aborted when this process is told to exit. */
  readonly signal: AbortSignal;
  /** Another process whose exit ends the session, besides the one `initialize` may name; null for none. */
  readonly clientProcessId: number | null;
}

/**
 * How a session ends: `finish` waits for running requests, `abort` cancels them, and `interrupt` also waits neither for
 * the client nor for other processes.
 */
interface Ending {
  readonly how: "finish" | "abort" | "interrupt";
  readonly exitCode: number;
}

const EXIT_INTERRUPTED = 130;

/** Serves until the session ends and returns the exit code. Throws INVALID_REQUEST if the client has already exited. */
export const serve = (host: RpcHost): Promise<number> => new Server(host).run();

/**
 * Connects the parts. In: reader (bytes to JSON) → exchange (IDs, batches, `admit`) → the library (dispatch,
 * cancellation) → `#answer` → methods. Out: the library → writer, which calls the exchange to restore the client's ID.
 */
class Server {
  readonly #host: RpcHost;
  readonly #reader: BoundedReader;
  readonly #exchange: Exchange;
  readonly #writer: BoundedWriter;
  readonly #methods: Methods;
  readonly #connection: MessageConnection;
  readonly #ending = Promise.withResolvers<Ending>();
  /** Cancels everything that is running. */
  readonly #abort = new AbortController();

  constructor(host: RpcHost) {
    this.#host = host;
    this.#writer = new BoundedWriter({
      output: (bytes) => host.output(bytes),
      settle: (reply) => this.#exchange.settle(reply),
      gone: () => this.#end({ how: "abort", exitCode: 0 }),
    });
    this.#exchange = new Exchange({
      write: (reply) => this.#writer.put(reply),
      admit: (method, isRequest) => this.#admit(method, isRequest),
    });
    this.#reader = new BoundedReader({
      input: host.input,
      receive: (parsed, deliver) => this.#exchange.receive(parsed, deliver),
      room: () => this.#room(),
    });
    this.#methods = new Methods({
      service: host.service,
      notify: (name, params) => this.#notify(name, params),
      isBehind: () => this.#writer.isBehind,
      caughtUp: () => this.#writer.caughtUp(),
      parentDied: () => this.#stop({ how: "abort", exitCode: 0 }),
    });
    this.#connection = createMessageConnection(this.#reader, this.#writer);
  }

  async run(): Promise<number> {
    const { clientProcessId: pid, service } = this.#host;
    if (pid !== null && !(await this.#methods.endWith(pid))) {
      throw new BpfmanError("INVALID_REQUEST", `serve the client with pid ${pid}: no such process here`, {
        details: { field: "clientProcessId" },
        hint: "omit --clientProcessId if the client runs in another PID namespace",
      });
    }
    this.#listen();
    const { how, exitCode } = await this.#ending.promise;
    await this.#exchange.whenInFlight(0);
    const isHurried = how === "interrupt";
    await this.#methods.end(isHurried ? WORKER_CANCEL_TIMEOUT_MS : null);
    const late = () => Bun.sleep(INTERRUPTED_REPLIES_TIMEOUT_MS).then(() => false);
    const flushed = await Promise.race([this.#writer.flushed(), ...(isHurried ? [late()] : [])]);
    this.#connection.dispose();
    if (!flushed) service.log.error("the client did not read the last replies");
    const { failure } = this.#writer;
    if (failure !== null) service.log.error(`write to standard output: ${failure}`);
    return (flushed && failure === null) || isHurried ? exitCode : 1;
  }

  #listen(): void {
    const { signal } = this.#host;
    this.#connection.onRequest((method: string, params: unknown, token: CancellationToken) =>
      this.#answer(method, params, token),
    );
    this.#connection.onNotification((method: string, params: unknown) => this.#methods.notified(method, params));
    this.#connection.listen();
    const interrupted = (): void => this.#stop({ how: "interrupt", exitCode: EXIT_INTERRUPTED });
    if (signal.aborted) interrupted();
    signal.addEventListener("abort", interrupted, { once: true });
    this.#reader.ended.then((input) => this.#inputEnded(input));
  }

  /** Answers one request, which can be cancelled. Throws ResponseError. */
  async #answer(method: string, params: unknown, token: CancellationToken): Promise<unknown> {
    const operationId = crypto.randomUUID();
    const cancel = new AbortController();
    const onAbort = (): void => cancel.abort();
    const listening = token.onCancellationRequested(onAbort);
    const { signal } = this.#abort;
    signal.addEventListener("abort", onAbort, { once: true });
    if (token.isCancellationRequested || signal.aborted) cancel.abort();
    try {
      return await this.#methods.call(method, params, { operationId, signal: cancel.signal });
    } catch (thrown) {
      const { code, message, data } = replyError(thrown, operationId);
      throw new ResponseError(code, message, data);
    } finally {
      listening.dispose();
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** Called for every incoming message, in order. Throws RefusedRequest. */
  #admit(method: string, isRequest: boolean): void {
    if (isRequest) this.#methods.admit(method);
    else if (method === "exit") {
      const { isShut } = this.#methods;
      this.#stop(isShut ? { how: "finish", exitCode: 0 } : { how: "abort", exitCode: 1 });
    }
  }

  /** Null if more may be read now; otherwise resolves when there is room. */
  #room(): Promise<void> | null {
    if (this.#exchange.inFlight < REQUESTS_IN_FLIGHT_MAX) return this.#writer.room();
    // Replies sent in the meantime may still wait for the client.
    return this.#exchange.whenInFlight(REQUESTS_IN_FLIGHT_MAX - 1).then(() => this.#writer.room() ?? undefined);
  }

  #notify<Name extends ServerNotification>(name: Name, params: ServerNotifications[Name]): void {
    this.#connection.sendNotification(name, params).catch(() => {});
  }

  #inputEnded(input: InputEnd): void {
    if (input.kind === "broken") {
      const message = `the session ends because frames can no longer be told apart: ${input.reason}`;
      this.#writer.put({ jsonrpc: "2.0", id: null, error: { code: PARSE_ERROR, message } });
    }
    this.#methods.clientLeft();
    this.#end({ how: "finish", exitCode: input.kind === "broken" ? 1 : 0 });
  }

  /** Ends the session and ignores further input. */
  #stop(ending: Ending): void {
    this.#reader.stop();
    this.#end(ending);
  }

  #end(ending: Ending): void {
    if (ending.how !== "finish") this.#abort.abort();
    this.#ending.resolve(ending);
  }
}
