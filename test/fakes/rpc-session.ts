/** The other end of a session, for tests: frames in and out, without a library in between. */
import { FrameDecoder } from "../../rpc/frame-decoder.ts";

/** A message from the server, of whatever kind. */
export interface FromServer {
  readonly id?: string | number | null;
  readonly method?: string;
  // Whatever a test looks for in it.
  readonly params?: Readonly<Record<string, unknown>>;
  readonly result?: unknown;
  readonly error?: {
    readonly code: number;
    readonly message: string;
    readonly data?: {
      readonly code: string;
      readonly kind: string;
      readonly hint: string | null;
      readonly details: Readonly<Record<string, unknown>>;
      readonly verifierLog: string | null;
      readonly sys: unknown;
    };
  };
}

/** One message, or the replies to a batch. */
export type FrameContent = FromServer | readonly FromServer[];

export function frame(message: unknown): Uint8Array {
  const body = typeof message === "string" ? Buffer.from(message) : Buffer.from(JSON.stringify(message));
  return Buffer.concat([Buffer.from(`Content-Length: ${body.length}\r\n\r\n`), body]);
}

/** Collects what the server says, and lets tests wait for it. */
export class Listener {
  readonly frames: FrameContent[] = [];
  readonly #decoder = new FrameDecoder();
  #waiting: (() => void)[] = [];
  #closed = false;

  push(bytes: Uint8Array): void {
    this.#decoder.push(bytes);
    for (let next = this.#decoder.next(); next !== null; next = this.#decoder.next()) {
      if (next.kind === "broken") throw new Error(`the server wrote no frame: ${next.reason}`);
      this.frames.push(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(next.bytes)));
    }
    this.#wake();
  }

  /** No more will come. */
  close(): void {
    this.#closed = true;
    this.#wake();
  }

  get messages(): readonly FromServer[] {
    return this.frames.filter((each): each is FromServer => !Array.isArray(each));
  }

  notifications(method: string): NonNullable<FromServer["params"]>[] {
    return this.messages.filter((each) => each.method === method).map((each) => each.params ?? {});
  }

  /** What `find` finds in all that came and will come. */
  async when<T>(what: string, find: () => T | undefined): Promise<T> {
    for (;;) {
      const found = find();
      if (found !== undefined) return found;
      if (this.#closed)
        throw new Error(`${what} did not come; what came: ${JSON.stringify(this.frames).slice(0, 2000)}`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** The reply to a request, the `nth` of them from 0. */
  reply(id: string | number | null, nth = 0): Promise<FromServer> {
    const isReply = (each: FromServer): boolean => each.method === undefined && each.id === id;
    return this.when(`reply ${nth} to ${JSON.stringify(id)}`, () => this.messages.filter(isReply)[nth]);
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

/** Sends requests with ids of its own and answers their results. */
export abstract class Client {
  readonly heard = new Listener();
  #lastId = 0;

  abstract raw(bytes: string | Uint8Array): void;

  send(...messages: readonly unknown[]): void {
    this.raw(Buffer.concat(messages.map(frame)));
  }

  /** Sends a request and answers its id. */
  ask(method: string, params?: unknown): string {
    const id = `ask-${++this.#lastId}`;
    this.send({ jsonrpc: "2.0", id, method, ...(params === undefined ? {} : { params }) });
    return id;
  }

  notify(method: string, params?: unknown): void {
    this.send({ jsonrpc: "2.0", method, ...(params === undefined ? {} : { params }) });
  }

  call(method: string, params?: unknown): Promise<FromServer> {
    return this.heard.reply(this.ask(method, params));
  }

  /** The result of a request that must succeed. */
  async result<T>(method: string, params?: unknown): Promise<T> {
    const reply = await this.call(method, params);
    if (reply.error !== undefined) throw new Error(`${method}: ${JSON.stringify(reply.error)}`);
    return reply.result as T;
  }

  async failure(method: string, params?: unknown): Promise<NonNullable<FromServer["error"]>> {
    const reply = await this.call(method, params);
    if (reply.error === undefined) throw new Error(`${method} succeeded: ${JSON.stringify(reply.result)}`);
    return reply.error;
  }

  initialize(params: Readonly<Record<string, unknown>> = {}): Promise<Readonly<Record<string, unknown>>> {
    return this.result("initialize", { protocolVersion: 1, ...params });
  }
}
