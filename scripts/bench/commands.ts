/** Compares the time and memory of one-shot commands with an empty Bun program and other tools. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  BPFMAN,
  CHECKED,
  type Env,
  MEMBERS,
  least,
  must,
  printRuns,
  race,
  ROOT,
  type Run,
  type Stopwatch,
} from "./measure.ts";

/** The interface of the benchmark's own network namespace (bench.ts). */
const INTERFACE = "bench0";

interface Round {
  readonly watch: Stopwatch;
  readonly rounds: number;
}

/** A bpfman that speaks the classic grammar: this one, or the one that BPFMAN_PEER names. */
interface Tool {
  readonly name: string;
  readonly program: string;
  readonly env: Env;
}

const ours = (watch: Stopwatch, name: string): Tool => ({
  name: "bpfman",
  program: BPFMAN,
  env: { BPFMAN_RUNTIME_DIR: join(watch.directory, name) },
});

function peers(): Tool[] {
  const program = process.env.BPFMAN_PEER;
  return program === undefined ? [] : [{ name: "peer", program, env: {} }];
}

const installed = (program: string): boolean => Bun.which(program) !== null;

export function emptyProgram(directory: string): string {
  const [source, output] = [join(directory, "empty.ts"), join(directory, "empty")];
  writeFileSync(source, "export {};\n");
  const flags = [
    "--minify",
    "--bytecode",
    "--format=esm",
    "--no-compile-autoload-bunfig",
    "--no-compile-autoload-dotenv",
  ];
  must([process.execPath, "build", source, "--compile", "--outfile", output, ...flags]);
  return output;
}

function found(pattern: RegExp, { out }: Run): string {
  const id = pattern.exec(out)?.[1];
  if (id === undefined) throw new Error(`no ${pattern} in the output`);
  return id;
}

const STEPS = ["load", "attach", "detach", "unload"] as const;
type Step = (typeof STEPS)[number];
type Cycle = Readonly<Record<Step, Run>>;

/** Loads a program, attaches it to the interface, and undoes both. */
function cycle(watch: Stopwatch, { program, env }: Tool, kind: readonly ["tcx" | "xdp", ...string[]]): Cycle {
  const [type, ...options] = kind;
  const name = type === "tcx" ? "tc_10" : "xdp_10";
  const run = (...words: readonly string[]) => watch.run([program, ...words], env);
  const load = run("load", "file", "--path", MEMBERS, "--programs", `${type}:${name}`);
  const id = found(/Program ID:\s+(\d+)/, load);
  const attach = run("attach", id, type, "--iface", INTERFACE, "--priority", "50", ...options);
  const detach = run("detach", found(/Link ID:\s+(\d+)/, attach));
  return { load, attach, detach, unload: run("unload", id) };
}

const total = (runs: readonly Run[]): Run => ({
  ms: runs.reduce((sum, { ms }) => sum + ms, 0),
  cpuMs: runs.reduce((sum, { cpuMs }) => sum + cpuMs, 0),
  peakMiB: Math.max(...runs.map(({ peakMiB }) => peakMiB)),
  out: "",
});

const whole = (cycleRun: Cycle): Run => total(STEPS.map((step) => cycleRun[step]));

/** Checks fifty programs, as plain libbpf does that opens the object anew for each (scripts/sweep.c). */
export function benchCheck({ watch, rounds }: Round): void {
  const plain = join(watch.directory, "sweep");
  must(["gcc", "-O2", "-o", plain, join(ROOT, "scripts/sweep.c"), "-lbpf"]);
  const empty = emptyProgram(watch.directory);
  const tool = ours(watch, "check");
  const contenders = [
    { name: "plain libbpf, an open for each program", run: () => watch.run([plain, CHECKED]) },
    { name: "bpfman check", run: () => watch.run([BPFMAN, "check", CHECKED], tool.env) },
    { name: "empty Bun program", run: () => watch.run([empty]) },
  ];
  const subjects = race(contenders, rounds);
  printRuns("Check 50 programs", subjects);
  const [libbpf = 1, check = 0, start = 0] = subjects.map(({ runs }) => least(runs.map(({ ms }) => ms)));
  console.log(`without the start of an empty Bun program, ${((check - start) / libbpf).toFixed(2)} times plain libbpf`);
}

export function benchXdp({ watch, rounds }: Round): void {
  const tool = ours(watch, "xdp");
  const loader = () =>
    total([
      watch.run(["xdp-loader", "load", "--mode", "skb", "--prog-name", "xdp_10", INTERFACE, MEMBERS]),
      watch.run(["xdp-loader", "unload", "--all", INTERFACE]),
    ]);
  const contenders = [
    { name: "bpfman load, attach, detach, unload", run: () => whole(cycle(watch, tool, ["xdp"])) },
    ...(installed("xdp-loader") ? [{ name: "xdp-loader load, unload", run: loader }] : []),
    ...peers().map((peer) => ({ name: peer.name, run: () => whole(cycle(watch, peer, ["xdp"])) })),
  ];
  printRuns("XDP: one program on an interface and off again", race(contenders, rounds));
}
