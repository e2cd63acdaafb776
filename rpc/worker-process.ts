/** The worker: a process that runs the changes of one session, one at a time, for its server (worker.ts). */
import { WORKER_STOPPING_MS } from "../src/domain/limits.ts";
import { isHeard, type LogPort, type Severity } from "../src/domain/log.ts";
import { BpfmanError } from "../src/errors/error.ts";
import { reasonOf } from "../src/errors/sys-failure.ts";
import type { SessionService } from "../src/service/session.ts";
import { type Beginning, encoded, type Given, messages, type Order, type Report } from "./worker-messages.ts";

export interface WorkerHost {
  /** Chunks from the server. Their end is the end of the server. */
  readonly input: AsyncIterable<Uint8Array>;
  /** Writes all of it before it returns, so that nothing is kept back during a system call. */
  write(text: string): void;
  /** Aborted when this process is told to exit. */
  readonly signal: AbortSignal;
  connect(beginning: Beginning): Promise<SessionService>;
}

/** Works until the server or this process is to end; a task that is running then is cancelled first. */
export async function work(host: WorkerHost): Promise<void> {
  const report = (message: Report): void => host.write(encoded(message));
  const ended = Promise.withResolvers<void>();
  let service: Promise<SessionService> | null = null;
  let running: { readonly id: string; readonly cancel: AbortController; beat?: NodeJS.Timeout } | null = null;
  let ending = false;

  function end(): void {
    ending = true;
    if (running === null) ended.resolve();
    else running.cancel.abort();
  }

  async function perform(task: Given, signal: AbortSignal): Promise<void> {
    report(await outcome(service, task, { signal, report }));
    clearInterval(running?.beat);
    running = null;
    if (ending) ended.resolve();
  }

  async function listen(): Promise<void> {
    for await (const order of messages<Order>(host.input)) {
      if (order.kind === "begin") {
        service = host.connect(order);
        // It is reported by the first task.
        service.catch(() => {});
      } else if (order.kind === "cancel") {
        if (running?.id !== order.id) continue;
        const { cancel } = running;
        const stopping = (): void => report({ kind: "stopping" });
        running.beat = setInterval(stopping, WORKER_STOPPING_MS);
        stopping();
        cancel.abort();
      } else {
        const cancel = new AbortController();
        running = { id: order.id, cancel };
        void perform(order, cancel.signal);
      }
    }
  }

  report({ kind: "ready" });
  host.signal.addEventListener("abort", end, { once: true });
  listen().then(end, ended.reject);
  return ended.promise;
}

interface Surroundings {
  readonly signal: AbortSignal;
  report(message: Report): void;
}

async function outcome(
  connecting: Promise<SessionService> | null,
  task: Given,
  { signal, report }: Surroundings,
): Promise<Report> {
  const { logLevel } = task;
  const logs = (level: Severity): LogPort["debug"] =>
    isHeard(level, logLevel) ? (message, facts = {}) => report({ kind: "log", level, message, facts }) : () => {};
  const log: LogPort = {
    level: logLevel,
    error: logs("error"),
    warn: logs("warn"),
    info: logs("info"),
    debug: logs("debug"),
  };
  try {
    if (connecting === null) throw new Error("the worker was given a task before its settings");
    const service = await connecting;
    const { id: operationId, owner } = task;
    if (task.kind === "release") {
      await service.release(owner, task.lockTimeoutMs);
      return { kind: "done", answer: null };
    }
    const progress = (message: string): void => report({ kind: "progress", message });
    const { digest } = task;
    const answer = await service.invoke(task.name, task.request, { operationId, signal, owner, log, progress, digest });
    return { kind: "done", answer };
  } catch (thrown) {
    const error = thrown instanceof BpfmanError ? thrown : new BpfmanError("INTERNAL", reasonOf(thrown));
    const { code, message, details, hint, verifierLog, sys } = error;
    return { kind: "failed", code, message, parts: { details, hint, verifierLog, sys } };
  }
}
