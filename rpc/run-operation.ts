/** Runs one operation for a request: queues it if it occupies the process, and reports its progress. */
import type { LogPort } from "../src/domain/log.ts";
import type { ProcessIdentity } from "../src/domain/ids.ts";
import { reasonOf } from "../src/errors/sys-failure.ts";
import { type Context, type Invoke, parseRequest } from "../src/service/invoke.ts";
import { OPERATIONS, type OperationName } from "../src/service/operations.ts";
import type { SessionService } from "../src/service/session.ts";
import { inTurn } from "./change-queue.ts";
import { wrongField } from "./errors.ts";
import type { ProgressToken, ServerNotifications, StreamParam } from "./protocol.ts";
import { streamParam, workDoneToken } from "./schemas.ts";
import { Streams } from "./streams.ts";

export const isOperation = (method: string): method is OperationName => Object.hasOwn(OPERATIONS, method);

export interface OperationsOptions {
  readonly service: SessionService;
  notify<Name extends "$/progress" | "stream/didRead">(name: Name, params: ServerNotifications[Name]): void;
  /** True while the client reads too slowly and notifications are dropped. */
  isBehind(): boolean;
}

/** The request an operation runs for. */
export interface Call {
  readonly operationId: string;
  readonly signal: AbortSignal;
}

/** What the session adds to a call. */
export interface SessionContext {
  /** The process whose exit removes what the operation creates; null if it stays. */
  readonly owner: ProcessIdentity | null;
  /** Replaces the operator's log. */
  readonly log: LogPort;
}

/** What has an ID is there already, so it is not what a change before it is to make. */
function namesById(request: unknown): boolean {
  const { programId, linkId } = request as { readonly programId?: unknown; readonly linkId?: unknown };
  return typeof programId === "number" || typeof linkId === "number";
}

/** The operations of a session. Changes run one at a time in order of arrival; reads run concurrently. */
export class OperationRunner {
  readonly #options: OperationsOptions;
  readonly #invoke: Invoke;
  readonly streams: Streams;
  readonly #clientLeft = new AbortController();

  constructor(options: OperationsOptions) {
    this.#options = options;
    this.#invoke = inTurn(options.service, namesById);
    this.streams = new Streams(options);
  }

  /** Ends what would go on for ever: nobody can cancel it any more. */
  clientLeft(): void {
    this.#clientLeft.abort();
  }

  /** Throws BpfmanError. */
  async run(name: OperationName, params: unknown, call: Call & SessionContext): Promise<unknown> {
    const { token, request: whole } = await splitToken(params);
    const { stream, request } = await splitStream(name, whole);
    const progress = (value: ServerNotifications["$/progress"]["value"]): void => {
      if (token !== null && !this.#options.isBehind()) this.#options.notify("$/progress", { token, value });
    };
    const { forMs = null } = request as { readonly forMs?: unknown };
    const isEndless = "streams" in OPERATIONS[name] && forMs === null;
    const signal = isEndless ? AbortSignal.any([call.signal, this.#clientLeft.signal]) : call.signal;
    const runTo = (sink: Context["sink"]): Promise<unknown> =>
      this.#invoke(name, request, {
        ...call,
        signal,
        sink,
        progress: (message) => progress({ kind: "report", message }),
      });
    progress({ kind: "begin", title: name });
    try {
      return await (stream === null ? runTo(null) : this.streams.during(stream, runTo));
    } finally {
      progress({ kind: "end" });
    }
  }
}

/** Separates where results go, which belongs to the session, from the request of an operation that goes on until it is ended. */
async function splitStream(
  name: OperationName,
  request: unknown,
): Promise<{ readonly stream: StreamParam | null; readonly request: unknown }> {
  const { stream, ...others } = request as Readonly<Record<string, unknown>>;
  if (!("streams" in OPERATIONS[name]) || stream === undefined) return { stream: null, request };
  try {
    return { stream: await parseRequest(streamParam, stream), request: others };
  } catch (thrown) {
    throw wrongField("stream", reasonOf(thrown));
  }
}

/** Separates the progress token, which belongs to the session, from the operation's request. */
async function splitToken(params: unknown): Promise<{ token: ProgressToken | null; request: unknown }> {
  if (typeof params !== "object" || params === null) return { token: null, request: {} };
  if (!Object.hasOwn(params, "workDoneToken")) return { token: null, request: params };
  const { workDoneToken: given, ...request } = params as Readonly<Record<string, unknown>>;
  try {
    return { token: await parseRequest(workDoneToken, given), request };
  } catch {
    throw wrongField("workDoneToken", "a string or a whole number is needed");
  }
}
