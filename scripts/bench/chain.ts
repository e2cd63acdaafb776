/**
 * `bun scripts/bench/chain.ts [xdp|tc]`: measures the cost of a chain per packet, and of the n-th attach. The kernel runs the
 * program of an interface many times on the same packet (BPF_PROG_TEST_RUN) and returns the mean in whole nanoseconds;
 * the least of several such runs counts. Chains are made several times, in turn with those of another bpfman if BPFMAN_PEER
 * names one. Look at the ratios. Needs its own network namespace (`unshare --net --mount`, as scripts/bench.ts does), or a
 * virtual machine: `bun run test:vm 6.12 -- bun scripts/bench/chain.ts`.
 */
import { existsSync, mkdtempSync, realpathSync, writeFileSync } from "node:fs";
import { release, tmpdir } from "node:os";
import { join } from "node:path";
import { removeTree } from "../residue.ts";
import { BPFMAN, type Env, MEMBERS, must, type Run, Stopwatch } from "./measure.ts";

const LENGTHS = [1, 2, 5, 10];
const MEMBERS_MAX = 10;
const RUNS = 7;
/** How often a chain is made; the least duration of each attach counts. */
const ROUNDS = 3;
const REPEATS = 200_000;
const PACKET_BYTES = 64;
const INTERFACE = "chain0";
type Hook = "xdp" | "tc";

interface Bench {
  readonly watch: Stopwatch;
  readonly packet: string;
}

/** A bpfman that makes chains. */
interface Tool {
  readonly name: string;
  readonly program: string;
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

/** Attaches members one by one, as many as possible, and measures at the lengths to show. */
function grow(bench: Bench, hook: Hook, attach: (index: number) => Run): Chain {
  const lengths: Length[] = [];
  for (let index = 0; index < MEMBERS_MAX; index++) {
    try {
      const attachMs = attach(index).ms;
      const members = index + 1;
      if (!LENGTHS.includes(members)) continue;
      lengths.push({ members, attachMs, ns: perPacket(bench, ["id", programOnHook(hook)]) });
    } catch (cause) {
      return { lengths, end: cause instanceof Error ? cause.message : String(cause) };
    }
  }
  return { lengths, end: null };
}

function ownChain(bench: Bench, hook: Hook, { program, env }: Tool): Chain {
  const load = (name: string) => must([program, "load", "file", "--path", MEMBERS, "--programs", name], env);
  const ids = Array.from({ length: MEMBERS_MAX }, (_, index) =>
    fieldOf(load(`${hook}:${hook}_${10 + index}`), "Program ID"),
  );
  const side = hook === "tc" ? ["--direction", "ingress"] : [];
  const words = ["--iface", INTERFACE, "--priority", "50", ...side];
  const attach = (index: number) => bench.watch.run([program, "attach", ids[index] ?? "", hook, ...words], env);
  const grown = grow(bench, hook, attach);
  must([program, "unload", ...ids], env);
  return grown;
}

/** The least figures of chains of one tool. */
function leastOf(chains: readonly Chain[]): Chain {
  const [first = { lengths: [], end: null }] = chains;
  const lengths = first.lengths.map(({ members }, index) => ({
    members,
    attachMs: Math.min(...chains.map((chain) => chain.lengths[index]?.attachMs ?? Infinity)),
    ns: Math.min(...chains.map((chain) => chain.lengths[index]?.ns ?? Infinity)),
  }));
  return { lengths, end: first.end };
}

/** The same with xdp-loader, the standard tool for XDP chains. */
function loaderChain(bench: Bench): Chain {
  const words = (index: number) => ["--mode", "skb", "--prog-name", `xdp_${10 + index}`, INTERFACE, MEMBERS];
  const grown = grow(bench, "xdp", (index) => bench.watch.run(["xdp-loader", "load", ...words(index)]));
  must(["xdp-loader", "unload", "--all", INTERFACE]);
  return grown;
}

/** A member that ip(8) or tc(8) put on the hook. */
function bare(bench: Bench, hook: Hook): number {
  const [set, clear] =
    hook === "xdp"
      ? [
          ["ip", "link", "set", "dev", INTERFACE, "xdp", "object", MEMBERS, "program", "xdp_10"],
          ["ip", "link", "set", "dev", INTERFACE, "xdp", "off"],
        ]
      : [
          ["tc", "filter", "add", "dev", INTERFACE, "ingress", "bpf", "da", "object-file", MEMBERS, "program", "tc_10"],
          ["tc", "filter", "del", "dev", INTERFACE, "ingress"],
        ];
  // Some iproute2 mount a bpffs of their own; it goes with the namespace.
  if (hook === "tc") must(["tc", "qdisc", "replace", "dev", INTERFACE, "clsact"]);
  must(set ?? []);
  const ns = perPacket(bench, ["id", programOnHook(hook)]);
  must(clear ?? []);
  return ns;
}

function print(title: string, chain: Chain, to: { readonly bareNs: number; readonly own?: Chain }): void {
  const { lengths, end } = chain;
  const { bareNs, own } = to;
  console.log(`\n${title}`);
  const heading = "members   ns/packet   to bare program   each member more   attach ms   to first attach";
  console.log(`${heading}${own === undefined ? "" : "   to bpfman's"}`);
  const [first] = lengths;
  console.log(`bare    ${String(bareNs).padStart(11)}${"1.0".padStart(18)}`);
  for (const [index, { members, attachMs, ns }] of lengths.entries()) {
    const more = first === undefined || members === 1 ? "" : ((ns - first.ns) / (members - 1)).toFixed(1);
    const ownMs = own?.lengths[index]?.attachMs;
    const columns = [
      String(ns).padStart(11),
      (ns / bareNs).toFixed(1).padStart(18),
      more.padStart(19),
      attachMs.toFixed(1).padStart(12),
      (attachMs / (first?.attachMs ?? 1)).toFixed(2).padStart(18),
      ownMs === undefined ? "" : (attachMs / ownMs).toFixed(2).padStart(15),
    ];
    console.log(`${String(members).padEnd(8)}${columns.join("")}`.trimEnd());
  }
  if (end !== null) console.log(`the chain cannot grow further here: ${end}`);
}

function benchHook(bench: Bench, hook: Hook, tools: readonly Tool[]): void {
  const plain: number[] = [];
  const grown = new Map<Tool, Chain[]>(tools.map((tool) => [tool, []]));
  for (let round = 0; round < ROUNDS; round++) {
    plain.push(bare(bench, hook));
    for (const [tool, chains] of grown) chains.push(ownChain(bench, hook, tool));
  }
  const bareNs = Math.min(...plain);
  const [own, ...others] = [...grown].map(([{ name }, chains]) => ({ name, chain: leastOf(chains) }));
  if (own === undefined) return;
  print(`${hook.toUpperCase()} chain of ${own.name}`, own.chain, { bareNs });
  for (const { name, chain } of others)
    print(`${hook.toUpperCase()} chain of ${name}`, chain, { bareNs, own: own.chain });
  if (hook === "xdp" && Bun.which("xdp-loader") !== null) {
    print("XDP chain of xdp-loader, in generic mode", loaderChain(bench), { bareNs });
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
    const peer = process.env.BPFMAN_PEER;
    const named = [["bpfman", BPFMAN], ...(peer === undefined ? [] : [["peer", peer]])] as const;
    const tools = named.map(([name = "", program = ""]) => {
      return { name, program, env: { BPFMAN_RUNTIME_DIR: join(directory, name) } };
    });
    const [only] = process.argv.slice(2);
    for (const hook of ["xdp", "tc"] as const)
      if (only === undefined || only === hook) benchHook({ watch, packet }, hook, tools);
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
