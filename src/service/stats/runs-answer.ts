import type { RunsAnswer } from "../../domain/stats-answer.ts";
import type { RunCounts } from "../../platform/kernel.ts";

const rounded = (value: number, digits: number): number => Number(value.toFixed(digits));

/** What was counted in so many milliseconds; null if nothing was counted, which is not zero. */
export function runsAnswer(counts: RunCounts | null, elapsedMs: number): RunsAnswer {
  if (counts === null || elapsedMs <= 0)
    return { runs: null, run_time_ns: null, runs_per_second: null, ns_per_run: null, cpu_percent: null };
  const { runs, timeNs } = counts;
  return {
    runs,
    run_time_ns: timeNs,
    runs_per_second: rounded((runs * 1000) / elapsedMs, 2),
    ns_per_run: runs === 0 ? null : Math.round(timeNs / runs),
    cpu_percent: rounded(timeNs / 10_000 / elapsedMs, 4),
  };
}
