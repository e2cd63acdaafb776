/**
 * What a session can be asked for, and when: initialize, then the operations and the session's own methods, then shutdown.
 */
import type { InferOutput } from "valibot";
import { CHANGE_KINDS } from "../src/domain/change.ts";
import { PARENT_POLL_MS } from "../src/domain/limits.ts";
import type { LogPort } from "../src/domain/log.ts";
import { printable, printableJson } from "../src/domain/printable.ts";
import type { ProcessIdentity } from "../src/domain/ids.ts";
import { BpfmanError } from "../src/errors/error.ts";
import { reasonOf } from "../src/errors/sys-failure.ts";
import { parseRequest } from "../src/service/invoke.ts";
import { OPERATIONS, type OperationName } from "../src/service/operations.ts";
import type { SessionService } from "../src/service/session.ts";
import { RefusedRequest, unknownMethod, wrongField } from "./errors.ts";
import { Events } from "./events.ts";
import { unsafePart } from "./json.ts";
import {
  INVALID_REQUEST,
  type InitializeResult,
  NOT_INITIALIZED,
  PROTOCOL_VERSION,
  type ServerNotification,
  type ServerNotifications,
} from "./protocol.ts";
import { type Call, isOperation, OperationRunner } from "./run-operation.ts";
import { initializeParams, noParams, SESSION_SCHEMAS, setTraceParams, subscribeParams } from "./schemas.ts";

export interface MethodsOptions {
  readonly service: SessionService;
  notify<Name extends ServerNotification>(name: Name, params: ServerNotifications[Name]): void;
  /** The client reads too slowly: notifications are dropped. */
  isBehind(): boolean;
  caughtUp(): Promise<void>;
  /** A process that the session belongs to has gone. */
  parentDied(): void;
}

const METHOD_NAMES: readonly string[] = [...Object.keys(SESSION_SCHEMAS), ...Object.keys(OPERATIONS)];

const notInitialized = (): RefusedRequest =>
  new RefusedRequest(NOT_INITIALIZED, "the session is not initialized: the first request must be initialize");

export class Methods {
  readonly #options: MethodsOptions;
  readonly #operations: OperationRunner;
  readonly #events: Events;
  /** As far as requests have come in; what they ask for may still be under way. */
  #phase: "new" | "open" | "shut" = "new";
  /** Whether `initialize` succeeded: what came right behind it waits for that. */
  #initialized: Promise<boolean> = Promise.resolve(false);
  #trace: InferOutput<typeof setTraceParams>["value"] = "off";
  readonly #parents: ProcessIdentity[] = [];
  #parentPoll: NodeJS.Timeout | null = null;
  /** This process, when what it makes is to go with the session. */
  #owner: ProcessIdentity | null = null;

  constructor(options: MethodsOptions) {
    this.#options = options;
    this.#operations = new OperationRunner(options);
    this.#events = new Events(options);
  }

  /** Whether the client said that it will send no more requests. */
  get isShut(): boolean {
    return this.#phase === "shut";
  }

  /** Looks at each request in the order in which they came. Throws RefusedRequest for one that has no place now. */
  admit(method: string): void {
    if (this.#phase === "shut") throw new RefusedRequest(INVALID_REQUEST, "the session was shut down");
    if (method === "initialize") {
      if (this.#phase === "open") throw new RefusedRequest(INVALID_REQUEST, "the session is initialized already");
      this.#phase = "open";
    } else if (this.#phase === "new") throw notInitialized();
    else if (method === "shutdown") this.#phase = "shut";
  }

  /** Answers a request that was admitted. Throws BpfmanError, RefusedRequest. */
  async call(method: string, params: unknown, call: Call): Promise<unknown> {
    if (!METHOD_NAMES.includes(method)) throw unknownMethod(method, METHOD_NAMES);
    const beganMs = performance.now();
    try {
      // An empty list is what an encoder that has one type for lists and tables makes of no params.
      if (Array.isArray(params) && params.length > 0) {
        throw wrongField("params", "params are taken by name only, in an object");
      }
      const unsafe = unsafePart(params);
      if (unsafe !== null) throw wrongField(unsafe.field, unsafe.problem);
      if (method === "initialize") return await this.#initialize(params ?? {});
      if (!(await this.#initialized)) throw notInitialized();
      return isOperation(method) ? await this.#operation(method, params, call) : await this.#own(method, params);
    } finally {
      if (this.#trace !== "off") this.#tell(`${method} took ${(performance.now() - beganMs).toFixed(2)} ms`);
    }
  }

  /** Takes a notification. Unknown ones mean nothing, as the specification says, and no answer can refuse a wrong one. */
  async notified(method: string, params: unknown): Promise<void> {
    if (method !== "$/setTrace") return;
    try {
      const { value } = await parseRequest(setTraceParams, params ?? {});
      this.#trace = value;
    } catch (thrown) {
      this.#options.service.log.warn(`the notification ${method} was ignored`, { reason: reasonOf(thrown) });
    }
  }

  /** The session ends when the process does, whatever else it ends with. False when there is no process of that pid. */
  async endWith(pid: number): Promise<boolean> {
    const processes = await this.#options.service.processes();
    const parent = processes.identity(pid);
    if (parent === null) return false;
    this.#parents.push(parent);
    this.#parentPoll ??= setInterval(() => {
      if (this.#parents.some((each) => processes.hasEnded(each))) this.#options.parentDied();
    }, PARENT_POLL_MS);
    return true;
  }

  /** The session is over: what belongs to it goes. */
  async end(): Promise<void> {
    if (this.#parentPoll !== null) clearInterval(this.#parentPoll);
    await this.#events.unsubscribe();
    if (this.#owner === null) return;
    try {
      await this.#options.service.release(this.#owner);
    } catch (thrown) {
      this.#options.service.log.error("not all of the session could be removed; the next command tries again", {
        reason: reasonOf(thrown),
      });
    }
  }

  #tell(message: string, verbose?: string): void {
    if (this.#options.isBehind()) return;
    this.#options.notify("$/logTrace", verbose === undefined ? { message } : { message, verbose });
  }

  async #operation(method: OperationName, params: unknown, call: Call): Promise<unknown> {
    const log = this.#trace === "verbose" ? this.#traced() : this.#options.service.log;
    try {
      return await this.#operations.run(method, params, { ...call, owner: this.#owner, log });
    } finally {
      if (OPERATIONS[method].access === "write") this.#events.look();
    }
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
      const wanted = await parseRequest(subscribeParams, params);
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
    this.#initialized = initializing.then(
      () => true,
      () => false,
    );
    try {
      return await initializing;
    } catch (thrown) {
      // It may be tried again.
      if (this.#phase === "open") this.#phase = "new";
      throw thrown;
    }
  }

  async #open(raw: unknown): Promise<InitializeResult> {
    const { service } = this.#options;
    const params = await parseRequest(initializeParams, raw);
    const { processId } = params;
    const versions = await service.invoke("version", { features: true });
    const sequence = await this.#latestChange();
    if (processId !== null && !(await this.endWith(processId))) {
      const problem = `no process has pid ${processId} here; leave it out if you run in another PID namespace`;
      throw wrongField("processId", problem);
    }
    if (params.session.cleanup) this.#owner = (await service.processes()).identity(process.pid);
    this.#trace = params.trace;
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
