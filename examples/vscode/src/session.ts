/** The editor's session with bpfman: an up-to-date listing, counters, and the operations. Independent of the editor. */
import {
  type CallableMethod,
  type Client,
  DisconnectedError,
  RpcError,
  startClient,
} from "../../../rpc/client/client.ts";
import type { ParamsOf, ResultOf } from "../../../rpc/protocol.ts";
import type {
  CompleteAnswer,
  DispatcherDetailAnswer,
  LinkListAnswer,
  MapEventAnswer,
  MapListAnswer,
  ProgramListAnswer,
  TraceLineAnswer,
} from "../../../src/domain/answer.ts";
import type { ProgramStatsAnswer, StatsAnswer } from "../../../src/domain/stats-answer.ts";
import { type AttachTarget, selectorOf } from "./attach-form.ts";

export type ProgramEntry = ProgramListAnswer["programs"][number];
export type LinkEntry = LinkListAnswer["links"][number];
export type MapEntry = MapListAnswer["maps"][number];
export type ChainMember = DispatcherDetailAnswer["members"][number];

/** A program with its links and maps. */
export interface ProgramNode {
  readonly program: ProgramEntry;
  readonly links: readonly LinkEntry[];
  readonly maps: readonly MapEntry[];
}

/** What bpfman has on this machine. */
export interface Machine {
  readonly programs: readonly ProgramNode[];
  /** Hooks on which several programs run in order. */
  readonly chains: readonly DispatcherDetailAnswer[];
}

export interface SessionOptions {
  /** Helper, executable and arguments. */
  readonly command: readonly [string, ...string[]];
  readonly cleanup: boolean;
  onLog(text: string): void;
  /** Called when this session or anybody else has changed the listing. */
  onChange(machine: Machine): void;
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
/** How many results of a source may come before the page has shown them. */
const EVENTS_AHEAD = 1000;

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
  #managed: readonly number[] = [];

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

  /** Reads the lists and passes them on. */
  async refresh(): Promise<void> {
    const [{ programs }, { links }, { maps }, { dispatchers }] = await Promise.all([
      this.#client.call("program/list", { view: "summary" }),
      this.#client.call("link/list"),
      this.#client.call("map/list", { view: "summary" }),
      this.#client.call("dispatcher/list"),
    ]);
    const several = dispatchers.filter(({ mode }) => mode === "chain");
    const chains = await Promise.all(several.map(({ key }) => this.#chain(key)));
    this.#managed = programs.map(({ program_id: id }) => id);
    this.#options.onChange({
      programs: programs.map((program) => ({
        program,
        links: links.filter((link) => link.program_id === program.program_id),
        maps: maps.filter((map) => map.programs.includes(program.program_id)),
      })),
      chains: chains.filter((chain) => chain !== null),
    });
  }

  /** Null if it went meanwhile. */
  async #chain(key: DispatcherDetailAnswer["key"]): Promise<DispatcherDetailAnswer | null> {
    try {
      return await this.#client.call("dispatcher/get", key as ParamsOf<"dispatcher/get">);
    } catch (cause) {
      if (cause instanceof RpcError && cause.data?.kind === "not-found") return null;
      throw cause;
    }
  }

  /** Any operation. */
  call<Name extends CallableMethod>(
    method: Name,
    params: ParamsOf<Name>,
    signal?: AbortSignal,
  ): Promise<ResultOf<Name>> {
    const call = this.#client.call.bind(this.#client) as (...given: unknown[]) => Promise<ResultOf<Name>>;
    return call(method, params, signal === undefined ? {} : { signal });
  }

  /** Counts the runs of bpfman's programs, an interval after the other, until the signal or the end. */
  async count(
    { intervalMs, members }: { readonly intervalMs: number; members(): boolean },
    listener: (counted: StatsAnswer) => void,
    signal: AbortSignal,
  ): Promise<void> {
    while (!signal.aborted && !this.#closed) {
      const programIds = [...this.#managed];
      try {
        // Without a program, all of the kernel would be counted.
        if (programIds.length === 0) await new Promise((done) => setTimeout(done, intervalMs));
        else listener(await this.call("program/stats", { programIds, intervalMs, members: members() }, signal));
      } catch (cause) {
        if (signal.aborted || cause instanceof DisconnectedError) return;
        // One of them went meanwhile: the listing is about to say so.
        if (!(cause instanceof RpcError)) throw cause;
        await new Promise((done) => setTimeout(done, intervalMs));
      }
    }
  }

  /** Follows what a buffer passes on, or with null, what all programs print; until the signal. */
  async follow(
    source: number | string | null,
    listener: (results: readonly (MapEventAnswer | TraceLineAnswer)[]) => void | Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    const options = { signal, window: EVENTS_AHEAD };
    try {
      if (source === null) await this.#client.stream("trace", {}, listener, options);
      else await this.#client.stream("map/events", { source }, listener, options);
    } catch (cause) {
      if (!signal.aborted) throw cause;
    }
  }

  /** The candidates for a value, as the server completes them. */
  async complete(
    what: ParamsOf<"complete">["what"],
    prefix: string,
    file: string | null = null,
  ): Promise<CompleteAnswer["values"]> {
    return (await this.#client.call("complete", { what, prefix, file })).values;
  }

  /** The programs of an object file, in the form that `load` takes, each with its ELF section. */
  programsIn(file: string): Promise<CompleteAnswer["values"]> {
    return this.complete("object-program", "", file);
  }

  /** The newest program that was loaded from a source by that name; null for none. */
  async newestOf(path: string, name: string): Promise<ProgramEntry | null> {
    const { programs } = await this.#client.call("program/list", { view: "full" });
    const from = programs.filter(
      ({ function_name, record }) => function_name === name && record?.load.source_path === path,
    );
    return from.toSorted((a, b) => a.program_id - b.program_id).at(-1) ?? null;
  }

  /** Loads programs from an object file. */
  async load({ file, programs, signal }: LoadOptions): Promise<void> {
    await this.call("program/load", { source: { file }, programs: programs.map(selectorOf) }, signal);
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

/** `1,203/s`, or nothing where the kernel did not count. */
export const rateOf = (runs: Pick<ProgramStatsAnswer, "runs_per_second"> | undefined): string | null =>
  runs?.runs_per_second == null ? null : `${runs.runs_per_second.toLocaleString("en-US")}/s`;

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
