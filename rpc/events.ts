/** The subscription of a session: changes to the store, made by any process, as notifications. */
import type { ChangeAnswer } from "../src/domain/change-answer.ts";
import type { FollowedChanges, SessionService } from "../src/service/session.ts";
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
  #followed: FollowedChanges | null = null;
  #kinds: ReadonlySet<EventKind> = new Set();
  #dropped = 0;
  /** Sequence number of the last change that was dropped. */
  #lastDropped = 0;

  constructor(options: EventsOptions) {
    this.#options = options;
  }

  /** A session has one subscription; a new one replaces it. */
  async subscribe({ kinds, since }: Wanted): Promise<SubscribeResult> {
    const { service } = this.#options;
    await this.unsubscribe();
    this.#kinds = new Set(kinds);
    const followed = await service.follow(since, {
      change: (entry) => this.#tell(entry),
      missed: (count, sequence) => this.#drop(count, sequence),
    });
    this.#followed = followed;
    // Runs after the reply, and catches changes made between reading the log and starting the watch.
    setImmediate(() => this.look());
    return { sequence: followed.sequence, complete: followed.complete };
  }

  async unsubscribe(): Promise<void> {
    const followed = this.#followed;
    this.#followed = null;
    this.#dropped = 0;
    await followed?.close();
  }

  /** Checks for new changes. */
  look(): void {
    this.#followed?.look();
  }

  #tell({ kind, change }: ChangeAnswer): void {
    const { notify, isBehind } = this.#options;
    if (!this.#kinds.has(kind)) return;
    if (isBehind()) this.#drop(1, change.sequence);
    else {
      this.#tellDropped();
      notify(kind, change as never);
    }
  }

  #drop(count: number, sequence: number): void {
    if (this.#dropped === 0) this.#options.caughtUp().then(() => this.#tellDropped());
    this.#dropped += count;
    this.#lastDropped = sequence;
  }

  #tellDropped(): void {
    if (this.#dropped === 0 || this.#followed === null) return;
    const count = this.#dropped;
    this.#dropped = 0;
    this.#options.notify("events/didDrop", { count, sequence: this.#lastDropped });
  }
}
