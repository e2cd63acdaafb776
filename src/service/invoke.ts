import type { GenericSchema, InferOutput } from "valibot";
import { printable } from "../domain/printable.ts";
import type { Caller, Facts } from "../domain/history.ts";
import { SERIES_PAUSE_MS, SERIES_TURN_MS } from "../domain/limits.ts";
import { BpfmanError } from "../errors/error.ts";
import { reasonOf } from "../errors/sys-failure.ts";
import type { Host } from "../platform/host.ts";
import type { Adapter, Runtime } from "../platform/runtime.ts";
import { requireCapabilities } from "./capabilities.ts";
import { codeOf, startEntry, withFacts } from "./history.ts";
import type { Context, Operation } from "./operation.ts";
import { type Access, type Answers, OPERATIONS, type OperationName } from "./operations.ts";

export type { Context };

/** Runs one operation on an untrusted request. The only way from an edge to the service. */
export type Invoke = <Name extends OperationName>(
  name: Name,
  request: unknown,
  context?: Partial<Context> & { readonly series?: Series },
) => Promise<Answers[Name]>;

/**
 * Changes that one caller makes one after the other: they share the lock, the search for what dead commands left, and the wait for
 * the disk. To be ended. After one that failed, and after a while, the next one begins anew.
 */
export class Series {
  held: Held | null = null;
  /** What was found to be gone for one of them may be what the next one is to remove. */
  readonly recovered: Context["recovered"] = { programs: new Set(), links: new Set() };

  async end(): Promise<void> {
    const { held } = this;
    this.held = null;
    await held?.end({ leaves: false });
  }
}

/** The writer lock, and what was opened under it. */
interface Held {
  readonly host: Host;
  readonly sinceMs: number;
  /** Whether the history has an entry that may not be on disk yet. */
  hasEntries: boolean;
  /** What is to be waited for at the end. */
  readonly waits: (() => Promise<void>)[];
  end(how: { readonly leaves: boolean }): Promise<void>;
}

/** The exports of a module in service/operations, without their types: the schema checks the values. */
interface Module {
  readonly implementation: Operation<GenericSchema, unknown, unknown, unknown>;
}

/** Validates a request of an edge itself. Throws INVALID_REQUEST with the path of the first invalid field. */
export async function parseRequest<Schema extends GenericSchema>(
  schema: Schema,
  request: unknown,
): Promise<InferOutput<Schema>> {
  return (await import("./parse-request.ts")).parseRequest(schema, request);
}

/** A running call of an operation. */
interface Call {
  readonly name: OperationName;
  readonly runtime: Runtime;
  readonly context: Context;
  /** What the operation recorded for the history. */
  facts: Facts;
  /** The digest of the image that was pulled. */
  digest: string | null;
  /** Set when nothing is left in the runtime directory. */
  leaves: boolean;
  readonly series: Series | null;
  readonly waits: (() => Promise<void>)[];
}

/** What an operation does with the state, on this request. */
interface How {
  readonly access: Access;
  readonly examines: boolean;
  readonly uses: readonly Adapter[] | undefined;
}

/** The last warning of a reader: a session reads often but warns once. */
interface Warned {
  last: string | null;
}

/**
 * Refuses a request as the operation does, and pulls its image. Returns the image's digest, for `Context.digest`; null if the
 * request names none.
 */
export type PullAhead = (
  name: OperationName,
  request: unknown,
  context?: Parameters<Invoke>[2],
) => Promise<string | null>;

export function createPullAhead(runtime: Runtime): PullAhead {
  return async (name, raw, given = {}) => {
    const call = newCall(name, runtime, given);
    try {
      const { implementation, request } = await accept(call, raw, given);
      await implementation.prepare?.(runtime, request, call.context);
      return call.digest;
    } catch (cause) {
      throw known(cause, call);
    }
  };
}

/**
 * Connects the operations to a runtime: validates requests, checks privileges, locks writers, measures times, and wraps
 * unknown errors.
 */
export function createInvoke(runtime: Runtime): Invoke {
  const warned: Warned = { last: null };
  return async <Name extends OperationName>(name: Name, raw: unknown, given: Parameters<Invoke>[2] = {}) => {
    const call = newCall(name, runtime, given);
    const { context } = call;
    const startedAt = performance.now();
    try {
      const { implementation, request } = await accept(call, raw, given);
      const reads = implementation.onlyReads?.(request) === true;
      const how: How = {
        access: reads ? "read" : OPERATIONS[name].access,
        examines: implementation.examines === true,
        uses: implementation.uses?.(request),
      };
      const runWith = async (input: unknown): Promise<unknown> => {
        const run = (needs: unknown): unknown => implementation.run(needs, input, context);
        const check = implementation.check && ((host: Host) => implementation.check?.(host, input, context));
        const early =
          how.access === "write" && (await runtime.isUntouched()) ? await onNothing(call, how, run, check) : null;
        return early === null ? withNeeds(call, how, warned, run) : early.answer;
      };
      let input = implementation.prepare ? await implementation.prepare(runtime, request, context) : request;
      let answer = await runWith(input);
      while (implementation.proceed) {
        input = await implementation.proceed(runtime, input, answer, context);
        if (input === null) break;
        answer = await runWith(input);
      }
      context.log.debug(`${name} done`, { ms: Number((performance.now() - startedAt).toFixed(2)) });
      return answer as Answers[Name];
    } catch (cause) {
      throw known(cause, call);
    }
  };
}

/** Throws INVALID_REQUEST, PERMISSION_DENIED. */
async function accept(call: Call, raw: unknown, { nameOf, calledAs }: NonNullable<Parameters<Invoke>[2]>) {
  const row = OPERATIONS[call.name];
  // `import("valibot")` would load all of it.
  const [{ parseRequest }, module] = await Promise.all([import("./parse-request.ts"), row.module()]);
  const { implementation } = module as unknown as Module;
  const request = parseRequest(implementation.requestFor?.(raw) ?? implementation.request, raw, nameOf);
  call.facts = subjectOf(request);
  if (row.privilege !== "none") call.context.requireCapabilities([row.privilege], `"${calledAs ?? call.name}"`);
  return { implementation, request };
}

function known(cause: unknown, { context }: Call): BpfmanError {
  if (cause instanceof BpfmanError) return cause;
  return new BpfmanError("INTERNAL", `${reasonOf(cause)} (operation ${context.operationId})`, { cause });
}

/** The IDs that a request names. */
function subjectOf(request: unknown): Facts {
  const { programId, linkId } = request as { readonly programId?: unknown; readonly linkId?: unknown };
  return {
    programs: typeof programId === "number" ? [programId] : [],
    links: typeof linkId === "number" ? [linkId] : [],
  };
}

function newCall(name: OperationName, runtime: Runtime, given: NonNullable<Parameters<Invoke>[2]>): Call {
  const waits: (() => Promise<void>)[] = [];
  let operationId: string | null = null;
  let caller: Caller | null = null;
  const context: Context = {
    // Only needed on errors, and the random number generator takes time to initialise.
    get operationId() {
      operationId ??= given.operationId ?? crypto.randomUUID();
      return operationId;
    },
    signal: given.signal ?? new AbortController().signal,
    lockTimeoutMs: given.lockTimeoutMs ?? runtime.lockTimeoutMs,
    owner: given.owner ?? null,
    ...(given.nameOf === undefined ? {} : { nameOf: given.nameOf }),
    log: given.log ?? runtime.log,
    requireCapabilities: (needed, what) => requireCapabilities(runtime, needed, what),
    sink: given.sink ?? null,
    digest: given.digest ?? null,
    pulled: (digest) => {
      call.digest = digest;
    },
    progress: (message) => given.progress?.(printable(message)),
    relay: (line) => (given.relay ?? given.progress)?.(printable(line)),
    get caller() {
      caller ??= given.caller ?? runtime.caller();
      return caller;
    },
    note: (more) => {
      call.facts = withFacts(call.facts, more);
    },
    recovered: given.series?.recovered ?? { programs: new Set(), links: new Set() },
    leave: () => {
      call.leaves = true;
    },
    waitAfterwards: (wait) => void waits.push(wait),
  };
  const { series = null } = given;
  const call: Call = { name, runtime, context, facts: {}, digest: null, leaves: false, series, waits };
  return call;
}

/** Calls `run` with the ports the operation's row declares. A write holds the lock meanwhile. */
async function withNeeds(
  call: Call,
  { access, examines, uses }: How,
  warned: Warned,
  run: (needs: unknown) => unknown,
): Promise<unknown> {
  const { runtime } = call;
  switch (access) {
    case "none":
      return run(await runtime.openVersions());
    case "build":
      return run(await runtime.openBuild());
    case "images":
      return run(await runtime.openImages());
    case "read":
      return withHost(call, uses, async (host) => {
        if (!examines && uses?.includes("pins") !== false) await warnOfStrays(call, warned, host);
        return run(host);
      });
    case "trial":
      return withHost(call, uses, run);
    case "write": {
      const before = call.series?.held ?? null;
      const held = before ?? (await hold(call));
      if (call.series !== null) call.series.held = null;
      let goesOn = false;
      try {
        const answer = await change(call, held, { recovers: before === null && !examines }, run);
        goesOn = call.series !== null && !call.leaves;
        return answer;
      } finally {
        held.waits.push(...call.waits);
        if (!goesOn) await held.end(call);
        else if (performance.now() - held.sinceMs < SERIES_TURN_MS) (call.series as Series).held = held;
        else {
          await held.end(call);
          await held.host.sleep(SERIES_PAUSE_MS);
        }
      }
    }
  }
}

/** Takes the writer lock and opens the host. Throws LOCK_TIMEOUT. */
async function hold(call: Call): Promise<Held> {
  const { runtime, context } = call;
  const lock = await (await runtime.openLock()).acquire(context.lockTimeoutMs, context.signal);
  const release = (remove: boolean): void =>
    afterwards(call, "lock not released cleanly", () => lock.release({ remove }));
  try {
    const host = await runtime.openHost("write", context.owner);
    const held: Held = {
      ...{ host, sinceMs: performance.now(), hasEntries: false, waits: [] },
      async end({ leaves }) {
        if (held.hasEntries)
          afterwards(call, "not known to be on disk: a power failure could undo it", () => host.store.flush());
        afterwards(call, "database not closed", () => host.close());
        release(leaves);
        for (const wait of held.waits) await wait();
      },
    };
    return held;
  } catch (thrown) {
    release(false);
    throw thrown;
  }
}

/**
 * Runs a change where no state exists yet, so that a change with nothing to do creates no directory, mount or database.
 * Returns null if they have to be created.
 */
async function onNothing(
  call: Call,
  { examines }: How,
  run: (host: Host) => unknown,
  check: ((host: Host) => unknown) | undefined,
): Promise<{ readonly answer: unknown } | null> {
  let early: { readonly answer: unknown } | null = null;
  try {
    await withHost(call, undefined, async (host) => {
      if (host.store.brief().length > 0) return;
      if (check === undefined || check(host) === true) early = { answer: await run(host) };
    });
  } catch (cause) {
    // Unless another process has begun meanwhile: then what was found missing may be there.
    if (!examines && (await call.runtime.isUntouched())) throw cause;
  }
  return early;
}

async function withHost(
  call: Call,
  uses: readonly Adapter[] | undefined,
  use: (host: Host) => unknown,
): Promise<unknown> {
  const host = await call.runtime.openHost("read", call.context.owner, uses);
  try {
    return await use(host);
  } finally {
    afterwards(call, "database not closed", () => host.close());
  }
}

/** Runs work after the operation. Its failure must not hide the operation's result. */
function afterwards({ context }: Call, warning: string, work: () => void): void {
  try {
    work();
  } catch (cause) {
    context.log.warn(warning, { reason: reasonOf(cause) });
  }
}

/** A reader changes nothing, so it can only warn about pins without rows. */
async function warnOfStrays({ name, context }: Call, warned: Warned, host: Host): Promise<void> {
  if (OPERATIONS[name].privilege === "none") return;
  const { strayWarning } = await import("./recovery/strays.ts");
  const warning = strayWarning(host, host.pins.list, () => host.store.brief());
  if (warning !== null && warning !== warned.last) context.log.warn(warning);
  warned.last = warning;
}

/** Runs a change: cleans up after killed commands, runs the operation, then appends it to the history. */
async function change(
  call: Call,
  held: Held,
  { recovers }: { readonly recovers: boolean },
  run: (host: Host) => unknown,
): Promise<unknown> {
  const { name, context } = call;
  const { host } = held;
  if ("removes" in OPERATIONS[name]) host.store.makeRoom();
  if (recovers) {
    const { recover } = await import("./recovery/recover.ts");
    await recover(host, context);
  }
  const finish = startEntry(host, context);
  let result = "ok";
  try {
    return await run(host);
  } catch (cause) {
    result = codeOf(cause);
    context.note({ message: reasonOf(cause) });
    throw cause;
  } finally {
    held.hasEntries = true;
    finish(name, result, call.facts);
  }
}
