/** Applies again whenever interfaces come or go. Loaded by `apply --follow` alone. */
import type { ApplyAnswer } from "../../domain/answer.ts";
import { EVENTS_WAIT_MS, INTERFACES_RETRY_MS, INTERFACES_SETTLE_MS } from "../../domain/limits.ts";
import { printableJson } from "../../domain/printable.ts";
import { BpfmanError } from "../../errors/error.ts";
import type { Session } from "../command.ts";
import { renderApply } from "../render/apply.ts";

/** Whether an apply did anything. */
const hasChanges = ({ applications }: ApplyAnswer): boolean =>
  applications.some(({ changes }) => changes.some(({ action }) => action !== "unchanged"));

/** What stayed as it is has been printed before. */
const onlyChanges = (answer: ApplyAnswer): ApplyAnswer => ({
  ...answer,
  applications: answer.applications
    .map((each) => ({ ...each, changes: each.changes.filter(({ action }) => action !== "unchanged") }))
    .filter(({ changes }) => changes.length > 0),
});

const isCancelled = (thrown: unknown): boolean => thrown instanceof BpfmanError && thrown.code === "CANCELLED";

/** Goes on until a signal, or until nobody reads what it prints. No lock is held while it waits. */
export async function followApply(session: Session, request: object, first: ApplyAnswer): Promise<void> {
  const { signal } = session;
  const print = (all: ApplyAnswer): void => {
    const answer = all === first ? all : onlyChanges(all);
    if (session.output === "json") session.write(`${printableJson(JSON.stringify(answer))}\n`);
    else session.print(answer, renderApply);
  };
  print(first);
  let last = first;
  /** The failure that has been said, which is tried again and again. */
  let told = "";
  while (!signal.aborted) {
    const { watched: namespaces, watches_namespaces: named } = last;
    const followed = await session.followInterfaces({ namespaces, named });
    try {
      let hasFailed = false;
      try {
        // What came between the last apply and now has been missed.
        last = await session.invoke("apply", request);
        if (hasChanges(last)) print(last);
        told = "";
      } catch (thrown) {
        if (isCancelled(thrown) || signal.aborted) return;
        if (!(thrown instanceof BpfmanError)) throw thrown;
        // An interface can go while it is attached to; and others may hold the lock.
        if (thrown.message !== told) session.warn(thrown);
        told = thrown.message;
        hasFailed = true;
      }
      // Something else is to be followed from now on.
      if (last.watches_namespaces !== named || last.watched.join("\n") !== namespaces.join("\n")) continue;
      if (!(await untilChanged(session, followed, hasFailed ? INTERFACES_RETRY_MS : null))) return;
    } finally {
      followed.close();
    }
  }
}

/** Returns false if nobody wants more. */
async function untilChanged(
  session: Session,
  followed: { wait(ms: number): boolean },
  retryMs: number | null,
): Promise<boolean> {
  for (let waited = 0; ; waited += EVENTS_WAIT_MS) {
    if (session.signal.aborted || session.isAbandoned()) return false;
    if (retryMs !== null && waited >= retryMs) return true;
    if (followed.wait(EVENTS_WAIT_MS)) {
      // Whoever makes an interface often renames or moves it at once.
      await Bun.sleep(INTERFACES_SETTLE_MS);
      return true;
    }
    await Bun.sleep(0);
  }
}
