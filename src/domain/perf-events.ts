/** Events that the kernel counts, under the names that perf list shows (include/uapi/linux/perf_event.h). */

/** PERF_COUNT_SW_* */
const SOFTWARE = {
  "cpu-clock": 0,
  "task-clock": 1,
  "page-faults": 2,
  "context-switches": 3,
  "cpu-migrations": 4,
  "minor-faults": 5,
  "major-faults": 6,
  "alignment-faults": 7,
  "emulation-faults": 8,
  "bpf-output": 10,
  "cgroup-switches": 11,
} as const;

/** PERF_COUNT_HW_* */
const HARDWARE = {
  "cpu-cycles": 0,
  instructions: 1,
  "cache-references": 2,
  "cache-misses": 3,
  "branch-instructions": 4,
  "branch-misses": 5,
  "bus-cycles": 6,
  "stalled-cycles-frontend": 7,
  "stalled-cycles-backend": 8,
  "ref-cycles": 9,
} as const;

/** The short names that perf takes as well. */
const ALIASES: Readonly<Record<string, PerfEventName>> = {
  faults: "page-faults",
  cs: "context-switches",
  migrations: "cpu-migrations",
  cycles: "cpu-cycles",
  branches: "branch-instructions",
};

export type PerfEventName = keyof typeof SOFTWARE | keyof typeof HARDWARE;
export const SOFTWARE_EVENTS = Object.keys(SOFTWARE) as readonly PerfEventName[];
export const HARDWARE_EVENTS = Object.keys(HARDWARE) as readonly PerfEventName[];
export const PERF_EVENTS = [...SOFTWARE_EVENTS, ...HARDWARE_EVENTS];

/** Returns the event that a word means, null for none. */
export const perfEventNamed = (word: string): PerfEventName | null =>
  PERF_EVENTS.find((name) => name === word) ?? (Object.hasOwn(ALIASES, word) ? (ALIASES[word] ?? null) : null);

interface PerfEventNumbers {
  readonly hardware: boolean;
  /** PERF_COUNT_* */
  readonly config: number;
}

export const perfEventNumbers = (name: PerfEventName): PerfEventNumbers =>
  name in HARDWARE
    ? { hardware: true, config: HARDWARE[name as keyof typeof HARDWARE] }
    : { hardware: false, config: SOFTWARE[name as keyof typeof SOFTWARE] };

/** Returns the name of an event by its numbers (PERF_TYPE_*, PERF_COUNT_*), null for one that has none here. */
export const perfEventName = (type: number, config: bigint): PerfEventName | null =>
  PERF_EVENTS.find((name) => {
    const { hardware, config: number } = perfEventNumbers(name);
    return type === (hardware ? 0 : 1) && config === BigInt(number);
  }) ?? null;
