/** The executable as a server: a session over pipes. */
import { Client, type FrameContent } from "../fakes/rpc-session.ts";

export interface Ended {
  /** Null when a signal ended it. */
  readonly code: number | null;
  readonly frames: readonly FrameContent[];
  readonly error: string;
}

export class RpcProcess extends Client {
  readonly #child: Bun.Subprocess<"pipe", "pipe", "pipe">;
  readonly ended: Promise<Ended>;

  constructor(command: readonly string[]) {
    super();
    const env = { PATH: process.env.PATH ?? "" };
    this.#child = Bun.spawn([...command], { env, stdio: ["pipe", "pipe", "pipe"] });
    this.ended = this.#listen();
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** A server that has ended takes nothing any more. */
  raw(bytes: string | Uint8Array): void {
    try {
      this.#child.stdin.write(bytes);
      this.#child.stdin.flush();
    } catch {}
  }

  /** The end of its input. */
  async close(): Promise<Ended> {
    await this.#child.stdin.end();
    return this.ended;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async #listen(): Promise<Ended> {
    const error = this.#child.stderr.text();
    for await (const chunk of this.#child.stdout) this.heard.push(chunk);
    const code = await this.#child.exited;
    this.heard.close();
    return { code: this.#child.signalCode === null ? code : null, frames: this.heard.frames, error: await error };
  }
}
