import type { ProgramId } from "../../domain/ids.ts";
import { programId } from "../../domain/ids.ts";
import { programTypeText } from "../../domain/kernel-words.ts";
import { applicationOf } from "../../domain/program.ts";
import type { ProgramStatsAnswer, StatsAnswer } from "../../domain/stats-answer.ts";
import { BpfmanError } from "../../errors/error.ts";
import type { Host, NamedProcess } from "../../platform/host.ts";
import type { ProgramRuns, RunCounts } from "../../platform/kernel.ts";
import { type Context, operation } from "../operation.ts";
import { programIdOf, programMissing } from "../require-record.ts";
import { type StatsRequest, statsRequest } from "../requests/stats-requests.ts";
import { type Chain, chainAnswers, chainsOf, type MemberRuns, MemberWatches, runsInChains } from "../stats/chains.ts";
import { runsAnswer } from "../stats/runs-answer.ts";
import { pause } from "../wait.ts";

/** BPF_PROG_TYPE_EXT (include/uapi/linux/bpf.h): the kernel never counts its runs. */
const EXTENSION = 28;

type Facts = Pick<ProgramStatsAnswer, "program_id" | "name" | "type" | "managed" | "application"> & {
  /** A dispatcher or a twin of bpfman's. */
  readonly isOwn: boolean;
  readonly isTwin: boolean;
  readonly isExtension: boolean;
};

interface Reading extends RunCounts {
  /** In milliseconds. */
  readonly at: number;
  readonly facts: Facts;
}

/** Has the kernel count if it can; otherwise `reason` says why not. */
function startCounting(host: Host): { readonly reason: string | null; close(): void } {
  try {
    return { reason: null, ...host.kernel.countRuns() };
  } catch (thrown) {
    if (!(thrown instanceof BpfmanError)) throw thrown;
    return { reason: host.kernel.countsRuns() ? null : thrown.message, close: () => {} };
  }
}

/** All programs in the kernel; only bpfman's own without CAP_SYS_ADMIN. */
function programIds(host: Host): readonly ProgramId[] {
  try {
    return host.kernel.programIds();
  } catch (thrown) {
    if (!(thrown instanceof BpfmanError) || thrown.code !== "PERMISSION_DENIED") throw thrown;
    return host.store.programSummaries().map(({ id }) => id);
  }
}

/** The request, with the IDs of programs that were named. */
type Wanted = Omit<StatsRequest, "programIds"> & { readonly programIds: readonly ProgramId[] };

/** Measures intervals, one after the other. */
class Meter {
  readonly #host: Host;
  readonly #request: Wanted;
  readonly #wanted: ReadonlySet<number>;
  /** Of programs that bpfman did not load. */
  readonly #names = new Map<ProgramId, string>();
  #holders: ReadonlyMap<ProgramId, readonly NamedProcess[]> = new Map();
  /** The programs that were there when holders were looked for. */
  #lookedFor: ReadonlySet<ProgramId> = new Set();
  #before = new Map<ProgramId, Reading>();
  #chains: readonly Chain[] = [];
  #startedAt = 0;
  readonly #watches: MemberWatches | null;

  constructor(host: Host, request: Wanted) {
    this.#host = host;
    this.#request = request;
    this.#wanted = new Set(request.programIds);
    this.#watches = request.members ? new MemberWatches(host) : null;
  }

  async begin(signal: AbortSignal): Promise<void> {
    const host = this.#host;
    const missing = this.#request.programIds.find((id) => host.kernel.programRuns(id) === null);
    if (missing !== undefined) throw programMissing(host, missing);
    await this.#follow(signal);
    this.#startedAt = performance.now();
    this.#before = this.#read();
    await this.#findHolders();
  }

  /** Looks for programs and members that are new since the last answer. */
  async goOn(signal: AbortSignal): Promise<void> {
    await this.#follow(signal);
    await this.#findHolders();
  }

  async #follow(signal: AbortSignal): Promise<void> {
    this.#chains = chainsOf(this.#host);
    await this.#watches?.follow(this.#chains, signal);
  }

  /** Looks for the holders of programs that are not bpfman's, if there are new ones. */
  async #findHolders(): Promise<void> {
    const foreign = [...this.#before].flatMap(([id, { facts }]) => (facts.managed || facts.isOwn ? [] : id));
    if (foreign.every((id) => this.#lookedFor.has(id))) return;
    this.#holders = await this.#host.processes.programHolders();
    this.#lookedFor = new Set(foreign);
  }

  /** The name in full, which takes the program's BTF. */
  #wholeName(id: ProgramId, runs: ProgramRuns): string {
    const known = this.#names.get(id);
    if (known?.startsWith(runs.name) === true) return known;
    const name = this.#host.kernel.wholeName({ id, ...runs });
    this.#names.set(id, name);
    return name;
  }

  /** What bpfman knows of programs: it may have loaded more since the last reading. */
  #known(): (id: ProgramId, runs: ProgramRuns) => Facts {
    const { store, pins } = this.#host;
    const records = new Map(store.programSummaries().map((record) => [record.id, record]));
    const own = store
      .dispatchers()
      .flatMap((record) => store.recordedPins(pins.paths.revision(record, record.revision)));
    const twins = new Set<number>(own.filter(({ path }) => /\/twin_[0-9]+$/.test(path)).map(({ id }) => id));
    const ownIds = new Set<number>(own.filter(({ kind }) => kind === "program").map(({ id }) => id));
    return (id, runs) => {
      const record = records.get(id);
      return {
        program_id: id,
        name: record?.name ?? this.#wholeName(id, runs),
        type: record?.type ?? programTypeText(runs.type),
        managed: record !== undefined,
        application: record === undefined ? null : applicationOf(record.metadata),
        isOwn: ownIds.has(id),
        isTwin: twins.has(id),
        isExtension: runs.type === EXTENSION,
      };
    };
  }

  #read(): Map<ProgramId, Reading> {
    const { kernel } = this.#host;
    const isOthers = (id: ProgramId): boolean => this.#watches?.counts(id) !== true;
    const ids = this.#wanted.size === 0 ? programIds(this.#host).filter(isOthers) : [...this.#wanted].map(programId);
    const factsOf = this.#known();
    const found = new Map<ProgramId, Reading>();
    for (const id of ids) {
      const runs = kernel.programRuns(id);
      if (runs === null) continue;
      const at = performance.now();
      const facts = factsOf(id, runs);
      if (facts.isTwin && this.#wanted.size === 0) continue;
      found.set(id, { facts, runs: runs.runs, timeNs: runs.timeNs, at });
    }
    return found;
  }

  /** Waits until the interval is over. Throws CANCELLED. */
  async interval(context: Context): Promise<void> {
    const left = this.#startedAt + this.#request.intervalMs - performance.now();
    await pause(this.#host, Math.max(0, left), { signal: context.signal, what: "nothing was measured to the end" });
  }

  /** The answer for what was counted since the last one. */
  answer(notCounted: string | null): StatsAnswer {
    const read = this.#watches?.read() ?? new Map<ProgramId, MemberRuns>();
    const now = this.#read();
    const chains = this.#chains;
    const startedAt = this.#startedAt;
    const before = this.#before;
    const endedAt = performance.now();
    this.#startedAt = endedAt;
    this.#before = now;
    const chained = new Set(
      chains.flatMap(({ members }) => members.flatMap((each) => (each.inDispatcher ? each.link.programId : []))),
    );
    const programs: ProgramStatsAnswer[] = [];
    for (const [id, reading] of now) {
      const first = before.get(id);
      if (first === undefined) continue;
      const { facts } = reading;
      const inChain = chained.has(id);
      const counts = inChain ? runsInChains(chains, read, id) : { runs: 0, timeNs: 0 };
      const counted = notCounted === null && !facts.isExtension && counts !== null;
      programs.push(
        this.#programAnswer(facts, inChain, {
          elapsedMs: reading.at - first.at,
          counts: counted
            ? {
                runs: reading.runs - first.runs + counts.runs,
                timeNs: reading.timeNs - first.timeNs + counts.timeNs,
              }
            : null,
        }),
      );
    }
    return {
      interval_ms: Math.round(endedAt - startedAt),
      not_counted: notCounted,
      programs: programs.sort((a, b) => a.program_id - b.program_id),
      ...(this.#watches === null
        ? {}
        : {
            chains: chainAnswers(this.#host, { chains, read, programs: this.#wanted }),
            members_not_counted: this.#watches.reason,
          }),
    };
  }

  #programAnswer(
    { isOwn, isTwin: _, isExtension: __, ...facts }: Facts,
    inChain: boolean,
    { counts, elapsedMs }: { readonly counts: RunCounts | null; readonly elapsedMs: number },
  ): ProgramStatsAnswer {
    const ours = facts.managed || isOwn;
    const holders = ours ? [] : (this.#holders.get(programId(facts.program_id)) ?? []);
    return {
      ...facts,
      owner: ours ? "bpfman" : (holders[0]?.name ?? null),
      owner_pids: holders.map(({ pid }) => pid),
      in_chain: inChain,
      ...runsAnswer(counts, elapsedMs),
    };
  }

  close(): void {
    this.#watches?.close();
  }
}

async function stats(host: Host, request: StatsRequest, context: Context): Promise<StatsAnswer> {
  const { sink, signal } = context;
  const ids = request.programIds.map((named) => programIdOf(host, named, context));
  const counting = startCounting(host);
  const meter = new Meter(host, { ...request, programIds: ids });
  try {
    await meter.begin(signal);
    for (;;) {
      await meter.interval(context);
      const answer = meter.answer(counting.reason);
      // With somebody to take them, one measurement follows another until that is enough.
      if (sink === null || !sink.write(new TextEncoder().encode(`${JSON.stringify(answer)}${sink.separator}`)))
        return answer;
      await meter.goOn(signal);
    }
  } finally {
    meter.close();
    counting.close();
  }
}

export const implementation = operation({ request: statsRequest, run: stats });
