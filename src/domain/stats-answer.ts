/** Answers of `program/stats` and `metrics`. */

import type { DispatcherKey } from "./dispatcher.ts";

/** What was counted in an interval. All are null where the kernel did not count, and times without any run. */
export interface RunsAnswer {
  readonly runs: number | null;
  readonly run_time_ns: number | null;
  readonly runs_per_second: number | null;
  readonly ns_per_run: number | null;
  /** Of one processor. */
  readonly cpu_percent: number | null;
}

export interface ProgramStatsAnswer extends RunsAnswer {
  readonly program_id: number;
  /** In full. */
  readonly name: string;
  /** bpfman's own type, or the kernel's. */
  readonly type: string;
  /** One of bpfman's programs: not its dispatchers. */
  readonly managed: boolean;
  readonly application: string | null;
  /** `bpfman`, or the name of a process that holds the program or a link of it; null if none does, or it is not visible. */
  readonly owner: string | null;
  /** The processes that hold it, unless it is bpfman's. */
  readonly owner_pids: readonly number[];
  /** It is a member of a chain: runs there are only counted with `members`. */
  readonly in_chain: boolean;
}

export interface MemberStatsAnswer extends RunsAnswer {
  readonly position: number;
  readonly priority: number;
  readonly program_id: number;
  readonly program_name: string;
  readonly link_id: number;
  /** How many runs ended with which action; only those that occurred. `other` stands for values without a name. */
  readonly verdicts: Readonly<Record<string, number>>;
  /** Links of the same chain with the same program: what they did is counted together, in each of them. */
  readonly counted_with: readonly number[];
}

export interface ChainStatsAnswer {
  readonly key: DispatcherKey;
  readonly interface: string;
  /** What runs on the hook. */
  readonly program_id: number | null;
  /** In order. */
  readonly members: readonly MemberStatsAnswer[];
}

export interface StatsAnswer {
  /** How long it was counted. */
  readonly interval_ms: number;
  /** Why the kernel did not count; null if it did. */
  readonly not_counted: string | null;
  /** Ascending by ID. */
  readonly programs: readonly ProgramStatsAnswer[];
  /** Only with `members`. */
  readonly chains?: readonly ChainStatsAnswer[];
  /** Why members of chains were not counted, or not all of them; null if they were. Only with `members`. */
  readonly members_not_counted?: string | null;
}

/** A metric with all its values, as Prometheus names them. */
export interface MetricAnswer {
  readonly name: string;
  readonly type: "counter" | "gauge";
  /** What it means. */
  readonly help: string;
  readonly samples: readonly MetricSampleAnswer[];
}

export interface MetricSampleAnswer {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface MetricsAnswer {
  readonly metrics: readonly MetricAnswer[];
  /** Where the text was written; null if it was not asked for. */
  readonly file: string | null;
}
