/** The subscription of a session: changes to the store, made by any process, as notifications. */
import type { ChangeAnswer } from "../src/domain/change-answer.ts";
import { reasonOf } from "../src/errors/sys-failure.ts";
import type { SessionService } from "../src/service/session.ts";
import type { EventKind, ServerNotification, ServerNotifications, SubscribeResult } from "./protocol.ts";

export interface EventsOptions {
  readonly service: SessionService;
  notify<Name extends ServerNotification>(name: Name, params: ServerNotifications[Name]): void;
  /** True while the client reads too slowly and notifications are dropped. */
  isBehind(): boolean;
  caughtUp(): Promise<void>;
}

interface Wanted {
  readonly kinds: readonly EventKind[];
  readonly since: number | null;
}

export class Events {
  readonly #options: EventsOptions;
  #watch: { close(): void } | null = null;
  #kinds: ReadonlySet<EventKind> = new Set();
  /** Sequence number of the last change that was reported, dropped, or not subscribed to. */
  #last = 0;
  #dropped = 0;
  #reading: Promise<void> | null = null;
  #readAgain = false;

  constructor(options: EventsOptions) {
    this.#options = options;
  }

  /** A session has one subscription; a new one replaces it. */
  async subscribe({ kinds, since }: Wanted): Promise<SubscribeResult> {
    const { service } = this.#options;
    await this.unsubscribe();
    const { complete, latest } = await service.changes(since ?? 0);
    this.#kinds = new Set(kinds);
    this.#last = Math.min(since ?? latest, latest);
    this.#watch = await service.watch(() => this.look());
    // Runs after the reply, and catches changes made between reading the log and starting the watch.
    setImmediate(() => this.look());
    return { sequence: latest, complete: since === null || complete };
  }

  async unsubscribe(): Promise<void> {
    this.#watch?.close();
    this.#watch = null;
    this.#dropped = 0;
    await this.#reading;
  }

  /** Checks for new changes. */
  look(): void {
    if (this.#watch === null) return;
    this.#readAgain = true;
    this.#reading ??= this.#readAll().finally(() => {
      this.#reading = null;
    });
  }

  async #readAll(): Promise<void> {
    const { service } = this.#options;
    try {
      while (this.#readAgain && this.#watch !== null) {
        this.#readAgain = false;
        const { entries, complete, latest } = await service.changes(this.#last);
        const [first] = entries;
        if (latest < this.#last) {
          // The database was replaced by another one.
          this.#last = 0;
          this.#readAgain = latest > 0;
        } else if (!complete && first !== undefined) {
          // The log was trimmed before it could be read.
          const missed = first.change.sequence - 1 - this.#last;
          this.#last += missed;
          this.#drop(missed);
        }
        for (const entry of entries) this.#tell(entry);
        if (entries.length > 0) this.#readAgain = true;
      }
    } catch (thrown) {
      // The next change or poll tries again.
      service.log.warn("cannot read changes", { reason: reasonOf(thrown) });
    }
  }

  #tell({ kind, change }: ChangeAnswer): void {
    if (this.#watch === null) return;
    const { notify, isBehind } = this.#options;
    if (!this.#kinds.has(kind)) this.#last = change.sequence;
    else if (isBehind()) {
      this.#last = change.sequence;
      this.#drop(1);
    } else {
      this.#tellDropped();
      this.#last = change.sequence;
      notify(kind, change as never);
    }
  }

  #drop(count: number): void {
    if (count <= 0) return;
    if (this.#dropped === 0) this.#options.caughtUp().then(() => this.#tellDropped());
    this.#dropped += count;
  }

  #tellDropped(): void {
    if (this.#dropped === 0 || this.#watch === null) return;
    const count = this.#dropped;
    this.#dropped = 0;
    this.#options.notify("events/didDrop", { count, sequence: this.#last });
  }
}
