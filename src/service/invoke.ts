import type { GenericSchema, InferOutput } from "valibot";
import { printable } from "../domain/printable.ts";
import { BpfmanError } from "../errors/error.ts";
import { reasonOf } from "../errors/sys-failure.ts";
import type { Host } from "../platform/host.ts";
import type { Runtime } from "../platform/runtime.ts";
import type { Context, Operation } from "./operation.ts";
import { type Access, type Answers, OPERATIONS, type OperationName } from "./operations.ts";

/** Runs one operation on a request as it came from outside. The only way from an edge to the service. */
export type Invoke = <Name extends OperationName>(
  name: Name,
  request: unknown,
  context?: Partial<Context>,
) => Promise<Answers[Name]>;

/** What a module of service/operations exports, with its types taken off: the schema stands between. */
interface Module {
  readonly implementation: Operation<GenericSchema, unknown, unknown, unknown>;
}

/** Checks a request of an edge's own against its schema. Throws INVALID_REQUEST with the path of the first wrong field. */
export async function parseRequest<Schema extends GenericSchema>(
  schema: Schema,
  request: unknown,
): Promise<InferOutput<Schema>> {
  return (await import("./parse-request.ts")).parseRequest(schema, request);
}

const whyRoot = (access: Access): string =>
  access === "images" ? "it fills the image cache" : "it talks to the kernel's BPF subsystem";

/** Binds the operations to a runtime. Parses, checks privilege, locks writers, times, and wraps unknown throws. */
export function createInvoke(runtime: Runtime): Invoke {
  let lastWarning: string | null = null;
  return async <Name extends OperationName>(name: Name, raw: unknown, given: Partial<Context> = {}) => {
    const facts: Record<string, unknown> = {};
    let leaves = false;
    let operationId: string | null = null;
    const context: Context = {
      // Wanted when something goes wrong only, and random numbers take their time to set up.
      get operationId() {
        operationId ??= given.operationId ?? crypto.randomUUID();
        return operationId;
      },
      signal: given.signal ?? new AbortController().signal,
      lockTimeoutMs: given.lockTimeoutMs ?? runtime.lockTimeoutMs,
      owner: given.owner ?? null,
      log: given.log ?? runtime.log,
      progress: (message) => given.progress?.(printable(message)),
      relay: (line) => (given.relay ?? given.progress)?.(printable(line)),
      note: (more) => {
        Object.assign(facts, more);
        given.note?.(more);
      },
      leave: () => {
        leaves = true;
      },
    };
    const startedAt = performance.now();
    try {
      const row = OPERATIONS[name];
      // Not `import("valibot")`, which would bring all of it.
      const [{ parseRequest }, module] = await Promise.all([import("./parse-request.ts"), row.module()]);
      const { implementation } = module as unknown as Module;
      const request = parseRequest(implementation.request, raw, given.nameOf);
      if (row.privilege === "root" && !runtime.privileged()) {
        throw new BpfmanError("PERMISSION_DENIED", `"${given.calledAs ?? name}" needs root: ${whyRoot(row.access)}`);
      }
      const input = implementation.prepare ? await implementation.prepare(runtime, request, context) : request;
      const run = (needs: unknown): unknown => implementation.run(needs, input, context);
      const check = implementation.check && ((needs: unknown) => implementation.check?.(needs, input));
      const first = row.access === "write" && runtime.isUntouched() ? await onNothing(run, check) : null;
      const answer = first === null ? await access(row.access, run) : first.answer;
      context.log.debug(`${name} done`, { ms: Number((performance.now() - startedAt).toFixed(2)) });
      return answer as Answers[Name];
    } catch (cause) {
      if (cause instanceof BpfmanError) throw cause;
      const message = reasonOf(cause);
      throw new BpfmanError("INTERNAL", `${message} (operation ${context.operationId})`, { cause });
    }

    /** Gives the implementation what its row says it needs. */
    async function access(kind: Access, run: (needs: unknown) => unknown): Promise<unknown> {
      if (kind === "none") return run(await runtime.openVersions());
      if (kind === "build") return run(await runtime.openBuild());
      if (kind === "images") return run(await runtime.openImages());
      if (kind === "read") return withHost("read", (host) => warned(host, run));
      const lock = await (await runtime.openLock()).acquire(context.lockTimeoutMs, context.signal);
      try {
        return await withHost("write", (host) => recorded(host, run));
      } finally {
        afterwards("lock not released cleanly", () => lock.release({ remove: leaves }));
      }
    }

    /**
     * A change where there is nothing yet, so that one that cannot change anything makes nothing: no directory, mount or
     * database. Null when it has to be made all the same.
     */
    async function onNothing(
      run: (host: Host) => unknown,
      check: ((host: Host) => void) | undefined,
    ): Promise<{ readonly answer: unknown } | null> {
      return (await withHost("read", async (host) => {
        if (host.store.brief().length > 0) return null;
        if (check === undefined) return { answer: await run(host) };
        check(host);
        return null;
      })) as { readonly answer: unknown } | null;
    }

    async function withHost(mode: "read" | "write", run: (host: Host) => unknown): Promise<unknown> {
      const host = await runtime.openHost(mode, context.owner);
      try {
        return await run(host);
      } finally {
        afterwards("database not closed", () => host.close());
      }
    }

    /** What comes after the operation: that is done or has failed by now, which no failure here may hide. */
    function afterwards(warning: string, work: () => void): void {
      try {
        work();
      } catch (cause) {
        context.log.warn(warning, { reason: reasonOf(cause) });
      }
    }

    /** A reader changes nothing, so it can only tell that there is more than its rows say. */
    async function warned(host: Host, run: (host: Host) => unknown): Promise<unknown> {
      if (OPERATIONS[name].privilege !== "root") return run(host);
      const { strayPins, strayWarning } = await import("./strays.ts");
      const warning = strayWarning(strayPins(host, () => host.store.brief()));
      // A session reads often, and says it once.
      if (warning !== null && warning !== lastWarning) context.log.warn(warning);
      lastWarning = warning;
      return run(host);
    }

    /** A change: first the traces of dead commands go, then it runs, then the history gets its row. */
    async function recorded(host: Host, run: (host: Host) => unknown): Promise<unknown> {
      const { recover } = await import("./recover.ts");
      await recover(host, context);
      const began = host.now();
      const beganMs = performance.now();
      let result = "ok";
      try {
        return await run(host);
      } catch (cause) {
        result = cause instanceof BpfmanError ? cause.code : "INTERNAL";
        throw cause;
      } finally {
        const durationMs = performance.now() - beganMs;
        const entry = { operation: name, startedAt: began, durationMs, ...runtime.identity(), result, details: facts };
        afterwards("history not written", () => host.store.appendOperation(entry));
      }
    }
  };
}
