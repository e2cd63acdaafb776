/**
 * The server's side of its worker. Changes run in a process of their own, because a system call such as a verification
 * can take minutes, and nothing else in its process runs meanwhile: the server goes on answering, and what does not stop
 * when it is cancelled is killed. It leaves then what a killed command leaves, and that is cleaned up.
 */
import { WORKER_CANCEL_TIMEOUT_MS, WORKER_IDLE_MS, WORKER_SILENCE_TIMEOUT_MS } from "../src/domain/limits.ts";
import { BpfmanError } from "../src/errors/error.ts";
import { reasonOf, sysPart } from "../src/errors/sys-failure.ts";
import type { Invoke } from "../src/service/invoke.ts";
import { isExclusive, OPERATIONS } from "../src/service/operations.ts";
import type { SessionService } from "../src/service/session.ts";
import { type Beginning, encoded, messages, type Order, type Report, type Task } from "./worker-messages.ts";

type Process = Bun.Subprocess<"pipe", "pipe", "inherit">;

export interface WorkerOptions {
  readonly beginning: Beginning;
  /** Starts a process that runs `work` (worker-process.ts). */
  start(): Process;
  /** How long it is kept without anything to do. */
  readonly idleMs?: number;
}

type Context = Omit<NonNullable<Parameters<Invoke>[2]>, "owner">;

/** Returns the same service, with everything that changes something done by a worker. */
export function withWorker(service: SessionService, options: WorkerOptions): SessionService {
  const worker = new Worker(service, options);
  const invoke = (name: keyof typeof OPERATIONS, request: unknown, given: Parameters<Invoke>[2] = {}) => {
    if (!isExclusive(OPERATIONS[name].access)) return service.invoke(name, request, given);
    const { operationId: id = crypto.randomUUID(), owner = null, digest = null } = given;
    return worker.run({ kind: "run", id, name, request, owner, digest }, given);
  };
  return {
    ...service,
    invoke: invoke as Invoke,
    async release(owner, lockTimeoutMs) {
      if (worker.wasUsed) await worker.run({ kind: "release", id: crypto.randomUUID(), owner, lockTimeoutMs }, {});
    },
  };
}

/** A process that was started, and what it is doing. */
interface Started {
  readonly process: Process;
  readonly ready: PromiseWithResolvers<void>;
  /** Null while it has nothing to do. */
  task: {
    readonly context: Context;
    readonly stopping: () => void;
    readonly answer: PromiseWithResolvers<unknown>;
  } | null;
}

/** A process that ended before it answered. */
class Lost {
  readonly how: string;

  constructor(how: string) {
    this.how = how;
  }
}

/** Starts a process with the first task, and another one when that has ended. Takes one task at a time. */
class Worker {
  readonly #service: SessionService;
  readonly #options: WorkerOptions;
  #started: Started | null = null;
  #idle: NodeJS.Timeout | undefined;
  wasUsed = false;

  constructor(service: SessionService, options: WorkerOptions) {
    this.#service = service;
    this.#options = options;
  }

  /** Throws what the task throws; WORKER_LOST if the process ends by itself, CANCELLED if it had to be killed. */
  async run(task: Task, context: Context): Promise<unknown> {
    try {
      return await this.#perform(task, context);
    } catch (thrown) {
      if (!(thrown instanceof Lost)) throw thrown;
      const { how } = thrown;
      const what = task.kind === "run" ? task.name : "clean up";
      const isClean = await this.#cleanUp(task);
      if (isClean && task.kind === "release") return null;
      const hint = `what it had not finished ${isClean ? "was cleaned up" : "is cleaned up by the next change"}`;
      const details = { worker: how };
      if (context.signal?.aborted !== true) {
        throw new BpfmanError("WORKER_LOST", `${what}: its process ${how}`, { details, hint: `${hint}; try again` });
      }
      throw new BpfmanError("CANCELLED", `${what}: stopped inside a system call`, { details, hint });
    }
  }

  /**
   * Removes what a lost process left, unless another process is making changes. A release is repeated for that: a signal
   * to the whole process group, as by Ctrl-C, also ends the process that it was given to.
   */
  async #cleanUp(lost: Task): Promise<boolean> {
    const { owner, lockTimeoutMs } =
      lost.kind === "release" ? lost : { owner: null, lockTimeoutMs: WORKER_CANCEL_TIMEOUT_MS };
    try {
      await this.#perform({ kind: "release", id: crypto.randomUUID(), owner, lockTimeoutMs }, {});
      return true;
    } catch (thrown) {
      const reason = thrown instanceof Lost ? thrown.how : reasonOf(thrown);
      this.#service.log.warn("not cleaned up after a change that was stopped; the next change tries again", { reason });
      return false;
    }
  }

  /** Throws Lost, and what the task throws. */
  async #perform(task: Task, context: Context): Promise<unknown> {
    clearTimeout(this.#idle);
    this.wasUsed = true;
    this.#started ??= this.#start();
    const started = this.#started;
    const answer = Promise.withResolvers<unknown>();
    let kill: NodeJS.Timeout | undefined;
    const cancel = (): void => {
      started.ready.promise.then(() => tell(started, { kind: "cancel", id: task.id }));
      killIn(WORKER_CANCEL_TIMEOUT_MS);
    };
    const killIn = (ms: number): void => {
      clearTimeout(kill);
      kill = setTimeout(() => started.process.kill("SIGKILL"), ms);
    };
    started.task = { context, answer, stopping: () => killIn(WORKER_SILENCE_TIMEOUT_MS) };
    const { level: logLevel = "trace" } = context.log ?? this.#service.log;
    started.ready.promise.then(() => tell(started, { ...task, logLevel }));
    const { signal } = context;
    if (signal?.aborted) cancel();
    else signal?.addEventListener("abort", cancel, { once: true });
    try {
      return await answer.promise;
    } finally {
      clearTimeout(kill);
      signal?.removeEventListener("abort", cancel);
      started.task = null;
      this.#idle = setTimeout(() => this.#retire(started), this.#options.idleMs ?? WORKER_IDLE_MS);
      this.#idle.unref();
    }
  }

  #start(): Started {
    try {
      const started: Started = { process: this.#options.start(), ready: Promise.withResolvers(), task: null };
      tell(started, { kind: "begin", ...this.#options.beginning });
      void this.#listen(started);
      void started.process.exited.then(() => this.#retire(started));
      return started;
    } catch (thrown) {
      const message = `start the process that makes the changes of this session: ${reasonOf(thrown)}`;
      throw new BpfmanError("WORKER_LOST", message, { ...sysPart(thrown), cause: thrown });
    }
  }

  async #listen(started: Started): Promise<void> {
    const { process } = started;
    let broken: string | null = null;
    try {
      for await (const report of messages<Report>(process.stdout)) this.#receive(started, report);
    } catch (thrown) {
      broken = `was stopped: ${reasonOf(thrown)}`;
    }
    this.#retire(started);
    const code = await process.exited;
    const { signalCode } = process;
    const how = broken ?? (signalCode === null ? `ended with code ${code}` : `was ended by ${signalCode}`);
    started.task?.answer.reject(new Lost(how));
  }

  /** Without a task, the process holds nothing that it would have to put away. */
  #retire(started: Started): void {
    if (this.#started === started) this.#started = null;
    started.process.kill("SIGKILL");
  }

  #receive({ task, ready }: Started, report: Report): void {
    switch (report.kind) {
      case "ready":
        ready.resolve();
        break;
      case "stopping":
        task?.stopping();
        break;
      case "progress":
        task?.context.progress?.(report.message);
        break;
      case "log":
        (task?.context.log ?? this.#service.log)[report.level](report.message, report.facts);
        break;
      case "done":
        task?.answer.resolve(report.answer);
        break;
      case "failed":
        task?.answer.reject(new BpfmanError(report.code, report.message, report.parts));
        break;
    }
  }
}

/** A process that has ended takes nothing any more; `#listen` notices. */
function tell({ process: { stdin } }: Started, order: Order): void {
  try {
    stdin.write(encoded(order));
    void Promise.resolve(stdin.flush()).catch(() => {});
  } catch {}
}
