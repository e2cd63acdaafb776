/** Runs commands in turn and measures them, for all benchmarks. */
import { mkdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

export const ROOT = resolve(import.meta.dir, "../..");
export const BPFMAN = join(ROOT, "dist/bpfman");
export const MEMBERS = join(ROOT, "dist/bpf/bench/members.bpf.o");

export const CHECKED = join(ROOT, "dist/bpf/bench/checked.bpf.o");

/** Of a command that failed: it can name a hundred programs. */
const SHOWN_CHARS_MAX = 300;

export type Env = Readonly<Record<string, string>>;

/** One run of a command. */
export interface Run {
  /** From fork to exit. */
  readonly ms: number;
  /** Summed over all processors. */
  readonly cpuMs: number;
  /** Peak resident memory. */
  readonly peakMiB: number;
  readonly out: string;
}

/** The data of one table row. */
export interface Subject {
  readonly name: string;
  readonly runs: Run[];
}

/** Runs commands, each in its own process, in a directory for the files that they leave. */
export class Stopwatch {
  readonly directory: string;
  readonly #program: string;

  /** Compiles stopwatch.c into `directory`. */
  constructor(directory: string) {
    this.directory = directory;
    this.#program = join(directory, "stopwatch");
    mkdirSync(directory, { recursive: true });
    must(["gcc", "-O2", "-o", this.#program, join(import.meta.dir, "stopwatch.c")]);
  }

  /** Throws with the command's output if it fails. */
  run(command: readonly string[], env: Env = {}): Run {
    const report = join(this.directory, "report");
    const out = must([this.#program, report, ...command], env, command);
    const [us = 0, cpuUs = 0, peakKiB = 0] = readFileSync(report, "utf8").trim().split(" ").map(Number);
    return { ms: us / 1000, cpuMs: cpuUs / 1000, peakMiB: peakKiB / 1024, out };
  }
}

/** Runs a command and returns its output. If it fails, throws with its output and calls the command `shown`. */
export function must(command: readonly string[], env: Env = {}, shown: readonly string[] = command): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...command], {
    env: { ...process.env, ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  if (exitCode === 0) return stdout.toString();
  const words = stderr.toString().trim() || stdout.toString().trim();
  throw new Error(`"${shown.join(" ").slice(0, SHOWN_CHARS_MAX)}" failed: ${words.split("\n")[0]}`);
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.ceil(middle) - 1] ?? 0) + (sorted[Math.floor(middle)] ?? 0)) / 2;
}

export const least = (values: readonly number[]): number => Math.min(...values);

/** A command that is run several times. */
export interface Contender {
  readonly name: string;
  readonly run: () => Run;
}

/**
 * Runs each `rounds` times, in turn, so that a slow moment of the machine affects all of them, after two warm-up rounds.
 * Leaves out a contender that fails, and prints the reason.
 */
export function race(contenders: readonly Contender[], rounds: number): Subject[] {
  const running = contenders.map((contender) => ({ ...contender, runs: [] as Run[], failed: false }));
  for (let round = -2; round < rounds; round++) {
    for (const contender of running) {
      if (contender.failed) continue;
      try {
        const run = contender.run();
        if (round >= 0) contender.runs.push(run);
      } catch (cause) {
        contender.failed = true;
        console.log(`bench: without ${contender.name}: ${cause instanceof Error ? cause.message : cause}`);
      }
    }
  }
  return running.filter(({ failed }) => !failed);
}

/** Prints a table. Ratios are relative to the first row and use the least times, which other work disturbs least. */
export function printRuns(title: string, subjects: readonly Subject[]): void {
  console.log(`\n${title}`);
  console.log(`${"".padEnd(44)}  least ms  median ms   ratio   cpu ms  peak MiB`);
  const base = least(subjects[0]?.runs.map(({ ms }) => ms) ?? []);
  for (const { name, runs } of subjects) {
    const times = runs.map(({ ms }) => ms);
    const columns = [
      least(times).toFixed(2).padStart(10),
      median(times).toFixed(2).padStart(11),
      (least(times) / base).toFixed(2).padStart(8),
      least(runs.map(({ cpuMs }) => cpuMs))
        .toFixed(2)
        .padStart(9),
      Math.max(...runs.map(({ peakMiB }) => peakMiB))
        .toFixed(1)
        .padStart(10),
    ];
    console.log(`${name.padEnd(44)}${columns.join("")}`);
  }
}
