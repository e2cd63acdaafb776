/** Events of a client as an async iterator: pushed by the connection, pulled by a `for await` loop. */
import type { EventKind, ServerNotifications } from "../protocol.ts";

/** A change, or a notice that changes were dropped because nobody read them. `kind` tells them apart. */
export type ChangeEvent = {
  [Kind in EventKind | "events/didDrop"]: { readonly kind: Kind } & ServerNotifications[Kind];
}[EventKind | "events/didDrop"];

/** How many events are queued for a slow loop: about 10 MB at their usual size. */
export const EVENTS_QUEUED_MAX = 10_000;

/**
 * Queues events until they are consumed. When the queue is full, new events are dropped and counted, and the loop
 * receives an `events/didDrop` in their place, as from a server whose pipe is full.
 */
export class EventStream implements AsyncIterableIterator<ChangeEvent> {
  readonly #queue: ChangeEvent[] = [];
  readonly #stop: () => Promise<void>;
  #dropped: { count: number; sequence: number } | null = null;
  #waiting: { resolve(result: IteratorResult<ChangeEvent>): void; reject(reason: unknown): void }[] = [];
  #end: { readonly error: unknown } | null = null;

  /** `stop` is called when the loop is left. */
  constructor(stop: () => Promise<void>) {
    this.#stop = stop;
  }

  push(event: ChangeEvent): void {
    if (this.#end !== null) return;
    const next = this.#waiting.shift();
    if (next !== undefined) next.resolve({ done: false, value: event });
    else if (this.#dropped === null && this.#queue.length < EVENTS_QUEUED_MAX) this.#queue.push(event);
    else {
      const count = event.kind === "events/didDrop" ? event.count : 1;
      this.#dropped = { count: (this.#dropped?.count ?? 0) + count, sequence: event.sequence };
    }
  }

  /** Marks the end. Queued events can still be consumed; then the loop ends, or throws `error` if there is one. */
  end(error: unknown = null): void {
    if (this.#end !== null) return;
    this.#end = { error };
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { resolve, reject } of waiting) {
      if (error === null) resolve({ done: true, value: undefined });
      else reject(error);
    }
  }

  async next(): Promise<IteratorResult<ChangeEvent>> {
    const value = this.#queue.shift() ?? this.#takeDropped();
    if (value !== undefined) return { done: false, value };
    if (this.#end === null) return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
    const { error } = this.#end;
    this.#end = { error: null };
    if (error !== null) throw error;
    return { done: true, value: undefined };
  }

  /** Called by `break`, and by consumers that need no more events. */
  async return(): Promise<IteratorResult<ChangeEvent>> {
    this.end();
    this.#queue.length = 0;
    this.#dropped = null;
    await this.#stop();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #takeDropped(): ChangeEvent | undefined {
    if (this.#dropped === null) return undefined;
    const event: ChangeEvent = { kind: "events/didDrop", ...this.#dropped };
    this.#dropped = null;
    return event;
  }
}
