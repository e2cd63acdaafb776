/** A session of the server in this process, on the fake kernel and a real database. */
import { serve } from "../../rpc/server.ts";
import { createSessionService, type SessionService } from "../../src/service/session.ts";
import type { TestBed } from "./fake-host.ts";
import { Client } from "./rpc-session.ts";

export class Served extends Client {
  readonly exitCode: Promise<number>;
  /** While it is set, nothing that the server writes is taken. */
  #gate: PromiseWithResolvers<void> | null = null;
  #gone = false;
  #chunks: Uint8Array[] = [];
  #more = Promise.withResolvers<void>();
  #ended = false;
  readonly #signal = new AbortController();

  constructor(bed: TestBed, change: (service: SessionService) => SessionService = (service) => service) {
    super();
    this.exitCode = serve({
      input: this.#input(),
      output: (bytes) => this.#output(bytes),
      service: change(createSessionService(bed.runtime)),
      signal: this.#signal.signal,
      clientProcessId: null,
    }).finally(() => this.heard.close());
  }

  raw(bytes: string | Uint8Array): void {
    this.#chunks.push(typeof bytes === "string" ? Buffer.from(bytes) : bytes);
    this.#more.resolve();
  }

  end(): void {
    this.#ended = true;
    this.#more.resolve();
  }

  interrupt(): void {
    this.#signal.abort();
  }

  stopReading(): void {
    this.#gate = Promise.withResolvers();
  }

  readOn(): void {
    this.#gate?.resolve();
    this.#gate = null;
  }

  /** The client has gone: whatever is written now fails. */
  vanish(): void {
    this.#gone = true;
    this.readOn();
  }

  async *#input(): AsyncGenerator<Uint8Array> {
    for (;;) {
      yield* this.#chunks.splice(0);
      if (this.#ended && this.#chunks.length === 0) return;
      if (this.#chunks.length > 0) continue;
      this.#more = Promise.withResolvers();
      await this.#more.promise;
    }
  }

  async #output(bytes: Uint8Array): Promise<void> {
    if (this.#gate !== null) await this.#gate.promise;
    if (this.#gone) throw Object.assign(new Error("EPIPE: broken pipe, write"), { code: "EPIPE" });
    this.heard.push(bytes);
  }
}
