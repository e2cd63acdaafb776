/**
 * `bun run bench`: how long dist/bpfman takes to start, beside an empty Bun program compiled with the same flags. The
 * commands take turns in every round, so that a slow moment of the machine hits all of them; read the ratios, which
 * come from one run, rather than the milliseconds. Never part of the tests.
 */
import { existsSync, mkdtempSync, realpathSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { removeTree } from "../residue.ts";

const ROOT = resolve(import.meta.dir, "../..");
const BPFMAN = join(ROOT, "dist/bpfman");
const OBJECT = join(ROOT, "dist/bpf/examples/packet_counter.bpf.o");
const ROUNDS = Number(process.argv[2] ?? 40);
const PROGRAM_COUNTS = [0, 10, 100];

interface Subject {
  readonly name: string;
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Milliseconds. */
  readonly times: number[];
}

const subject = (name: string, command: readonly string[], env: Record<string, string> = {}): Subject => ({
  name,
  command,
  env,
  times: [],
});

function run(command: readonly string[], env: Readonly<Record<string, string>> = {}): void {
  const result = Bun.spawnSync([...command], { env: { ...process.env, ...env }, stdout: "ignore", stderr: "pipe" });
  if (result.exitCode !== 0) throw new Error(`"${command.join(" ")}" failed: ${result.stderr.toString().trim()}`);
}

function compileEmpty(folder: string): string {
  const source = join(folder, "empty.ts");
  const output = join(folder, "empty");
  writeFileSync(source, "export {};\n");
  const flags = [
    "--minify",
    "--bytecode",
    "--format=esm",
    "--no-compile-autoload-bunfig",
    "--no-compile-autoload-dotenv",
  ];
  run([process.execPath, "build", source, "--compile", "--outfile", output, ...flags]);
  return output;
}

/** A runtime folder of its own with `count` programs loaded. */
function withPrograms(folder: string, count: number): Readonly<Record<string, string>> {
  const env = { BPFMAN_RUNTIME_DIR: join(folder, `run-${count}`), BPFMAN_STATE_DIR: join(folder, `state-${count}`) };
  for (let loaded = 0; loaded < count; loaded += 2) {
    run([BPFMAN, "load", "file", "-p", OBJECT, "--programs", "tcx:count_packets", "tracepoint:count_openat"], env);
  }
  return env;
}

function measure(subjects: readonly Subject[]): void {
  for (let round = -3; round < ROUNDS; round++) {
    for (const { command, env, times } of subjects) {
      const startedAt = performance.now();
      run(command, env);
      // The first rounds warm the page cache.
      if (round >= 0) times.push(performance.now() - startedAt);
    }
  }
}

function median(times: readonly number[]): number {
  const sorted = [...times].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.ceil(middle) - 1] ?? 0) + (sorted[Math.floor(middle)] ?? 0)) / 2;
}

function bench(folder: string): void {
  const empty = subject("empty Bun program", [compileEmpty(folder)]);
  const subjects = [
    empty,
    subject("bpfman --help", [BPFMAN, "--help"]),
    subject("bpfman version", [BPFMAN, "version"]),
  ];
  if (process.getuid?.() === 0) {
    for (const count of PROGRAM_COUNTS) {
      const env = withPrograms(folder, count);
      subjects.push(subject(`bpfman list programs (${count})`, [BPFMAN, "list", "programs"], env));
    }
  } else console.log("bench: not root: without the rows for list programs");
  measure(subjects);
  const base = median(empty.times);
  console.log(`${"".padEnd(30)}median ms   ratio   (${ROUNDS} rounds, taking turns)`);
  for (const { name, times } of subjects) {
    const middle = median(times);
    console.log(`${name.padEnd(30)}${middle.toFixed(2).padStart(9)}   ${(middle / base).toFixed(2).padStart(5)}`);
  }
}

if (!existsSync(BPFMAN) || !existsSync(OBJECT)) throw new Error('bench: nothing built yet: run "bun run build"');
const folder = realpathSync(mkdtempSync(join(tmpdir(), "bpfman-bench-")));
process.on("SIGINT", () => {
  removeTree(folder);
  process.exit(130);
});
try {
  bench(folder);
} finally {
  removeTree(folder);
}
