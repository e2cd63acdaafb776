/** The library's own reader buffers without limit, stops for ever at a malformed header, and drops what is no JSON. */
import { AbstractMessageReader, type DataCallback, type Disposable } from "vscode-jsonrpc/node";
import { reasonOf } from "../src/errors/sys-failure.ts";
import { FrameDecoder } from "./frame-decoder.ts";
import { type Parsed, parseJson } from "./json.ts";

/** How the input ended: by itself, or because nobody knows where the next frame begins. */
export type InputEnd = { readonly kind: "ended" } | { readonly kind: "broken"; readonly reason: string };

export interface ReaderOptions {
  /** Bytes are taken from it only when there is room for what they ask. */
  readonly input: AsyncIterable<Uint8Array>;
  /** Takes what was in a frame. */
  receive(parsed: Parsed, deliver: DataCallback): void;
  /** Resolves when more may be read. */
  room(): Promise<void> | null;
}

export class BoundedReader extends AbstractMessageReader {
  readonly #options: ReaderOptions;
  readonly #ended = Promise.withResolvers<InputEnd>();
  #stopped = false;

  constructor(options: ReaderOptions) {
    super();
    this.#options = options;
  }

  /** Resolves when all that came in has been taken. */
  get ended(): Promise<InputEnd> {
    return this.#ended.promise;
  }

  override listen(deliver: DataCallback): Disposable {
    this.#read(deliver).then(this.#ended.resolve, (thrown: unknown) => {
      const reason = reasonOf(thrown);
      this.#ended.resolve({ kind: "broken", reason: `the input cannot be read: ${reason}` });
    });
    return { dispose: () => this.stop() };
  }

  /** Nothing that comes from now on is looked at. */
  stop(): void {
    this.#stopped = true;
    this.#ended.resolve({ kind: "ended" });
  }

  async #read(deliver: DataCallback): Promise<InputEnd> {
    const { input, receive, room } = this.#options;
    const decoder = new FrameDecoder();
    for await (const chunk of input) {
      decoder.push(chunk);
      for (let frame = decoder.next(); frame !== null; frame = decoder.next()) {
        if (this.#stopped) return { kind: "ended" };
        if (frame.kind === "broken") return frame;
        receive(parseJson(frame.bytes), deliver);
        const wait = room();
        if (wait !== null) await wait;
      }
      if (this.#stopped) return { kind: "ended" };
    }
    const last = decoder.end();
    return last !== null && last.kind === "broken" ? last : { kind: "ended" };
  }
}
