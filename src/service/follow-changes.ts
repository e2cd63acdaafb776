/** Reads the log of changes as it grows. Any process may write it. */
import type { ChangeAnswer } from "../domain/change-answer.ts";
import type { Changes } from "../domain/change.ts";
import { reasonOf } from "../errors/sys-failure.ts";
import type { Runtime, StoreWatch } from "../platform/runtime.ts";
import type { ChangeListener, FollowedChanges } from "./session.ts";

/** `changes` reads the next few entries after a number. */
export async function followChanges(
  { log, watchStore }: Runtime,
  changes: (after: number) => Promise<Changes<ChangeAnswer>>,
  after: number,
  listener: ChangeListener,
): Promise<Pick<FollowedChanges, "look" | "close">> {
  let last = after;
  let watch: StoreWatch | null = null;
  let reading: Promise<void> | null = null;
  let readAgain = false;

  function look(): void {
    if (watch === null) return;
    readAgain = true;
    reading ??= readAll().finally(() => {
      reading = null;
    });
  }

  async function readAll(): Promise<void> {
    try {
      while (readAgain && watch !== null) {
        readAgain = false;
        tell(await changes(last));
      }
    } catch (thrown) {
      // The next change or poll tries again.
      log.warn("cannot read changes", { reason: reasonOf(thrown) });
    }
  }

  function tell({ entries, complete, latest }: Changes<ChangeAnswer>): void {
    const [first] = entries;
    if (latest < last) {
      // The database was replaced by another one.
      last = 0;
      readAgain = latest > 0;
    } else if (!complete && first !== undefined) {
      // The log was trimmed before it could be read.
      const missed = first.change.sequence - 1 - last;
      last += missed;
      if (missed > 0) listener.missed(missed, last);
    }
    for (const entry of entries) {
      if (watch === null) return;
      last = entry.change.sequence;
      listener.change(entry);
    }
    if (entries.length > 0) readAgain = true;
  }

  watch = await watchStore(look);
  return {
    look,
    async close() {
      watch?.close();
      watch = null;
      await reading;
    },
  };
}
