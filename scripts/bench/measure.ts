/** Runs commands by turns and says how long they took, for all benchmarks. */
import { mkdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

export const ROOT = resolve(import.meta.dir, "../..");
export const BPFMAN = join(ROOT, "dist/bpfman");
export const MEMBERS = join(ROOT, "dist/bpf/bench/members.bpf.o");

export type Env = Readonly<Record<string, string>>;

/** One run of a command. */
export interface Run {
  /** From its fork to its end. */
  readonly ms: number;
  /** Of all processors. */
  readonly cpuMs: number;
  /** Peak of resident memory. */
  readonly peakMiB: number;
  readonly out: string;
}

/** What one row of a table is made of. */
export interface Subject {
  readonly name: string;
  readonly runs: Run[];
}

/** Runs commands, each in a process of its own, below a folder for what the runs leave. */
export class Stopwatch {
  readonly folder: string;
  readonly #program: string;

  /** Compiles stopwatch.c into `folder`. */
  constructor(folder: string) {
    this.folder = folder;
    this.#program = join(folder, "stopwatch");
    mkdirSync(folder, { recursive: true });
    must(["gcc", "-O2", "-o", this.#program, join(import.meta.dir, "stopwatch.c")]);
  }

  /** Throws with the command's words when it fails. */
  run(command: readonly string[], env: Env = {}): Run {
    const report = join(this.folder, "report");
    const out = must([this.#program, report, ...command], env, command);
    const [us = 0, cpuUs = 0, peakKiB = 0] = readFileSync(report, "utf8").trim().split(" ").map(Number);
    return { ms: us / 1000, cpuMs: cpuUs / 1000, peakMiB: peakKiB / 1024, out };
  }
}

/** Runs a command and answers what it printed. Throws with its words when it fails, and calls it `shown` then. */
export function must(command: readonly string[], env: Env = {}, shown: readonly string[] = command): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...command], {
    env: { ...process.env, ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  if (exitCode === 0) return stdout.toString();
  const words = stderr.toString().trim() || stdout.toString().trim();
  throw new Error(`"${shown.join(" ")}" failed: ${words.split("\n")[0]}`);
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.ceil(middle) - 1] ?? 0) + (sorted[Math.floor(middle)] ?? 0)) / 2;
}

export const least = (values: readonly number[]): number => Math.min(...values);

/** Something that is run several times. */
export interface Contender {
  readonly name: string;
  readonly run: () => Run;
}

/**
 * Runs each `rounds` times, taking turns, so that a slow moment of the machine hits all of them; twice before that
 * without counting. One that fails is left out, with its reason on the terminal.
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

/** A table of subjects; ratios are to the first, of the least times, which other work on the machine disturbs least. */
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
