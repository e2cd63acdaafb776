/** A child process that answers JSON-RPC requests, for the benchmarks of the server. */
import { readFileSync } from "node:fs";
import { FrameDecoder } from "../../rpc/frame-decoder.ts";
import { BPFMAN, type Env } from "./measure.ts";

interface Reply {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: unknown;
}

/** A child process that answers requests. */
export class Peer {
  readonly #child: Bun.Subprocess<"pipe", "pipe", "inherit">;
  readonly #waiting = new Map<number, (reply: Reply) => void>();
  #lastId = 0;

  constructor(command: readonly string[], env: Env = {}) {
    this.#child = Bun.spawn([...command], { env: { ...process.env, ...env }, stdio: ["pipe", "pipe", "inherit"] });
    this.#listen();
  }

  get pid(): number {
    return this.#child.pid;
  }

  get residentMiB(): number {
    const status = readFileSync(`/proc/${this.#child.pid}/status`, "utf8");
    return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) / 1024;
  }

  /** Throws if the peer answers with an error. */
  async call<T>(method: string, params: unknown): Promise<T> {
    const id = ++this.#lastId;
    const { promise, resolve } = Promise.withResolvers<Reply>();
    this.#waiting.set(id, resolve);
    this.#send({ jsonrpc: "2.0", id, method, params });
    const { result, error } = await promise;
    if (error !== undefined) throw new Error(`${method}: ${JSON.stringify(error)}`);
    return result as T;
  }

  /** Cancels the request that was sent last. */
  cancel(): void {
    this.#send({ jsonrpc: "2.0", method: "$/cancelRequest", params: { id: this.#lastId } });
  }

  async end(): Promise<void> {
    this.#child.stdin.end();
    await this.#child.exited;
  }

  async terminate(): Promise<void> {
    this.#child.kill("SIGTERM");
    await this.#child.exited;
  }

  #send(message: unknown): void {
    const body = JSON.stringify(message);
    this.#child.stdin.write(`Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
    this.#child.stdin.flush();
  }

  async #listen(): Promise<void> {
    const decoder = new FrameDecoder();
    for await (const chunk of this.#child.stdout) {
      decoder.push(chunk);
      for (let frame = decoder.next(); frame !== null; frame = decoder.next()) {
        if (frame.kind === "broken") throw new Error(frame.reason);
        const reply: Reply = JSON.parse(Buffer.from(frame.bytes).toString());
        this.#waiting.get(reply.id)?.(reply);
        this.#waiting.delete(reply.id);
      }
    }
  }
}

export async function startSession(env: Env): Promise<Peer> {
  const peer = new Peer([BPFMAN, "rpc"], env);
  await peer.call("initialize", { protocolVersion: 1 });
  return peer;
}
