/** The editor's session with bpfman: an up-to-date listing, and the operations. Independent of the editor. */
import { type Client, startClient } from "../../../rpc/client/client.ts";
import type { CompleteAnswer, LinkListAnswer, ProgramListAnswer } from "../../../src/domain/answer.ts";
import { type AttachTarget, selectorOf } from "./attach-form.ts";

export type ProgramEntry = ProgramListAnswer["programs"][number];
export type LinkEntry = LinkListAnswer["links"][number];

/** A program with its links. */
export interface ProgramNode {
  readonly program: ProgramEntry;
  readonly links: readonly LinkEntry[];
}

export interface SessionOptions {
  /** Helper, executable and arguments. */
  readonly command: readonly [string, ...string[]];
  readonly cleanup: boolean;
  onLog(text: string): void;
  /** Called when this session or anybody else has changed the listing. */
  onChange(programs: readonly ProgramNode[]): void;
  /** Called once when the server is gone, unless this side ended it. */
  onEnd(reason: string): void;
}

export interface LoadOptions {
  readonly file: string;
  /** Each as TYPE:NAME, or TYPE:NAME:FUNCTION. */
  readonly programs: readonly string[];
  readonly signal?: AbortSignal;
}

/** Changes come in bursts; the lists are read once for all changes within this time. */
const QUIET_MS = 50;

export async function openSession(options: SessionOptions): Promise<Session> {
  const { command, cleanup, onLog } = options;
  const client = await startClient({ command, cleanup, onLog, clientInfo: { name: "bpfman for Visual Studio Code" } });
  const session = new Session(client, options);
  try {
    await session.begin();
  } catch (cause) {
    await client.dispose();
    throw cause;
  }
  return session;
}

export class Session {
  readonly #client: Client;
  readonly #options: SessionOptions;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #closed = false;

  constructor(client: Client, options: SessionOptions) {
    this.#client = client;
    this.#options = options;
  }

  async begin(): Promise<void> {
    // Subscribe before listing, so that a change in between is reported and causes a refresh.
    await this.#client.subscribe({}, () => this.#changed());
    await this.refresh();
    this.#client.closed.then((reason) => {
      if (!this.#closed) this.#options.onEnd(reason);
    });
  }

  /** Reads both lists and passes them on. */
  async refresh(): Promise<void> {
    const [{ programs }, { links }] = await Promise.all([
      this.#client.call("program/list", { view: "summary" }),
      this.#client.call("link/list"),
    ]);
    this.#options.onChange(
      programs.map((program) => ({ program, links: links.filter((link) => link.program_id === program.program_id) })),
    );
  }

  /** The programs of an object file, in the form that `load` takes, each with its ELF section. */
  async programsIn(file: string): Promise<CompleteAnswer["values"]> {
    return (await this.#client.call("complete", { what: "object-program", prefix: "", file })).values;
  }

  /** Names of the network interfaces of the machine. */
  async interfaces(): Promise<string[]> {
    return (await this.#client.call("complete", { what: "interface", prefix: "" })).values.map(({ value }) => value);
  }

  /** Loads programs from an object file. */
  async load({ file, programs, signal }: LoadOptions): Promise<void> {
    const params = { source: { file }, programs: programs.map(selectorOf) };
    await this.#client.call("program/load", params, signal === undefined ? {} : { signal });
  }

  async attach(programId: number, attach: AttachTarget): Promise<void> {
    await this.#client.call("link/attach", { programId, attach });
  }

  async detach(linkId: number): Promise<void> {
    await this.#client.call("link/detach", { linkId });
  }

  async unload(programId: number): Promise<void> {
    await this.#client.call("program/unload", { programId });
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#client.dispose();
  }

  #changed(): void {
    if (this.#closed || this.#timer !== null) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.refresh().catch((cause) => this.#options.onLog(`refresh: ${cause}\n`));
    }, QUIET_MS);
  }
}

/** Where a link is attached, in a few words. */
export function placeOf({ kind, details }: LinkEntry): string {
  if ("interface" in details) {
    const direction = "direction" in details ? ` ${details.direction}` : "";
    return `${kind} on ${details.interface}${direction}, priority ${details.priority}`;
  }
  if ("group" in details) return `${kind} ${details.group}/${details.name}`;
  if ("pattern" in details) return `${kind} ${"target" in details ? `${details.target} ` : ""}${details.pattern}`;
  if ("iterator" in details) return `${kind} ${details.iterator}`;
  if ("event" in details) return `${kind} ${details.event}`;
  if ("tracepoint" in details) return `${kind} ${details.tracepoint}`;
  if ("target" in details) return `${kind} ${details.target} ${details.fn_name ?? `+${details.offset}`}`;
  if ("target_program_id" in details) return `${kind} ${details.fn_name} of program ${details.target_program_id}`;
  if ("cgroup" in details) return `${kind} on ${details.cgroup}`;
  if ("hook" in details) return `${kind} on ${details.protocol} ${details.hook}, priority ${details.priority}`;
  if ("netns" in details) return `${kind} in ${details.netns ?? "this network namespace"}`;
  return `${kind} ${"hook_name" in details ? details.hook_name : details.fn_name}`;
}
