/** bpfman's chains for `stats`: what runs in each slot, and the runs and verdicts of each member while it is watched. */
import { ACTIONS, actionName } from "../../domain/actions.ts";
import type { DispatcherRecord } from "../../domain/dispatcher.ts";
import type { LinkId, ProgramId } from "../../domain/ids.ts";
import type { ChainStatsAnswer, MemberStatsAnswer } from "../../domain/stats-answer.ts";
import { BpfmanError } from "../../errors/error.ts";
import type { Host } from "../../platform/host.ts";
import type { ProgramWatch, RunCounts, WatchedRuns } from "../../platform/kernel.ts";
import { type ChainLink, linksOn } from "../chain/members.ts";
import { runsAnswer } from "./runs-answer.ts";

interface Member {
  readonly link: ChainLink;
  /** The program itself, if it runs directly; otherwise the extension in its slot. Null if it has just gone. */
  readonly runs: ProgramId | null;
  /** The kernel bills its runs to the dispatcher. */
  readonly inDispatcher: boolean;
}

export interface Chain {
  readonly record: DispatcherRecord;
  /** In order. */
  readonly members: readonly Member[];
}

/** All hooks on which bpfman runs XDP or TC programs. */
export function chainsOf(host: Host): Chain[] {
  const links = host.store.links();
  return host.store
    .dispatchers()
    .filter(({ revision }) => revision > 0)
    .map((record) => ({
      record,
      members: linksOn(links, record).map((link) => {
        const inDispatcher = record.programId !== link.programId;
        const slot = link.kernelLinkId === null ? null : host.kernel.link(link.kernelLinkId);
        return { link, inDispatcher, runs: inDispatcher ? (slot?.programId ?? null) : link.programId };
      }),
    }));
}

interface Watched {
  readonly watch: ProgramWatch;
  /** When the last reading was taken, in milliseconds. */
  at: number;
  last: WatchedRuns;
}

/** What members did since the reading before, and in how many milliseconds. */
export interface MemberRuns {
  readonly counts: WatchedRuns;
  readonly elapsedMs: number;
}

const NOTHING: WatchedRuns = { runs: 0, timeNs: 0, verdicts: new Map() };

/** Watches the programs that run as members of chains. Nothing is left of it after `close`, or when this process ends. */
export class MemberWatches {
  readonly #host: Host;
  readonly #watched = new Map<ProgramId, Watched>();
  /** Programs that cannot be watched. */
  readonly #refused = new Set<ProgramId>();
  /** Why members are not watched, or not all of them. */
  reason: string | null = null;

  constructor(host: Host) {
    this.#host = host;
  }

  /** Watches what runs now, and no longer what does not. */
  async follow(chains: readonly Chain[], signal: AbortSignal): Promise<void> {
    const wanted = new Set(chains.flatMap(({ members }) => members.flatMap(({ runs }) => runs ?? [])));
    for (const [id, { watch }] of this.#watched) {
      if (wanted.has(id)) continue;
      watch.close();
      this.#watched.delete(id);
    }
    const missing = [...wanted].filter((id) => !this.#watched.has(id) && !this.#refused.has(id));
    if (missing.length === 0 || !(await this.#isPossible())) return;
    for (const id of missing) {
      if (signal.aborted) return;
      await this.#open(id);
    }
  }

  async #isPossible(): Promise<boolean> {
    if (this.#watched.size > 0) return true;
    const { available, reason } = await this.#host.kernel.feature("tracing");
    if (!available) {
      this.reason = `this kernel has no fentry and fexit programs (${reason ?? "unknown"}), which count members of chains`;
    }
    return available;
  }

  async #open(id: ProgramId): Promise<void> {
    try {
      const watch = await this.#host.kernel.watchProgram(id);
      if (watch !== null) this.#watched.set(id, { watch, at: performance.now(), last: NOTHING });
    } catch (thrown) {
      if (!(thrown instanceof BpfmanError)) throw thrown;
      this.#refused.add(id);
      this.reason ??= thrown.message;
    }
  }

  /** Reports whether a program is one of those that count. */
  counts(id: ProgramId): boolean {
    return [...this.#watched.values()].some(({ watch }) => watch.programs.includes(id));
  }

  /** What each watched program did since the last reading; since it was opened at first. */
  read(): ReadonlyMap<ProgramId, MemberRuns> {
    const found = new Map<ProgramId, MemberRuns>();
    for (const [id, watched] of this.#watched) {
      const now = watched.watch.read();
      const at = performance.now();
      found.set(id, { counts: difference(now, watched.last), elapsedMs: at - watched.at });
      watched.at = at;
      watched.last = now;
    }
    return found;
  }

  close(): void {
    for (const { watch } of this.#watched.values()) watch.close();
    this.#watched.clear();
  }
}

const difference = (now: WatchedRuns, last: WatchedRuns): WatchedRuns => ({
  runs: now.runs - last.runs,
  timeNs: now.timeNs - last.timeNs,
  verdicts: new Map([...now.verdicts].map(([value, count]) => [value, count - (last.verdicts.get(value) ?? 0)])),
});

type Read = ReadonlyMap<ProgramId, MemberRuns>;

/** What a program's members in dispatchers did; null if some were not counted, or it is in none. */
export function runsInChains(chains: readonly Chain[], read: Read, program: ProgramId): RunCounts | null {
  const members = chains
    .flatMap((chain) => chain.members)
    .filter(({ link, inDispatcher }) => inDispatcher && link.programId === program);
  const slots = new Set(members.map(({ runs }) => runs));
  const counts = [...slots].map((slot) => (slot === null ? undefined : read.get(slot)?.counts));
  let sum: RunCounts = NOTHING;
  for (const each of counts) {
    if (each === undefined) return null;
    sum = { runs: sum.runs + each.runs, timeNs: sum.timeNs + each.timeNs };
  }
  return counts.length === 0 ? null : sum;
}

/** The answer for those chains of which one of `programs` is part; for all if it is empty. */
export function chainAnswers(
  host: Host,
  {
    chains,
    read,
    programs,
  }: { readonly chains: readonly Chain[]; readonly read: Read; readonly programs: ReadonlySet<number> },
): ChainStatsAnswer[] {
  const names = new Map(host.store.programSummaries().map(({ id, name }) => [id, name]));
  const linksByProgram = new Map<ProgramId, LinkId[]>();
  for (const { link, runs } of chains.flatMap(({ members }) => members)) {
    if (runs !== null) linksByProgram.set(runs, [...(linksByProgram.get(runs) ?? []), link.id]);
  }
  const answerFor = ({ link, runs }: Member): MemberStatsAnswer => {
    const found = runs === null ? undefined : read.get(runs);
    const { kind, position, priority } = link.details;
    const verdicts = [...(found?.counts.verdicts ?? [])].filter(([, count]) => count > 0);
    return {
      position,
      priority,
      program_id: link.programId,
      program_name: names.get(link.programId) ?? "",
      link_id: link.id,
      ...runsAnswer(found?.counts ?? null, found?.elapsedMs ?? 0),
      verdicts: Object.fromEntries(
        verdicts.map(([value, count]) => [value === null ? "other" : actionName(ACTIONS[kind], value), count]),
      ),
      counted_with: (runs === null ? [] : (linksByProgram.get(runs) ?? [])).filter((id) => id !== link.id),
    };
  };
  const isWanted = ({ record, members }: Chain): boolean =>
    programs.size === 0 ||
    programs.has(record.programId ?? 0) ||
    members.some(({ link, runs }) => programs.has(link.programId) || programs.has(runs ?? 0));
  return chains.filter(isWanted).map(({ record, members }) => ({
    key: { type: record.type, nsid: record.nsid, ifindex: record.ifindex },
    interface: record.interface,
    program_id: record.programId,
    members: members.map(answerFor),
  }));
}
