/** Results of operations that go on until they are ended: passed on as notifications, as many as the client allows. */
import { parseForWriting } from "../src/domain/exact-json.ts";
import type { Context } from "../src/service/invoke.ts";
import { wrongField } from "./errors.ts";
import type { ProgressToken, ServerNotifications, StreamParam } from "./protocol.ts";

export interface StreamsOptions {
  notify<Name extends "stream/didRead">(name: Name, params: ServerNotifications[Name]): void;
  /** True while the client reads too slowly. */
  isBehind(): boolean;
}

interface Stream {
  /** How many results the client takes. */
  credits: number;
}

export class Streams {
  readonly #options: StreamsOptions;
  readonly #open = new Map<ProgressToken, Stream>();

  constructor(options: StreamsOptions) {
    this.#options = options;
  }

  /** Calls `run` with a sink that sends results to the client. What it does not take now stays where it is. */
  async during<T>(
    { token, credits }: StreamParam,
    run: (sink: NonNullable<Context["sink"]>) => Promise<T>,
  ): Promise<T> {
    if (this.#open.has(token)) throw wrongField("stream.token", "another request in flight has that token");
    const { notify, isBehind } = this.#options;
    const stream: Stream = { credits };
    const decoder = new TextDecoder();
    let text = "";
    this.#open.set(token, stream);
    try {
      return await run({
        separator: "\n",
        room: () => (isBehind() ? 0 : stream.credits),
        write(bytes) {
          text += decoder.decode(bytes, { stream: true });
          return true;
        },
        deliver(count) {
          stream.credits -= count;
          const results = parseForWriting(`[${text.trimEnd().replaceAll("\n", ",")}]`) as readonly unknown[];
          text = "";
          notify("stream/didRead", { token, results });
        },
      });
    } finally {
      this.#open.delete(token);
    }
  }

  /** Ignores a stream that has ended meanwhile. */
  allow({ token, credits }: StreamParam): void {
    const stream = this.#open.get(token);
    if (stream !== undefined) stream.credits = Math.min(stream.credits + credits, Number.MAX_SAFE_INTEGER);
  }
}
