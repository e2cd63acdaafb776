/**
 * `bun run bench [ROUNDS]`: compares dist/bpfman with an empty Bun program, with bpftool and xdp-loader if they are
 * installed, and with another bpfman if BPFMAN_PEER names one. All contenders take turns in one run; look at the
 * ratios, which say more than the milliseconds. Runs in its own network and mount namespaces, which disappear with it.
 * Not part of the tests.
 */
import { existsSync, mkdtempSync, readFileSync, realpathSync } from "node:fs";
import { availableParallelism, cpus, release, tmpdir } from "node:os";
import { join } from "node:path";
import { benchCheck, benchCycle, benchList, benchStart, benchXdp } from "./bench/commands.ts";
import { BPFMAN, MEMBERS, must, ROOT, Stopwatch } from "./bench/measure.ts";
import { removeTree } from "./residue.ts";

const INSIDE = "BPFMAN_BENCH_INSIDE";
/** Scripts that print tables of their own and also work standalone; they run after the commands. */
const OTHERS = ["chain.ts", "maps.ts", "rpc.ts", "stats.ts"];

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

function bench(directory: string, rounds: number): void {
  const watch = new Stopwatch(directory);
  const round = { watch, rounds };
  describeMachine();
  benchStart(round);
  if (process.getuid?.() !== 0)
    return void console.log("\nbench: not root: skipping everything that changes the kernel");
  must(["ip", "link", "add", "bench0", "type", "veth", "peer", "name", "bench1"]);
  benchList(round);
  benchCycle(round);
  benchXdp(round);
  benchCheck(round);
}

function inside(rounds: number): void {
  // Another bpfman keeps its state in its usual place; in this mount namespace, nothing else is there.
  if (process.env.BPFMAN_PEER !== undefined && process.getuid?.() === 0)
    for (const directory of ["/run", "/var/lib", "/var/cache"]) must(["mount", "-t", "tmpfs", "tmpfs", directory]);
  const directory = realpathSync(mkdtempSync(join(tmpdir(), "bpfman-bench-")));
  try {
    bench(directory, rounds);
  } finally {
    removeTree(directory);
  }
}

function outside(words: readonly string[]): void {
  if (!existsSync(BPFMAN) || !existsSync(MEMBERS)) throw new Error('nothing built yet: run "bun run build"');
  const others = OTHERS.map((name) => join(ROOT, "scripts/bench", name)).filter(existsSync);
  const scripts = [import.meta.path, ...(process.getuid?.() === 0 ? others : [])];
  for (const script of scripts) {
    const apart = process.getuid?.() === 0 ? ["unshare", "--net", "--mount"] : [];
    const { exitCode } = Bun.spawnSync([...apart, process.execPath, script, ...words], {
      env: { ...process.env, [INSIDE]: "1" },
      stdio: ["ignore", "inherit", "inherit"],
    });
    if (exitCode !== 0) process.exitCode = 1;
  }
}

try {
  if (process.env[INSIDE] === "1") inside(Number(process.argv[2] ?? 20));
  else outside(process.argv.slice(2));
} catch (cause) {
  console.error(`bench: ${cause instanceof Error ? cause.message : cause}`);
  process.exitCode = 1;
}
