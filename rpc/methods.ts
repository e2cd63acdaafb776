/** The methods of a session: those of the operations table, and the session's own. */
import type { InferOutput } from "valibot";
import { CHANGE_KINDS } from "../src/domain/change.ts";
import { PARENT_POLL_MS } from "../src/domain/limits.ts";
import type { LogPort } from "../src/domain/log.ts";
import { printable, printableJson } from "../src/domain/printable.ts";
import type { ProcessIdentity } from "../src/domain/session.ts";
import { BpfmanError } from "../src/errors/error.ts";
import { parseRequest } from "../src/service/invoke.ts";
import { OPERATIONS, type OperationName } from "../src/service/operations.ts";
import type { SessionService } from "../src/service/session.ts";
import { RefusedRequest, unknownMethod, wrongField } from "./errors.ts";
import { Events } from "./events.ts";
import { unsafePart } from "./json.ts";
import type { Life } from "./life.ts";
import {
  type InitializeResult,
  NOT_INITIALIZED,
  type ProgressToken,
  PROTOCOL_VERSION,
  type ServerNotification,
  type ServerNotifications,
} from "./protocol.ts";
import { ChangeQueue } from "./queue.ts";
import {
  initializeParams,
  noParams,
  SESSION_SCHEMAS,
  setTraceParams,
  subscribeParams,
  workDoneToken,
} from "./schemas.ts";

export interface MethodsOptions {
  readonly service: SessionService;
  readonly life: Life;
  notify<Name extends ServerNotification>(name: Name, params: ServerNotifications[Name]): void;
  /** The client reads too slowly: notifications are dropped. */
  isBehind(): boolean;
  caughtUp(): Promise<void>;
  /** The process that the session belongs to has gone. */
  parentDied(): void;
}

interface Call {
  readonly operationId: string;
  readonly signal: AbortSignal;
}

const isOperation = (method: string): method is OperationName => Object.hasOwn(OPERATIONS, method);
const METHOD_NAMES: readonly string[] = [...Object.keys(SESSION_SCHEMAS), ...Object.keys(OPERATIONS)];

export class Methods {
  readonly #options: MethodsOptions;
  readonly #queue = new ChangeQueue();
  readonly #events: Events;
  /** Settles when `initialize` has been answered: what came right behind it waits for that. */
  #initialized: Promise<unknown> = Promise.resolve();
  #isOpen = false;
  #trace: "off" | "messages" | "verbose" = "off";
  #parentPoll: NodeJS.Timeout | null = null;
  /** This process, when what it makes is to go with the session. */
  #owner: ProcessIdentity | null = null;

  constructor(options: MethodsOptions) {
    this.#options = options;
    this.#events = new Events(options);
  }

  /** Throws BpfmanError, RefusedRequest. */
  async call(method: string, params: unknown, call: Call): Promise<unknown> {
    if (!METHOD_NAMES.includes(method)) throw unknownMethod(method, METHOD_NAMES);
    const beganMs = performance.now();
    try {
      if (Array.isArray(params)) throw wrongField("params", "params are taken by name only, in an object");
      const unsafe = unsafePart(params);
      if (unsafe !== null) throw wrongField(unsafe.field, unsafe.problem);
      if (method === "initialize") return await this.#initialize(params);
      await this.#initialized;
      if (!this.#isOpen)
        throw new RefusedRequest(
          NOT_INITIALIZED,
          "the session is not initialized: the first request must be initialize",
        );
      return isOperation(method) ? await this.#operation(method, params, call) : await this.#own(method, params);
    } finally {
      if (this.#trace !== "off") this.#tell(`${method} took ${(performance.now() - beganMs).toFixed(2)} ms`);
    }
  }

  /** Takes a notification; unknown ones mean nothing, as the specification says. */
  async notified(method: string, params: unknown): Promise<void> {
    if (method !== "$/setTrace") return;
    const { value } = (await parseRequest(setTraceParams, params)) as InferOutput<typeof setTraceParams>;
    this.#trace = value;
  }

  /** The session is over: what belongs to it goes. */
  async end(): Promise<void> {
    if (this.#parentPoll !== null) clearInterval(this.#parentPoll);
    await this.#events.unsubscribe();
    if (this.#owner === null) return;
    try {
      await this.#options.service.release(this.#owner);
    } catch (thrown) {
      const reason = thrown instanceof Error ? thrown.message : String(thrown);
      this.#options.service.log.error("not all of the session could be removed; the next command tries again", {
        reason,
      });
    }
  }

  #tell(message: string, verbose?: string): void {
    if (this.#options.isBehind()) return;
    this.#options.notify("$/logTrace", verbose === undefined ? { message } : { message, verbose });
  }

  async #operation(method: OperationName, params: unknown, { operationId, signal }: Call): Promise<unknown> {
    const { token, request } = await splitToken(params);
    const { invoke } = this.#options.service;
    const run = (): Promise<unknown> =>
      invoke(method, request, {
        operationId,
        signal,
        owner: this.#owner,
        progress: (message) => this.#progress(token, { kind: "report", message }),
        ...(this.#trace === "verbose" ? { log: this.#traced() } : {}),
      });
    this.#progress(token, { kind: "begin", title: method });
    try {
      return OPERATIONS[method].access === "write" ? await this.#queue.run(run, signal) : await run();
    } finally {
      if (OPERATIONS[method].access === "write") this.#events.look();
      this.#progress(token, { kind: "end" });
    }
  }

  #progress(token: ProgressToken | null, value: ServerNotifications["$/progress"]["value"]): void {
    if (token === null || this.#options.isBehind()) return;
    this.#options.notify("$/progress", { token, value });
  }

  /** The operator's log, of which the client gets a copy. */
  #traced(): LogPort {
    const { log } = this.#options.service;
    const both =
      (level: keyof LogPort): LogPort["debug"] =>
      (message, facts = {}) => {
        log[level](message, facts);
        this.#tell(printable(`${level}: ${message}`), printableJson(JSON.stringify(facts)));
      };
    return { error: both("error"), warn: both("warn"), info: both("info"), debug: both("debug") };
  }

  async #own(method: string, params: unknown): Promise<unknown> {
    if (method === "events/subscribe") {
      const wanted = (await parseRequest(subscribeParams, params)) as InferOutput<typeof subscribeParams>;
      return this.#events.subscribe({ kinds: wanted.kinds ?? CHANGE_KINDS, since: wanted.since ?? null });
    }
    await parseRequest(noParams, params);
    if (method === "events/unsubscribe") await this.#events.unsubscribe();
    if (method !== "rpc.discover") return null;
    const { openRpcDocument } = await import("./openrpc.ts");
    const { version } = await this.#options.service.invoke("version", { features: false });
    return openRpcDocument(version);
  }

  async #initialize(params: unknown): Promise<InitializeResult> {
    const initializing = this.#open(params);
    this.#initialized = initializing.catch(() => {});
    try {
      return await initializing;
    } catch (thrown) {
      this.#options.life.initializeFailed();
      throw thrown;
    }
  }

  async #open(raw: unknown): Promise<InitializeResult> {
    const { service } = this.#options;
    const params = (await parseRequest(initializeParams, raw)) as InferOutput<typeof initializeParams>;
    const processes = await service.processes();
    const parent = params.processId === null ? null : processes.identity(params.processId);
    if (params.processId !== null && parent === null) {
      const problem = `no process has pid ${params.processId} here; leave it out if you run in another PID namespace`;
      throw wrongField("processId", problem);
    }
    const versions = await service.invoke("version", { features: true });
    const sequence = await this.#latestChange();
    if (params.session.cleanup) this.#owner = processes.identity(process.pid);
    if (parent !== null) {
      this.#parentPoll = setInterval(() => {
        if (processes.hasEnded(parent)) this.#options.parentDied();
      }, PARENT_POLL_MS);
    }
    this.#trace = params.trace;
    this.#isOpen = true;
    return {
      serverInfo: { name: "bpfman", version: versions.version, commit: versions.commit },
      protocolVersion: PROTOCOL_VERSION,
      capabilities: { methods: METHOD_NAMES, events: CHANGE_KINDS, workDoneProgress: true, sessionCleanup: true },
      kernel: {
        release: versions.kernel,
        btf: versions.features?.btf.available ?? null,
        features: versions.features,
      },
      sequence,
    };
  }

  /** Null for those who may not know. */
  async #latestChange(): Promise<number | null> {
    try {
      return (await this.#options.service.changes(Number.MAX_SAFE_INTEGER)).latest;
    } catch (thrown) {
      if (thrown instanceof BpfmanError && thrown.kind === "permission") return null;
      throw thrown;
    }
  }
}

interface Split {
  readonly token: ProgressToken | null;
  readonly request: unknown;
}

/** The token belongs to the session, all the rest to the operation. */
async function splitToken(params: unknown): Promise<Split> {
  if (typeof params !== "object" || params === null) return { token: null, request: {} };
  if (!Object.hasOwn(params, "workDoneToken")) return { token: null, request: params };
  const { workDoneToken: given, ...request } = params as Readonly<Record<string, unknown>>;
  try {
    return { token: (await parseRequest(workDoneToken, given)) as ProgressToken, request };
  } catch {
    throw wrongField("workDoneToken", "a string or a whole number is needed");
  }
}
