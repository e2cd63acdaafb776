/** Replaces the library's reader, which buffers without limit, hangs on a malformed header, and drops invalid JSON. */
import { AbstractMessageReader, type DataCallback, type Disposable } from "vscode-jsonrpc/node";
import { reasonOf } from "../src/errors/sys-failure.ts";
import { FrameDecoder } from "./frame-decoder.ts";
import { type Parsed, parseJson } from "./json.ts";

/** How the input ended: at its end, or because the start of the next frame is unknown. */
export type InputEnd = { readonly kind: "ended" } | { readonly kind: "broken"; readonly reason: string };

export interface ReaderOptions {
  /** Read only while there is room for the requests and their replies. */
  readonly input: AsyncIterable<Uint8Array>;
  /** Handles the contents of a frame. */
  receive(parsed: Parsed, deliver: DataCallback): void;
  /** Null if more may be read now; otherwise resolves when it may. */
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

  /** Resolves when all input has been handled. */
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

  /** Ignores all further input. */
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
