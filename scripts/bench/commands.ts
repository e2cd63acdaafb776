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

const LISTED = [10, 100, 1000];
/** Programs of members.bpf.o that the listings contain. */
const PER_LOAD = 50;
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

export function benchStart({ watch, rounds }: Round): void {
  const empty = emptyProgram(watch.directory);
  const command = (name: string, ...words: readonly string[]) => ({ name, run: () => watch.run(words) });
  const contenders = [
    command("empty Bun program: the floor", empty),
    command("bpfman --help", BPFMAN, "--help"),
    command("bpfman version", BPFMAN, "version"),
    ...(installed("bpftool") ? [command("bpftool version", "bpftool", "version")] : []),
    ...peers().map(({ name, program }) => command(`${name} --help`, program, "--help")),
  ];
  printRuns("Start-up", race(contenders, rounds));
}

/** Benchmarks listings of programs that are really loaded: verified, pinned, with their rows. */
function loadMany(tool: Tool, count: number): void {
  const names = Array.from({ length: PER_LOAD }, (_, index) => `tcx:tc_${10 + index}`);
  for (let loaded = 0; loaded < count; loaded += PER_LOAD) {
    const some = names.slice(0, Math.min(PER_LOAD, count - loaded));
    must([tool.program, "load", "file", "--path", MEMBERS, "--programs", ...some], tool.env);
  }
}

export function benchList({ watch, rounds }: Round): void {
  const fastest: number[] = [];
  for (const count of LISTED) {
    const tool = ours(watch, `list-${count}`);
    loadMany(tool, count);
    const contenders = [
      { name: "bpfman list programs", run: () => watch.run([BPFMAN, "list", "programs"], tool.env) },
      {
        name: "bpfman list programs -o json",
        run: () => watch.run([BPFMAN, "list", "programs", "-o", "json"], tool.env),
      },
      ...(installed("bpftool")
        ? [{ name: "bpftool prog show", run: () => watch.run(["bpftool", "prog", "show"]) }]
        : []),
      ...peers().map((peer) => ({
        name: `${peer.name} list programs (its own: none)`,
        run: () => watch.run([peer.program, "list", "programs"], peer.env),
      })),
    ];
    const subjects = race(contenders, rounds);
    printRuns(`List, with ${count} programs in the kernel and the database`, subjects);
    fastest.push(least(subjects[0]?.runs.map(({ ms }) => ms) ?? []));
    // Removing the pins unloads the programs.
    must(["umount", join(watch.directory, `list-${count}`, "fs")]);
  }
  const [few = 0, , many = 0] = fastest;
  const [fewest = 0, , most = 1] = LISTED;
  const each = ((many - few) / (most - fewest)) * 1000;
  console.log(`each further program: ${each.toFixed(1)} µs for "bpfman list programs"`);
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

export function benchCycle({ watch, rounds }: Round): void {
  const cycles: Cycle[] = [];
  const tool = ours(watch, "cycle");
  const tcx = ["tcx", "--direction", "ingress"] as const;
  const contenders = [
    {
      name: "bpfman",
      run: () => {
        const once = cycle(watch, tool, tcx);
        cycles.push(once);
        return whole(once);
      },
    },
    ...peers().map((peer) => ({ name: peer.name, run: () => whole(cycle(watch, peer, tcx)) })),
    ...(installed("bpftool") ? [{ name: "bpftool prog load, rm (no attach)", run: () => bpftoolLoad(watch) }] : []),
  ];
  const subjects = race(contenders, rounds);
  printRuns("TCX: load, attach, detach, unload together", subjects);
  const steps = STEPS.map((step) => ({ name: `bpfman ${step}`, runs: cycles.slice(2).map((once) => once[step]) }));
  printRuns("The same, one by one", steps);
}

function bpftoolLoad(watch: Stopwatch): Run {
  // The previous contender mounted the directory's bpffs.
  const pin = join(watch.directory, "cycle/fs/bench_by_bpftool");
  const load = watch.run(["bpftool", "prog", "load", join(MEMBERS, "../../examples/packet_counter.bpf.o"), pin]);
  return total([load, watch.run(["rm", pin])]);
}

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
