/**
 * The methods of a session and when they may be called: initialize, then operations and the session's own methods, then
 * shutdown.
 */
import type { InferOutput } from "valibot";
import { CHANGE_KINDS } from "../src/domain/change.ts";
import { PARENT_POLL_MS } from "../src/domain/limits.ts";
import type { LogPort, Severity } from "../src/domain/log.ts";
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
import {
  initializeParams,
  noParams,
  SESSION_SCHEMAS,
  setTraceParams,
  streamParam,
  subscribeParams,
} from "./schemas.ts";

export interface MethodsOptions {
  readonly service: SessionService;
  notify<Name extends ServerNotification>(name: Name, params: ServerNotifications[Name]): void;
  /** True while the client reads too slowly and notifications are dropped. */
  isBehind(): boolean;
  caughtUp(): Promise<void>;
  /** Called when a process the session is bound to has exited. */
  parentDied(): void;
}

const METHOD_NAMES: readonly string[] = [...Object.keys(SESSION_SCHEMAS), ...Object.keys(OPERATIONS)];

const notInitialized = (): RefusedRequest =>
  new RefusedRequest(NOT_INITIALIZED, "the session is not initialized: the first request must be initialize");

export class Methods {
  readonly #options: MethodsOptions;
  readonly #operations: OperationRunner;
  readonly #events: Events;
  /** The phase according to the requests received; some of them may still be running. */
  #phase: "new" | "open" | "shut" = "new";
  /** Whether `initialize` succeeded. Requests sent right after it wait for this. */
  #initialized: Promise<boolean> = Promise.resolve(false);
  #trace: InferOutput<typeof setTraceParams>["value"] = "off";
  readonly #parents: ProcessIdentity[] = [];
  #parentPoll: NodeJS.Timeout | null = null;
  /** This process, if what it creates is to be removed with the session. */
  #owner: ProcessIdentity | null = null;

  constructor(options: MethodsOptions) {
    this.#options = options;
    this.#operations = new OperationRunner(options);
    this.#events = new Events(options);
  }

  /** Whether the client has called shutdown and will send no more requests. */
  get isShut(): boolean {
    return this.#phase === "shut";
  }

  /** Checks each request in order of arrival. Throws RefusedRequest if it is not allowed in this phase. */
  admit(method: string): void {
    if (this.#phase === "shut") throw new RefusedRequest(INVALID_REQUEST, "the session was shut down");
    if (method === "initialize") {
      if (this.#phase === "open") throw new RefusedRequest(INVALID_REQUEST, "the session is initialized already");
      this.#phase = "open";
    } else if (this.#phase === "new") throw notInitialized();
    else if (method === "shutdown") {
      this.#phase = "shut";
      this.clientLeft();
    }
  }

  /** Answers an admitted request. Throws BpfmanError, RefusedRequest. */
  async call(method: string, params: unknown, call: Call): Promise<unknown> {
    if (!METHOD_NAMES.includes(method)) throw unknownMethod(method, METHOD_NAMES);
    const beganMs = performance.now();
    try {
      // Encoders with a single type for lists and tables, such as Lua's, send an empty array for empty params.
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

  /**
   * Handles a notification. Unknown and invalid ones are ignored: a notification has no reply that could carry an
   * error.
   */
  async notified(method: string, params: unknown): Promise<void> {
    try {
      if (method === "$/setTrace") this.#trace = (await parseRequest(setTraceParams, params ?? {})).value;
      if (method === "stream/allow") this.#operations.streams.allow(await parseRequest(streamParam, params ?? {}));
    } catch (thrown) {
      this.#options.service.log.warn(`the notification ${method} was ignored`, { reason: reasonOf(thrown) });
    }
  }

  /**
   * Ends the session when the process exits, besides other reasons to end. Returns false if no process has that PID.
   */
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

  /** The client sends nothing any more. Requests that end by themselves are still answered. */
  clientLeft(): void {
    this.#operations.clientLeft();
  }

  /** Ends the session and removes what belongs to it. Null waits for other processes as long as any change does. */
  async end(lockTimeoutMs: number | null): Promise<void> {
    if (this.#parentPoll !== null) clearInterval(this.#parentPoll);
    await this.#events.unsubscribe();
    if (this.#owner === null) return;
    try {
      await this.#options.service.release(this.#owner, lockTimeoutMs);
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

  /** The operator's log, copied to the client. */
  #traced(): LogPort {
    const { log } = this.#options.service;
    const both =
      (level: Severity): LogPort["debug"] =>
      (message, facts = {}) => {
        log[level](message, facts);
        this.#tell(printable(`${level}: ${message}`), printableJson(JSON.stringify(facts)));
      };
    return { level: "trace", error: both("error"), warn: both("warn"), info: both("info"), debug: both("debug") };
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
      // The client may call initialize again.
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

  /** Null without the privilege to read it. */
  async #latestChange(): Promise<number | null> {
    try {
      return (await this.#options.service.changes(Number.MAX_SAFE_INTEGER)).latest;
    } catch (thrown) {
      if (thrown instanceof BpfmanError && thrown.kind === "permission") return null;
      throw thrown;
    }
  }
}
