/** One operation for one request: it waits for its turn if it changes something, and is told about while it runs. */
import type { LogPort } from "../src/domain/log.ts";
import type { ProcessIdentity } from "../src/domain/ids.ts";
import { BpfmanError } from "../src/errors/error.ts";
import { parseRequest } from "../src/service/invoke.ts";
import { OPERATIONS, type OperationName } from "../src/service/operations.ts";
import type { SessionService } from "../src/service/session.ts";
import { wrongField } from "./errors.ts";
import type { ProgressToken, ServerNotifications } from "./protocol.ts";
import { workDoneToken } from "./schemas.ts";

export const isOperation = (method: string): method is OperationName => Object.hasOwn(OPERATIONS, method);

export interface OperationsOptions {
  readonly service: SessionService;
  notify<Name extends "$/progress">(name: Name, params: ServerNotifications[Name]): void;
  /** The client reads too slowly: notifications are dropped. */
  isBehind(): boolean;
}

/** What an operation is run for. */
export interface Call {
  readonly operationId: string;
  readonly signal: AbortSignal;
}

/** What the session adds to a call. */
export interface SessionContext {
  /** With whose end everything goes that is made; null for what stays. */
  readonly owner: ProcessIdentity | null;
  /** In place of the operator's log. */
  readonly log: LogPort;
}

/** The operations of a session: changes one at a time, in the order in which they came; reads beside them. */
export class OperationRunner {
  readonly #options: OperationsOptions;
  readonly #changes = new ChangeQueue();

  constructor(options: OperationsOptions) {
    this.#options = options;
  }

  /** Throws BpfmanError. */
  async run(name: OperationName, params: unknown, call: Call & SessionContext): Promise<unknown> {
    const { token, request } = await splitToken(params);
    const progress = (value: ServerNotifications["$/progress"]["value"]): void => {
      if (token !== null && !this.#options.isBehind()) this.#options.notify("$/progress", { token, value });
    };
    const run = (): Promise<unknown> =>
      this.#options.service.invoke(name, request, {
        ...call,
        progress: (message) => progress({ kind: "report", message }),
      });
    progress({ kind: "begin", title: name });
    try {
      return OPERATIONS[name].access === "write" ? await this.#changes.run(run, call.signal) : await run();
    } finally {
      progress({ kind: "end" });
    }
  }
}

/** Runs what changes something one at a time, in the order in which it came. */
export class ChangeQueue {
  #last: Promise<unknown> = Promise.resolve();

  /** Throws CANCELLED at once when the signal fires before its turn; what then runs must look at the signal itself. */
  run<T>(task: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const cancel = (): void => reject(new BpfmanError("CANCELLED", "cancelled before its turn: nothing was changed"));
    if (signal.aborted) cancel();
    else signal.addEventListener("abort", cancel, { once: true });
    this.#last = this.#last.then(async () => {
      signal.removeEventListener("abort", cancel);
      if (signal.aborted) return;
      try {
        resolve(await task());
      } catch (thrown) {
        reject(thrown);
      }
    });
    return promise;
  }
}

/** The token belongs to the session, all the rest to the operation. */
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
