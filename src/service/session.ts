/** The part of the service that outlives one operation: reports changes, and removes what a session owns. */
import type { ChangeAnswer } from "../domain/change-answer.ts";
import type { Changes } from "../domain/change.ts";
import { CHANGES_PER_READ_MAX } from "../domain/limits.ts";
import type { LogPort } from "../domain/log.ts";
import type { ProcessIdentity } from "../domain/ids.ts";
import { BpfmanError } from "../errors/error.ts";
import type { Host, ProcessesPort } from "../platform/host.ts";
import type { Runtime, StoreWatch } from "../platform/runtime.ts";
import { changeAnswers } from "./changes.ts";
import type { Context } from "./operation.ts";
import { createInvoke, type Invoke } from "./invoke.ts";
import { recover } from "./recovery/recover.ts";

export interface SessionService {
  readonly invoke: Invoke;
  /** For the operator, on stderr. */
  readonly log: LogPort;
  processes(): Promise<ProcessesPort>;
  /** Returns the next few changes after number `after`. Call it again with the last number until there are none. */
  changes(after: number): Promise<Changes<ChangeAnswer>>;
  /** Calls `changed` when there may be new changes. */
  watch(changed: () => void): Promise<StoreWatch>;
  /**
   * Detaches and unloads what belongs to `owner`. The next writing command removes what cannot be removed now. Throws
   * LOCK_TIMEOUT, CANCELLED.
   */
  release(owner: ProcessIdentity): Promise<void>;
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

  return {
    invoke: createInvoke(runtime),
    log: runtime.log,
    processes: () => runtime.openProcesses(),
    async changes(after) {
      if (!runtime.privileged()) throw new BpfmanError("PERMISSION_DENIED", "only root may subscribe to changes");
      return withHost("read", (host) => {
        const { entries, complete, latest } = host.store.changes(after, CHANGES_PER_READ_MAX);
        return { entries: changeAnswers(host, entries), complete, latest };
      });
    },
    watch: (changed) => runtime.watchStore(changed),
    async release(owner) {
      // Creates, locks and mounts nothing for a session that left nothing.
      if (!(await withHost("read", (host) => host.store.brief())).some((row) => row.owner === owner)) return;
      const { log, lockTimeoutMs } = runtime;
      const { signal } = new AbortController();
      const lock = await (await runtime.openLock()).acquire(lockTimeoutMs, signal);
      try {
        const context: Context = {
          ...{ operationId: crypto.randomUUID(), signal, lockTimeoutMs, owner: null, log, sink: null },
          ...{ progress: () => {}, relay: () => {}, note: () => {}, leave: () => {} },
          ...{ caller: runtime.caller(), recovered: { programs: new Set(), links: new Set() } },
        };
        await withHost("write", (host) => {
          host.store.makeRoom();
          return recover(host, context, (each) => each === owner || host.processes.hasEnded(each));
        });
      } finally {
        lock.release();
      }
    },
  };
}
