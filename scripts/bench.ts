/**
 * `bun run bench [--short]`: holds the bounds of speed in one run, and prints it as the tables of docs/benchmarks.md; short is
 * five rounds instead of twenty. `bun run bench NAME… [ROUNDS]` runs other benchmarks: check, xdp, chain, events, maps, rpc, stats.
 * BPFMAN_PEER=PATH compares with another bpfman, of either grammar. All contenders take turns; look at the ratios, which say
 * more than the milliseconds. Runs in its own network and mount namespaces, which disappear with it. Not part of the tests.
 */
import { existsSync, mkdtempSync, readFileSync, realpathSync } from "node:fs";
import { availableParallelism, cpus, release, tmpdir } from "node:os";
import { join } from "node:path";
import { benchBounds } from "./bench/bounds.ts";
import { benchCheck, benchXdp } from "./bench/commands.ts";
import { BPFMAN, MEMBERS, must, ROOT, Stopwatch } from "./bench/measure.ts";
import { removeTree } from "./residue.ts";

const INSIDE = "BPFMAN_BENCH_INSIDE";
/** Scripts of their own, in scripts/bench. */
const SCRIPTS = ["chain", "events", "maps", "rpc", "stats"];
const HERE = { check: benchCheck, xdp: benchXdp } as const;
const ROUNDS = 20;
const ROUNDS_SHORT = 5;
const REQUESTS_PER_ROUND = 5;

function describeMachine(): void {
  const memory = /MemTotal:\s+(\d+)/.exec(readFileSync("/proc/meminfo", "utf8"))?.[1] ?? "0";
  const gib = Math.round(Number(memory) / 1024 / 1024);
  console.log(`${cpus()[0]?.model ?? "?"}, ${availableParallelism()} processors, ${gib} GiB, Linux ${release()}`);
  for (const words of [
    ["bpftool", "version"],
    ["xdp-loader", "load", "--version"],
  ]) {
    // xdp-loader exits with a failure here.
    const said = Bun.which(words[0] ?? "") === null ? null : Bun.spawnSync(words).stdout.toString();
    console.log(said?.split("\n")[0] ?? `${words[0]} is not installed`);
  }
  console.log(must([BPFMAN, "version"]).trim().split("\n").join(", "));
}

async function bench(directory: string, words: readonly string[]): Promise<void> {
  const watch = new Stopwatch(directory);
  const rounds = Number(
    words.find((word) => /^\d+$/.test(word)) ?? (words.includes("--short") ? ROUNDS_SHORT : ROUNDS),
  );
  const began = performance.now();
  describeMachine();
  must(["ip", "link", "add", "bench0", "type", "veth", "peer", "name", "bench1"]);
  must(["ip", "link", "set", "lo", "up"]);
  const others = Object.entries(HERE).filter(([name]) => words.includes(name));
  for (const [, run] of others) run({ watch, rounds });
  if (others.length > 0) return;
  const broken = await benchBounds({ watch, rounds, requests: rounds * REQUESTS_PER_ROUND });
  const minutes = (performance.now() - began) / 60_000;
  console.log(`\n${broken} bounds do not hold (in bold). ${rounds} rounds in ${minutes.toFixed(1)} minutes.`);
}

async function inside(words: readonly string[]): Promise<void> {
  // Another bpfman keeps its state in its usual place; in this mount namespace, nothing else is there.
  if (process.env.BPFMAN_PEER !== undefined)
    for (const directory of ["/run", "/var/lib", "/var/cache"]) must(["mount", "-t", "tmpfs", "tmpfs", directory]);
  const directory = realpathSync(mkdtempSync(join(tmpdir(), "bpfman-bench-")));
  try {
    await bench(directory, words);
  } finally {
    removeTree(directory);
  }
}

function outside(words: readonly string[]): void {
  if (process.getuid?.() !== 0) throw new Error("the benchmarks load programs: run them as root");
  if (!existsSync(BPFMAN) || !existsSync(MEMBERS)) throw new Error('nothing built yet: run "bun run build"');
  const isNamed = (name: string): boolean => words.includes(name);
  const scripts = SCRIPTS.filter(isNamed).map((name) => join(ROOT, "scripts/bench", `${name}.ts`));
  const names = [...SCRIPTS, ...Object.keys(HERE)];
  const unknown = words.find((word) => ![...names, "--short"].includes(word) && !/^\d+$/.test(word));
  if (unknown !== undefined) throw new Error(`no benchmark "${unknown}": ${names.join(", ")}`);
  if (scripts.length === 0 || Object.keys(HERE).some(isNamed)) scripts.unshift(import.meta.path);
  for (const script of scripts) {
    const given = script === import.meta.path ? words : words.filter((word) => /^\d+$/.test(word));
    const { exitCode } = Bun.spawnSync(["unshare", "--net", "--mount", process.execPath, script, ...given], {
      env: { ...process.env, [INSIDE]: "1" },
      stdio: ["ignore", "inherit", "inherit"],
    });
    if (exitCode !== 0) process.exitCode = 1;
  }
}

try {
  if (process.env[INSIDE] === "1") await inside(process.argv.slice(2));
  else outside(process.argv.slice(2));
} catch (cause) {
  console.error(`bench: ${cause instanceof Error ? cause.message : cause}`);
  process.exitCode = 1;
}
