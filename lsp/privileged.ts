/** The process with privileges: `bpfman rpc`, which gets the bytes of objects and no path of a source to read. */
import {
  type CallOptions,
  type CallableMethod,
  type Client,
  DisconnectedError,
  RpcError,
  startClient,
} from "../rpc/client/client.ts";
import { BpfmanError } from "../src/errors/error.ts";
import { reasonOf } from "../src/errors/sys-failure.ts";
import type { ParamsOf, ResultOf } from "../rpc/protocol.ts";

/** Nothing can be asked, which was said once; `message` says why and what to set. */
export class NoHelper extends Error {
  override readonly name = "NoHelper";
}

const HOW =
  'Set "command" in the initialization options of this language server, or its --helper, to a command that starts ' +
  '"bpfman rpc" with that privilege, for example sudo -n bpfman rpc';

interface Running {
  readonly client: Promise<Client>;
  /** Ends it while it starts. */
  readonly starting: AbortController;
}

export class Helper {
  /** What the user chose; null for this executable itself. */
  #command: readonly string[] | null;
  readonly #own: readonly string[];
  readonly #notify: (message: string) => void;
  #running: Running | null = null;
  /** Why it is not started again, until something is changed. */
  #refused: string | null = null;

  /** `notify` is called once for each reason why nothing can be asked. */
  constructor(command: readonly string[] | null, own: readonly string[], notify: (message: string) => void) {
    this.#command = command;
    this.#own = own;
    this.#notify = notify;
  }

  /** Sets the command, and tries again, without waiting for the end of the one before: that may hang. */
  restart(command: readonly string[] | null = this.#command): void {
    this.#command = command;
    this.#refused = null;
    this.end().catch(() => {});
  }

  /** Starts it ahead of a call. */
  prepare(): void {
    if (this.#refused !== null) return;
    this.#running ??= this.#start();
    // The call says why it could not be started.
    this.#running.client.catch(() => {});
  }

  /** Throws NoHelper, RpcError, DisconnectedError if it died during the call. */
  async call<Name extends CallableMethod>(
    method: Name,
    params: ParamsOf<Name>,
    options: CallOptions = {},
  ): Promise<ResultOf<Name>> {
    if (this.#refused !== null) throw new NoHelper(this.#refused);
    this.#running ??= this.#start();
    const running = this.#running;
    let client: Client;
    try {
      client = await unlessAborted(running.client, options.signal);
    } catch (thrown) {
      if (options.signal?.aborted) throw thrown;
      // It was restarted meanwhile: that asks anew.
      if (this.#running !== running) throw new NoHelper("the helper was restarted meanwhile: try again");
      throw this.#give(`"${this.#words().join(" ")}": ${reasonOf(thrown)}`);
    }
    try {
      return await (client.call as (...given: unknown[]) => Promise<ResultOf<Name>>).call(
        client,
        method,
        params,
        options,
      );
    } catch (thrown) {
      if (thrown instanceof DisconnectedError && this.#running === running) this.#running = null;
      if (!(thrown instanceof RpcError) || thrown.data?.code !== "PERMISSION_DENIED") throw thrown;
      // Another of the operations may be allowed, but not the one for which it is there.
      if (method !== "object/check") throw thrown;
      await this.end();
      throw this.#give(thrown.message);
    }
  }

  async end(): Promise<void> {
    const running = this.#running;
    this.#running = null;
    running?.starting.abort();
    const client = await running?.client.catch(() => null);
    await client?.dispose();
  }

  #words(): readonly string[] {
    return this.#command ?? this.#own;
  }

  #start(): Running {
    const [executable = "bpfman", ...words] = this.#words();
    // Without a terminal, sudo fails instead of asking for a password where the editor is.
    const starting = new AbortController();
    const client = startClient({
      command: [executable, ...words],
      clientInfo: { name: "bpfman lsp" },
      detached: true,
      signal: starting.signal,
    });
    return { client, starting };
  }

  #give(reason: string): NoHelper {
    this.#running = null;
    const isNew = this.#refused === null;
    const ask = this.#command === null ? HOW : HOW.replace("Set", "Change");
    this.#refused = `programs are compiled, but not checked by the kernel: ${reason.trim()}. ${ask}`;
    if (isNew) this.#notify(this.#refused);
    return new NoHelper(this.#refused);
  }
}

/** Throws as soon as the signal is aborted: a helper may wait for a password before it answers. */
function unlessAborted<T>(running: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return running;
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(new BpfmanError("CANCELLED", "cancelled before the helper was there"));
  if (signal.aborted) abort();
  else signal.addEventListener("abort", abort, { once: true });
  return Promise.race([running, promise]).finally(() => signal.removeEventListener("abort", abort));
}
