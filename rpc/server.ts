/** A session of the JSON-RPC server: methods in, replies and notifications out, until one side has enough. */
import {
  createMessageConnection,
  type CancellationToken,
  type MessageConnection,
  ResponseError,
} from "vscode-jsonrpc/node";
import { REQUESTS_IN_FLIGHT_MAX } from "../src/domain/limits.ts";
import type { SessionService } from "../src/service/session.ts";
import { replyError } from "./errors.ts";
import { Exchange } from "./exchange.ts";
import { Life } from "./life.ts";
import { Methods } from "./methods.ts";
import { PARSE_ERROR, type ServerNotification, type ServerNotifications } from "./protocol.ts";
import { BoundedReader } from "./reader.ts";
import { BoundedWriter } from "./writer.ts";

/** The process around a session. */
export interface RpcHost {
  readonly input: AsyncIterable<Uint8Array>;
  /** Resolves when the bytes have been taken; rejects when nobody will ever take them. */
  output(bytes: Uint8Array): Promise<void>;
  readonly service: SessionService;
  /** Aborted when this process is told to end. */
  readonly signal: AbortSignal;
}

/** How a session comes to its end: `finish` lets what runs come to its end, `abort` cancels it. */
interface Ending {
  readonly how: "finish" | "abort";
  readonly exitCode: number;
}

const EXIT_INTERRUPTED = 130;

/** Serves until the session ends, and answers the exit code. */
export async function serve(host: RpcHost): Promise<number> {
  const ending = Promise.withResolvers<Ending>();
  const abort = new AbortController();
  const end = (how: Ending["how"], exitCode: number): void => {
    if (how === "abort") abort.abort();
    ending.resolve({ how, exitCode });
  };
  const life = new Life();
  let connection: MessageConnection | null = null;

  const writer = new BoundedWriter({
    output: (bytes) => host.output(bytes),
    settle: (reply) => exchange.settle(reply),
    gone: () => end("abort", 0),
  });
  const exchange = new Exchange({
    write: (reply) => writer.put(reply),
    admit(method, isRequest) {
      if (isRequest) life.admit(method);
      if (isRequest || method !== "exit") return;
      reader.stop();
      end(life.isShut ? "finish" : "abort", life.isShut ? 0 : 1);
    },
  });
  const reader = new BoundedReader({
    input: host.input,
    receive: (parsed, deliver) => exchange.receive(parsed, deliver),
    room() {
      if (exchange.inFlight < REQUESTS_IN_FLIGHT_MAX) return writer.room();
      // What was answered meanwhile may wait for the client.
      return exchange.whenInFlight(REQUESTS_IN_FLIGHT_MAX - 1).then(() => writer.room() ?? undefined);
    },
  });
  const notify = <Name extends ServerNotification>(name: Name, params: ServerNotifications[Name]): void => {
    connection?.sendNotification(name, params).catch(() => {});
  };
  const methods = new Methods({
    service: host.service,
    life,
    notify,
    isBehind: () => writer.isBehind,
    caughtUp: () => writer.caughtUp(),
    parentDied: () => {
      reader.stop();
      end("abort", 0);
    },
  });

  connection = createMessageConnection(reader, writer);
  connection.onRequest(async (method: string, params: unknown, token: CancellationToken) => {
    const operationId = crypto.randomUUID();
    const cancel = new AbortController();
    const onAbort = (): void => cancel.abort();
    const listening = token.onCancellationRequested(onAbort);
    abort.signal.addEventListener("abort", onAbort, { once: true });
    if (token.isCancellationRequested || abort.signal.aborted) cancel.abort();
    try {
      return await methods.call(method, params, { operationId, signal: cancel.signal });
    } catch (thrown) {
      const { code, message, data } = replyError(thrown, operationId);
      throw new ResponseError(code, message, data);
    } finally {
      listening.dispose();
      abort.signal.removeEventListener("abort", onAbort);
    }
  });
  connection.onNotification((method: string, params: unknown) => methods.notified(method, params));
  connection.listen();

  const interrupted = (): void => {
    reader.stop();
    end("abort", EXIT_INTERRUPTED);
  };
  if (host.signal.aborted) interrupted();
  host.signal.addEventListener("abort", interrupted, { once: true });
  reader.ended.then((input) => {
    if (input.kind === "broken") {
      const message = `the session ends, since no frame can be told from the next: ${input.reason}`;
      writer.put({ jsonrpc: "2.0", id: null, error: { code: PARSE_ERROR, message } });
    }
    end("finish", input.kind === "broken" ? 1 : 0);
  });

  const { exitCode } = await ending.promise;
  await exchange.whenInFlight(0);
  await methods.end();
  const flushed = await writer.flushed();
  connection.dispose();
  if (!flushed) host.service.log.error("the client did not read the last replies");
  return flushed ? exitCode : 1;
}
