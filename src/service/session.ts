/** The part of the service that outlives one operation: reports changes, and removes what a session owns. */
import type { ChangeAnswer } from "../domain/change-answer.ts";
import type { Changes } from "../domain/change.ts";
import { CHANGES_PER_READ_MAX } from "../domain/limits.ts";
import type { LogPort } from "../domain/log.ts";
import type { ProcessIdentity } from "../domain/ids.ts";
import { requireCapabilities } from "./capabilities.ts";
import type { Host, ProcessesPort } from "../platform/host.ts";
import type { Runtime } from "../platform/runtime.ts";
import { changeAnswers } from "./changes.ts";
import { followChanges } from "./follow-changes.ts";
import type { Context } from "./operation.ts";
import { createInvoke, createPullAhead, type Invoke, type PullAhead } from "./invoke.ts";
import { recover } from "./recovery/recover.ts";

export interface ChangeListener {
  change(entry: ChangeAnswer): void;
  /** That many changes, up to that number, are not known any more. */
  missed(count: number, sequence: number): void;
}

export interface FollowedChanges {
  /** Number of the newest change when it began; 0 if there was none. */
  readonly sequence: number;
  /**
   * False if not all changes after the given number are known: the log is bounded, the machine was rebooted, or the database
   * is another one. The listener is told of those that are.
   */
  readonly complete: boolean;
  /** Looks for new changes now. */
  look(): void;
  close(): Promise<void>;
}

export interface SessionService {
  readonly invoke: Invoke;
  readonly pullAhead: PullAhead;
  /** For the operator, on stderr. */
  readonly log: LogPort;
  processes(): Promise<ProcessesPort>;
  /** Returns the next few changes after number `after`. Call it again with the last number until there are none. */
  changes(after: number): Promise<Changes<ChangeAnswer>>;
  /** Tells the listener of each change after number `since`, or from now on, in order, until it is closed. */
  follow(since: number | null, listener: ChangeListener): Promise<FollowedChanges>;
  /**
   * Cleans up after dead commands, and detaches and unloads what belongs to `owner`. The next writing command removes
   * what cannot be removed now. Null for the lock timeout is the session's. Throws LOCK_TIMEOUT.
   */
  release(owner: ProcessIdentity | null, lockTimeoutMs: number | null): Promise<void>;
}

export function createSessionService(runtime: Runtime): SessionService {
  async function withHost<T>(mode: "read" | "write", use: (host: Host) => T | Promise<T>): Promise<T> {
    const host = await runtime.openHost(mode);
    try {
      return await use(host);
    } finally {
      host.close();
    }
  }

  async function changes(after: number): Promise<Changes<ChangeAnswer>> {
    requireCapabilities(runtime, ["CAP_BPF"], "following changes");
    return withHost("read", (host) => {
      const { entries, complete, latest } = host.store.changes(after, CHANGES_PER_READ_MAX);
      return { entries: changeAnswers(host, entries), complete, latest };
    });
  }

  return {
    invoke: createInvoke(runtime),
    pullAhead: createPullAhead(runtime),
    log: runtime.log,
    processes: () => runtime.openProcesses(),
    changes,
    async follow(since, listener) {
      const { complete, latest } = await changes(since ?? Number.MAX_SAFE_INTEGER);
      const followed = await followChanges(runtime, changes, Math.min(since ?? latest, latest), listener);
      return { ...followed, sequence: latest, complete: since === null || complete };
    },
    async release(owner, given) {
      // Creates, locks and mounts nothing for a session that left nothing.
      if (await runtime.isUntouched()) return;
      if (owner !== null && !(await withHost("read", (host) => host.store.brief())).some((row) => row.owner === owner))
        return;
      const { log } = runtime;
      const lockTimeoutMs = given ?? runtime.lockTimeoutMs;
      const { signal } = new AbortController();
      const waits: (() => Promise<void>)[] = [];
      const lock = await (await runtime.openLock()).acquire(lockTimeoutMs, signal);
      try {
        const context: Context = {
          ...{ operationId: crypto.randomUUID(), signal, lockTimeoutMs, owner: null, log, sink: null },
          ...{ requireCapabilities: requireCapabilities.bind(null, runtime) },
          ...{ digest: null, pulled: () => {} },
          ...{ progress: () => {}, relay: () => {}, note: () => {}, leave: () => {} },
          waitAfterwards: (wait) => void waits.push(wait),
          ...{ caller: runtime.caller(), recovered: { programs: new Set(), links: new Set() } },
        };
        await withHost("write", async (host) => {
          host.store.makeRoom();
          await recover(host, context, (each) => each === owner || host.processes.hasEnded(each));
          host.store.flush();
        });
      } finally {
        lock.release();
      }
      for (const wait of waits) await wait();
    },
  };
}
