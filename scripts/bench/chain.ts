/**
 * `bun scripts/bench/chain.ts`: measures the cost of a chain per packet, and of the n-th attach. The kernel runs the
 * program of an interface many times on the same packet (BPF_PROG_TEST_RUN) and returns the mean in whole nanoseconds;
 * the least of several such runs counts. Look at the ratios. Needs its own network namespace (`unshare --net --mount`,
 * as scripts/bench.ts does), or a virtual machine: `bun run test:vm 6.12 -- bun scripts/bench/chain.ts`.
 */
import { existsSync, mkdirSync, mkdtempSync, realpathSync, writeFileSync } from "node:fs";
import { release, tmpdir } from "node:os";
import { join } from "node:path";
import { removeTree } from "../residue.ts";
import { BPFMAN, type Env, MEMBERS, must, type Run, Stopwatch } from "./measure.ts";

const LENGTHS = [1, 2, 5, 10];
const MEMBERS_MAX = 10;
const RUNS = 7;
const REPEATS = 200_000;
const PACKET_BYTES = 64;
const INTERFACE = "chain0";
type Hook = "xdp" | "tc";

interface Bench {
  readonly watch: Stopwatch;
  readonly packet: string;
  readonly env: Env;
}

/** Nanoseconds per packet. */
function perPacket({ packet }: Bench, program: readonly string[]): number {
  const run = ["bpftool", "-j", "prog", "run", ...program, "data_in", packet, "repeat", String(REPEATS)];
  return Math.min(...Array.from({ length: RUNS }, () => Number(JSON.parse(must(run)).duration)));
}

const fieldOf = (text: string, label: string): string => {
  const value = new RegExp(`${label}:\\s+(\\d+)`).exec(text)?.[1];
  if (value === undefined) throw new Error(`no "${label}" in ${JSON.stringify(text.slice(0, 200))}`);
  return value;
};

/** The program that the kernel runs on the interface: a dispatcher, or a single member. */
function programOnHook(hook: Hook): string {
  const shown =
    hook === "xdp"
      ? must(["ip", "-details", "-json", "link", "show", "dev", INTERFACE])
      : must(["tc", "-json", "filter", "show", "dev", INTERFACE, "ingress"]);
  const id = /"prog":\{"id":(\d+)/.exec(shown.replace(/\s/g, ""))?.[1];
  if (id === undefined) throw new Error(`no ${hook} program on ${INTERFACE}: ${shown}`);
  return id;
}

interface Length {
  readonly members: number;
  /** Duration of the attach that made the chain this long. */
  readonly attachMs: number;
  readonly ns: number;
}

interface Chain {
  readonly lengths: readonly Length[];
  /** Why the chain does not have ten members. */
  readonly end: string | null;
}

/** Attaches members one by one, as many as possible. */
function grow(bench: Bench, hook: Hook, attach: (index: number) => Run): Chain {
  const lengths: Length[] = [];
  for (let index = 0; index < MEMBERS_MAX; index++) {
    try {
      const attachMs = attach(index).ms;
      lengths.push({ members: index + 1, attachMs, ns: perPacket(bench, ["id", programOnHook(hook)]) });
    } catch (cause) {
      return { lengths, end: cause instanceof Error ? cause.message : String(cause) };
    }
  }
  return { lengths, end: null };
}

function ownChain(bench: Bench, hook: Hook): Chain {
  const { watch, env } = bench;
  const load = (name: string) => must([BPFMAN, "load", "file", "--path", MEMBERS, "--programs", name], env);
  const ids = Array.from({ length: MEMBERS_MAX }, (_, index) =>
    fieldOf(load(`${hook}:${hook}_${10 + index}`), "Program ID"),
  );
  const side = hook === "tc" ? ["--direction", "ingress"] : [];
  const attach = (index: number) =>
    watch.run([BPFMAN, "attach", ids[index] ?? "", hook, "--iface", INTERFACE, "--priority", "50", ...side], env);
  const grown = grow(bench, hook, attach);
  must([BPFMAN, "unload", ...ids], env);
  return grown;
}

/** The same with xdp-loader, the standard tool for XDP chains. */
function loaderChain(bench: Bench): Chain {
  const words = (index: number) => ["--mode", "skb", "--prog-name", `xdp_${10 + index}`, INTERFACE, MEMBERS];
  const grown = grow(bench, "xdp", (index) => bench.watch.run(["xdp-loader", "load", ...words(index)]));
  must(["xdp-loader", "unload", "--all", INTERFACE]);
  return grown;
}

/** A member that the kernel runs without a dispatcher. */
function bare(bench: Bench, hook: Hook): number {
  const pins = join(bench.watch.directory, `bare-${hook}`);
  mkdirSync(pins);
  must(["mount", "-t", "bpf", "bpf", pins]);
  // Below the mount, because bpftool mounts its own bpffs over the parent directory if that is not one.
  must(["bpftool", "prog", "loadall", MEMBERS, join(pins, "all")]);
  return perPacket(bench, ["pinned", join(pins, "all", `${hook}_10`)]);
}

function print(title: string, { lengths, end }: Chain, bareNs: number): void {
  console.log(`\n${title}`);
  console.log("members   ns/packet   to bare program   each member more   attach ms   to first attach");
  const [first] = lengths;
  console.log(`bare    ${String(bareNs).padStart(11)}${"1.0".padStart(18)}`);
  for (const { members, attachMs, ns } of lengths.filter(({ members }) => LENGTHS.includes(members))) {
    const more = first === undefined || members === 1 ? "" : ((ns - first.ns) / (members - 1)).toFixed(1);
    const columns = [
      String(ns).padStart(11),
      (ns / bareNs).toFixed(1).padStart(18),
      more.padStart(19),
      attachMs.toFixed(1).padStart(12),
      (attachMs / (first?.attachMs ?? 1)).toFixed(2).padStart(18),
    ];
    console.log(`${String(members).padEnd(8)}${columns.join("")}`);
  }
  if (end !== null) console.log(`the chain cannot grow further here: ${end}`);
}

function benchHook(bench: Bench, hook: Hook): void {
  const bareNs = bare(bench, hook);
  print(`${hook.toUpperCase()} chain of bpfman`, ownChain(bench, hook), bareNs);
  if (hook === "xdp" && Bun.which("xdp-loader") !== null) {
    print("XDP chain of xdp-loader, in generic mode", loaderChain(bench), bareNs);
  }
}

function run(): void {
  for (const path of [BPFMAN, MEMBERS])
    if (!existsSync(path)) throw new Error(`${path} is missing: run "bun run build"`);
  const directory = realpathSync(mkdtempSync(join(tmpdir(), "bpfman-bench-")));
  try {
    const packet = join(directory, "packet");
    writeFileSync(packet, new Uint8Array(PACKET_BYTES).fill(0xff));
    const watch = new Stopwatch(directory);
    must(["ip", "link", "add", INTERFACE, "type", "veth", "peer", "name", "chain1"]);
    console.log(`\nChains on Linux ${release()}: the least of ${RUNS} means of ${REPEATS} runs`);
    const bench = { watch, packet, env: { BPFMAN_RUNTIME_DIR: join(directory, "run") } };
    for (const hook of ["xdp", "tc"] as const) benchHook(bench, hook);
  } finally {
    Bun.spawnSync(["ip", "link", "del", INTERFACE], { stderr: "ignore" });
    removeTree(directory);
  }
}

try {
  run();
} catch (cause) {
  console.error(`bench: ${cause instanceof Error ? cause.message : cause}`);
  process.exitCode = 1;
}
