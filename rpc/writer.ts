import { AbstractMessageWriter, Message, type MessageWriter, type ResponseMessage } from "vscode-jsonrpc/node";
import {
  LAST_REPLIES_TIMEOUT_MS,
  NOTIFICATION_BACKLOG_BYTES_MAX,
  REPLY_BACKLOG_BYTES_MAX,
} from "../src/domain/limits.ts";
import { reasonOf } from "../src/errors/sys-failure.ts";
import { INTERNAL_ERROR } from "./protocol.ts";

/** Small frames are batched into one write, up to this many bytes. */
const WRITE_BYTES = 64 * 1024;

export interface WriterOptions {
  /** Resolves when the bytes have been written; rejects if they never can be. */
  output(bytes: Uint8Array): Promise<void>;
  /** Restores the client's ID in a reply of the library. */
  settle(reply: ResponseMessage): void;
  /** Called when nothing can be written any more. */
  gone(): void;
}

/** What a client that has gone leaves of its pipe or socket. */
const GONE = new Set<unknown>(["EPIPE", "ECONNRESET"]);

/** Writes frames as fast as the client reads them and tracks how far behind it is. */
export class BoundedWriter extends AbstractMessageWriter implements MessageWriter {
  readonly #options: WriterOptions;
  #queue: Uint8Array[] = [];
  /** Bytes the client has not read yet. */
  #backlog = 0;
  #pump: Promise<void> | null = null;
  #gone = false;
  /** Why replies were lost although the client may still be there, for example because its file system is full. */
  failure: string | null = null;
  #waiting: { readonly bytes: number; readonly resolve: () => void }[] = [];

  constructor(options: WriterOptions) {
    super();
    this.#options = options;
  }

  /** Whether notifications must be dropped. */
  get isBehind(): boolean {
    return this.#backlog > NOTIFICATION_BACKLOG_BYTES_MAX;
  }

  /** Null if more replies may be produced; otherwise resolves when the client has caught up. */
  room(): Promise<void> | null {
    return this.#backlog > REPLY_BACKLOG_BYTES_MAX ? this.#whenBacklog(REPLY_BACKLOG_BYTES_MAX) : null;
  }

  /** Resolves when notifications no longer have to be dropped. */
  caughtUp(): Promise<void> {
    return this.#whenBacklog(NOTIFICATION_BACKLOG_BYTES_MAX);
  }

  /** Does not wait for the client: callers check the backlog before they produce messages. */
  async write(message: Message): Promise<void> {
    if (Message.isResponse(message)) this.#options.settle(message);
    else this.put(message);
  }

  /** Queues a message. */
  put(message: unknown): void {
    if (this.#gone) return;
    const body = Buffer.from(serialized(message));
    this.#queue.push(Buffer.concat([Buffer.from(`Content-Length: ${body.length}\r\n\r\n`), body]));
    this.#backlog += (this.#queue.at(-1) as Uint8Array).length;
    this.#pump ??= this.#write();
  }

  /** Waits until everything is written. Returns false if the client read nothing for too long. */
  async flushed(): Promise<boolean> {
    while (this.#backlog > 0) {
      const before = this.#backlog;
      const timeout = Promise.withResolvers<void>();
      const timer = setTimeout(timeout.resolve, LAST_REPLIES_TIMEOUT_MS);
      await Promise.race([this.#whenBacklog(before - 1), timeout.promise]);
      clearTimeout(timer);
      if (this.#backlog === before) return false;
    }
    return true;
  }

  end(): void {}

  async #write(): Promise<void> {
    while (this.#queue.length > 0) {
      let bytes = 0;
      let count = 0;
      while (count < this.#queue.length && (count === 0 || bytes < WRITE_BYTES)) {
        bytes += (this.#queue[count] as Uint8Array).length;
        count++;
      }
      const frames = this.#queue.splice(0, count);
      try {
        await this.#options.output(frames.length === 1 ? (frames[0] as Uint8Array) : Buffer.concat(frames));
      } catch (thrown) {
        this.#gone = true;
        if (!GONE.has((thrown as { readonly code?: unknown }).code)) this.failure = reasonOf(thrown);
        this.#queue = [];
        this.#backlog = 0;
        this.#wake();
        this.#options.gone();
        return;
      }
      this.#backlog -= bytes;
      this.#wake();
    }
    this.#pump = null;
  }

  #whenBacklog(bytes: number): Promise<void> {
    if (this.#backlog <= bytes) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ bytes, resolve }));
  }

  #wake(): void {
    const due = this.#waiting.filter(({ bytes }) => this.#backlog <= bytes);
    this.#waiting = this.#waiting.filter(({ bytes }) => this.#backlog > bytes);
    for (const { resolve } of due) resolve();
  }
}

/** A reply that cannot be serialised is a bug in bpfman, but its request must still get an answer. */
function serialized(message: unknown): string {
  try {
    return JSON.stringify(message);
  } catch (thrown) {
    const { id = null } = message as { readonly id?: unknown };
    const reason = reasonOf(thrown);
    return JSON.stringify({ jsonrpc: "2.0", id, error: { code: INTERNAL_ERROR, message: `make a reply: ${reason}` } });
  }
}
