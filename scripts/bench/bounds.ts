/**
 * The bounds of speed, as multiples of an empty Bun program and of a program in C, in one run: `bun run bench` prints them as
 * the tables of docs/benchmarks.md. All commands take turns; only those of the server come afterwards.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { openById } from "../../ffi/safe/bpf.ts";
import { MapElements } from "../../ffi/safe/map-elements.ts";
import { startRegistry, type TestRegistry } from "../../test/servers/registry.ts";
import { emptyProgram } from "./commands.ts";
import { BPFMAN, type Env, least, median, MEMBERS, must, race, ROOT, type Run, type Stopwatch } from "./measure.ts";
import { type Costs, serverCosts } from "./server.ts";

const BIG = join(ROOT, "dist/bpf/bench/big.bpf.o");
const WAITS = join(ROOT, "dist/bpf/bench/waits.bpf.o");
const VALUES = join(ROOT, "dist/bpf/fixtures/map_values.bpf.o");
/** What an image of 9 KiB holds. */
const SMALL = join(ROOT, "dist/bpf/fixtures/life.bpf.o");
/** The interface of the benchmark's own network namespace (bench.ts). */
const INTERFACE = "bench0";
/** Programs of members.bpf.o that one load loads. */
const PER_LOAD = 50;
const EMPTY = "an empty Bun program";

/** Multiples of the empty program's medians. */
const BOUNDS: Readonly<Record<string, { readonly wall: number; readonly cpu: number | null }>> = {
  "--help": { wall: 1.8, cpu: 2 },
  version: { wall: 1.8, cpu: 2 },
  "list, 10 programs": { wall: 2.3, cpu: 2.6 },
  "list -o json, 1000 programs": { wall: 9, cpu: 14 },
  get: { wall: 2.5, cpu: 2.9 },
  load: { wall: 3.7, cpu: 4.2 },
  "attach tcx, without the kernel's wait": { wall: 2.8, cpu: 3.2 },
  "detach tcx, without the kernel's wait": { wall: 2.8, cpu: 3.2 },
  unload: { wall: 2.6, cpu: 3.2 },
  "unload, 10 programs": { wall: 3.2, cpu: 4.2 },
  "load an image of 9 KiB, cached": { wall: 4.5, cpu: 4.8 },
  "map lookup": { wall: 3.1, cpu: null },
};
const FURTHER_US_MAX = 5;
const PEAK_MIB_MAX = 44;
const OVER_FLOOR_MAX = 1.2;
const OTHERS_MAX = 1.1;
/** Median time and processor time of a request to the warm server, in milliseconds. */
const SERVER_BOUNDS: Readonly<Record<string, { readonly wall?: number; readonly cpu?: number }>> = {
  load: { wall: 2.2 },
  unload: { wall: 0.8 },
  "TCX cycle: all four": { cpu: 6 },
  "list, 100 programs": { wall: 3 },
};

/** Runs of several commands, by what they do. */
type Runs = Readonly<Record<string, Run>>;

/** Whoever loads and attaches: bpfman in either grammar. */
interface Tool {
  readonly load: (watch: Stopwatch, object: string, programs: readonly string[]) => Loaded;
  readonly attach: (watch: Stopwatch, program: string) => Loaded;
  readonly detach: (watch: Stopwatch, link: string) => Run;
  readonly unload: (watch: Stopwatch, programs: readonly string[]) => Run;
  readonly get: (watch: Stopwatch, program: string) => Run;
  readonly list: (watch: Stopwatch, ...options: readonly string[]) => Run;
  readonly words: (...words: readonly string[]) => readonly [readonly string[], Env];
}

interface Loaded {
  readonly run: Run;
  readonly ids: readonly string[];
}

function identified(run: Run, pattern: RegExp): Loaded {
  const ids = [...run.out.matchAll(pattern)].map(([, id = ""]) => id);
  if (ids.length === 0) throw new Error(`no ${pattern} in the output`);
  return { run, ids };
}

function classic(program: string, env: Env): Tool {
  const run = (watch: Stopwatch, ...words: readonly string[]) => watch.run([program, ...words], env);
  const place = ["tcx", "--iface", INTERFACE, "--direction", "ingress", "--priority", "50"];
  return {
    load: (watch, object, programs) =>
      identified(
        run(watch, "load", "file", "--path", object, "--programs", ...programs),
        programs.length === 1 ? /Program ID: +(\d+)/g : /^ *(\d+) /gm,
      ),
    attach: (watch, id) => identified(run(watch, "attach", id, ...place), /Link ID: +(\d+)/g),
    detach: (watch, link) => run(watch, "detach", link),
    unload: (watch, programs) => run(watch, "unload", ...programs),
    get: (watch, id) => run(watch, "get", "program", id),
    list: (watch, ...options) => run(watch, "list", "programs", ...options),
    words: (...words) => [[program, ...words], env],
  };
}

function nounVerb(program: string, env: Env): Tool {
  const run = (watch: Stopwatch, ...words: readonly string[]) => watch.run([program, ...words], env);
  return {
    load: (watch, object, programs) =>
      identified(
        run(watch, "program", "load", "file", object, `--programs=${programs.join(",")}`, "-o", "json"),
        /"record": *\{\s*"(?:program_)?id": *(\d+)/g,
      ),
    attach: (watch, id) =>
      identified(
        run(watch, "link", "attach", "tcx", id, INTERFACE, "ingress", "--priority=50", "-o", "json"),
        /"record": *\{\s*"(?:link_)?id": *(\d+)/g,
      ),
    detach: (watch, link) => run(watch, "link", "detach", link),
    unload: (watch, programs) => run(watch, "program", "unload", ...programs),
    get: (watch, id) => run(watch, "program", "get", id),
    list: (watch, ...options) => run(watch, "program", "list", ...options),
    words: (...words) => [[program, ...words], env],
  };
}

/** The bpfman that BPFMAN_PEER names, in the grammar that it understands. */
function peer(): Tool | null {
  const program = process.env.BPFMAN_PEER;
  if (program === undefined) return null;
  const isClassic = Bun.spawnSync([program, "load", "file", "--help"], { stdio: ["ignore", "ignore", "ignore"] });
  return isClassic.exitCode === 0 ? classic(program, {}) : nounVerb(program, {});
}

const prefixed = (prefix: string, runs: Runs): Runs =>
  Object.fromEntries(Object.entries(runs).map(([name, run]) => [`${prefix}${name}`, run]));

/** Reads how long commands have waited in the kernel (bpf/waits.bpf.c). */
class Waits {
  readonly #sum: MapElements;
  readonly #only = new Uint8Array(4);

  constructor(env: Env) {
    must(["mount", "-t", "tracefs", "tracefs", "/sys/kernel/tracing"]);
    const load = ["load", "file", "--path", WAITS, "--programs", "tracepoint:enter", "tracepoint:leave", "-o", "json"];
    const { programs }: { readonly programs: readonly { readonly record: { readonly program_id: number } }[] } =
      JSON.parse(must([BPFMAN, ...load], env));
    for (const [index, tracepoint] of ["syscalls/sys_enter_bpf", "syscalls/sys_exit_bpf"].entries()) {
      const id = String(programs[index]?.record.program_id);
      must([BPFMAN, "attach", id, "tracepoint", "--tracepoint", tracepoint], env);
    }
    const { id }: { readonly id: number } = JSON.parse(must([BPFMAN, "map", "get", "waited_ns", "-o", "json"], env));
    const fd = openById("map", id);
    if (fd === null) throw new Error(`no map ${id}`);
    this.#sum = new MapElements(fd, { keyBytes: 4, valueBytes: 8 });
  }

  #ms(): number {
    const sum = this.#sum.lookup(this.#only);
    return sum === null ? 0 : Number(new DataView(sum.buffer, sum.byteOffset, 8).getBigUint64(0, true)) / 1e6;
  }

  /** The same run, without what it has waited. */
  without<Result extends Run | Loaded>(run: () => Result): Result {
    const before = this.#ms();
    const result = run();
    const waitedMs = this.#ms() - before;
    return "run" in result
      ? { ...result, run: { ...result.run, ms: result.run.ms - waitedMs } }
      : { ...result, ms: result.ms - waitedMs };
  }
}

interface Parts {
  readonly watch: Stopwatch;
  readonly tool: Tool;
  readonly waits: Waits;
}

/** Loads, shows, attaches, detaches and unloads one program, then ten. */
function life({ watch, tool, waits }: Parts): Runs {
  const { run: load, ids } = tool.load(watch, MEMBERS, ["tcx:tc_10"]);
  const id = ids[0] ?? "";
  const get = tool.get(watch, id);
  const attach = waits.without(() => tool.attach(watch, id));
  const detach = waits.without(() => tool.detach(watch, attach.ids[0] ?? ""));
  const unload = tool.unload(watch, [id]);
  const many = tool.load(watch, MEMBERS, members(10));
  return {
    ...{ load, get, unload, "attach tcx, without the kernel's wait": attach.run },
    ...{ "detach tcx, without the kernel's wait": detach, "load, 10 programs": many.run },
    "unload, 10 programs": tool.unload(watch, many.ids),
  };
}

const members = (count: number): string[] => Array.from({ length: count }, (_, index) => `tcx:tc_${10 + index}`);

/** All programs of the big object, by name, because not every bpfman knows a word for all. */
const IN_BIG = Array.from({ length: 100 }, (_, index) => `tc:big_${10 + index}`);

/** Loads a big object: one of its programs, then all. */
function big({ watch, tool }: Omit<Parts, "waits">): Runs {
  const one = tool.load(watch, BIG, ["tc:big_10"]);
  tool.unload(watch, one.ids);
  const all = tool.load(watch, BIG, IN_BIG);
  return {
    "load, 1 program of 1.1 MiB": one.run,
    "load, all 100 programs of 1.1 MiB": all.run,
    "unload, 100 programs": tool.unload(watch, all.ids),
  };
}

/** The same by a program in C, of which detaching and unloading also are what nothing of ours can be faster than. */
function inC(watch: Stopwatch, waits: Waits, floor: string, pins: string): Runs {
  const pin = (name: string): string => join(pins, name);
  const run = (...words: readonly string[]): Run => watch.run([floor, ...words]);
  const load = run("load", MEMBERS, "tc_10", pin("program"));
  const runs = {
    load,
    get: run("get", /^\d+/.exec(run("list").out)?.[0] ?? ""),
    "attach tcx, without the kernel's wait": waits.without(() => run("attach", pin("program"), INTERFACE, pin("link"))),
    "detach tcx, without the kernel's wait": waits.without(() => run("detach", pin("link"))),
    unload: run("unload", pin("program")),
    "load, 1 program of 1.1 MiB": run("load", BIG, "big_10", pin("program")),
    "load, all 100 programs of 1.1 MiB": run("load-all", BIG, pin("all")),
  };
  rmSync(pin("program"));
  rmSync(pin("all"), { recursive: true });
  return runs;
}

interface Images {
  readonly url: (name: string) => string;
  readonly env: Env;
}

/** Loads an image that is in the cache, and one that is not. */
function images(watch: Stopwatch, { url, env }: Images): Runs {
  const load = (image: string, program: string): Run => {
    const { run, ids } = identified(
      watch.run([BPFMAN, "load", "image", "--image-url", url(image), "--programs", program], env),
      /Program ID: +(\d+)/g,
    );
    must([BPFMAN, "unload", ...ids], env);
    return run;
  };
  const runs: Record<string, Run> = {};
  for (const [image, program, size] of [
    ["small", "tc:count", "9 KiB"],
    ["big", "tc:big_10", "1.1 MiB"],
  ] as const) {
    rmSync(String(env.BPFMAN_CACHE_DIR), { recursive: true, force: true });
    runs[`load an image of ${size}, from a registry`] = load(image, program);
    runs[`load an image of ${size}, cached`] = load(image, program);
  }
  return runs;
}

interface Contender {
  readonly name: string;
  readonly run: () => Runs;
}

const only = (name: string, run: () => Run): Contender => ({ name, run: () => ({ [name]: run() }) });

/** Runs all of them in turn; returns what each of their commands took. */
function takeTurns(contenders: readonly Contender[], rounds: number): ReadonlyMap<string, readonly Run[]> {
  const all = new Map<string, Run[]>();
  const raced = contenders.map(({ name, run }) => ({
    name,
    run: () => {
      const runs = run();
      for (const [each, one] of Object.entries(runs)) all.set(each, [...(all.get(each) ?? []), one]);
      return Object.values(runs)[0] as Run;
    },
  }));
  race(raced, rounds);
  // As race() does, without those of the first two rounds, in which files are read from the disk.
  const warmUp = 2 / (rounds + 2);
  return new Map([...all].map(([name, runs]) => [name, runs.slice(Math.round(runs.length * warmUp))]));
}

export interface Round {
  readonly watch: Stopwatch;
  readonly rounds: number;
  /** How often each request goes to the server. */
  readonly requests: number;
}

/** Runs everything, prints the tables, and returns the number of bounds that do not hold. */
export async function benchBounds({ watch, rounds, requests }: Round): Promise<number> {
  const place = (name: string): Env => ({ BPFMAN_RUNTIME_DIR: join(watch.directory, name) });
  const ours = (name: string): Tool => classic(BPFMAN, place(name));
  const floor = join(watch.directory, "floor");
  must(["gcc", "-O2", "-o", floor, join(import.meta.dir, "floor.c"), "-lbpf"]);
  const empty = emptyProgram(watch.directory);
  const waits = new Waits(place("waits"));
  const listed = [0, 10, 100, 1000].map((count) => {
    const tool = ours(`list-${count}`);
    for (let loaded = 0; loaded < count; loaded += PER_LOAD) {
      tool.load(watch, MEMBERS, members(Math.min(PER_LOAD, count - loaded)));
    }
    return { count, tool };
  });
  const many = listed.at(-1)?.tool as Tool;
  const maps = ours("maps");
  must(...maps.words("load", "file", "--path", VALUES, "--programs", "xdp:use_all"));
  must(...maps.words("map", "update", "million", "5", "7"));
  const other = peer();
  const pins = join(watch.directory, "list-10/fs/floor");
  must(["mkdir", pins]);
  const registry = Bun.which("docker-registry") === null ? null : await startRegistry();

  try {
    const found = registry === null ? null : await publish(registry, watch.directory);
    const base = only(EMPTY, () => watch.run([empty]));
    const life0 = (tool: Tool) => life({ watch, tool, waits });
    const contenders = [
      base,
      only("--help", () => watch.run([BPFMAN, "--help"])),
      only("version", () => watch.run([BPFMAN, "version"])),
      ...listed.map(({ count, tool }) => only(`list, ${count} programs`, () => tool.list(watch))),
      only("list -o json, 1000 programs", () => many.list(watch, "-o", "json")),
      base,
      { name: "commands", run: () => life0(ours("life")) },
      only("map lookup", () => watch.run(...maps.words("map", "lookup", "million", "5"))),
      base,
      { name: "with 1000 programs", run: () => prefixed("with 1000 programs: ", life0(many)) },
      { name: "big objects", run: () => big({ watch, tool: ours("life") }) },
      ...(found === null ? [] : [{ name: "images", run: () => images(watch, found) }]),
      base,
      { name: "C", run: () => prefixed("C: ", inC(watch, waits, floor, pins)) },
      ...(other === null
        ? []
        : [
            { name: "peer", run: () => prefixed("peer: ", life0(other)) },
            { name: "peer, big objects", run: () => prefixed("peer: ", big({ watch, tool: other })) },
          ]),
    ];
    const runs = takeTurns(contenders, rounds);
    const server = await serverCosts(watch.directory, requests);
    return print(runs, server, rounds);
  } finally {
    await registry?.close();
  }
}

async function publish(registry: TestRegistry, directory: string): Promise<Images> {
  const state = join(directory, "images");
  const env = { BPFMAN_RUNTIME_DIR: state, BPFMAN_CACHE_DIR: join(state, "cache") };
  const url = (name: string): string => `${registry.host}/${name}:latest`;
  must([BPFMAN, "image", "build", url("small"), SMALL], env);
  must([BPFMAN, "image", "build", url("big"), BIG], env);
  return { url, env };
}

/** A line of Markdown, with what was measured, and the bound. */
class Table {
  broken = 0;

  constructor(title: string, head: readonly string[]) {
    console.log(`\n### ${title}\n`);
    console.log(`| ${head.join(" | ")} |`);
    console.log(`|${head.map((_, index) => (index === 0 ? "---|" : "---:|")).join("")}`);
  }

  row(name: string, ...cells: readonly string[]): void {
    console.log(`| ${[name, ...cells].join(" | ")} |`);
  }

  /** Two cells: the value, and the bound with whether it holds. */
  held(value: number, bound: number | null | undefined, digits = 2): readonly [string, string] {
    const shown = value.toFixed(digits);
    if (bound === null || bound === undefined) return [shown, ""];
    const holds = value <= bound;
    if (!holds) this.broken++;
    return [shown, holds ? `${bound}` : `**${bound}**`];
  }
}

function print(runs: ReadonlyMap<string, readonly Run[]>, server: readonly Costs[], rounds: number): number {
  const of = (name: string, what: "ms" | "cpuMs"): number => median((runs.get(name) ?? []).map((run) => run[what]));
  const [baseMs, baseCpuMs] = [of(EMPTY, "ms"), of(EMPTY, "cpuMs")];
  const commands = new Table(`Commands: medians of ${rounds} rounds, and multiples of an empty Bun program`, [
    ...["", "ms", "×", "bound", "processor ms", "×", "bound", "peak MiB"],
  ]);
  const special = /^(C|peer|with 1000 programs): /;
  for (const [name, each] of runs) {
    if (special.test(name)) continue;
    const [ms, cpuMs] = [of(name, "ms"), of(name, "cpuMs")];
    const bound = BOUNDS[name];
    const isListing = name === "list, 10 programs" || name === "load";
    const peak = Math.max(...each.map(({ peakMiB }) => peakMiB));
    const [peakShown, peakBound] = commands.held(peak, isListing ? PEAK_MIB_MAX : null, 1);
    commands.row(
      name,
      ...[ms.toFixed(2), ...commands.held(ms / baseMs, bound?.wall)],
      ...[cpuMs.toFixed(2), ...commands.held(cpuMs / baseCpuMs, bound?.cpu)],
      peakBound === "" ? peakShown : `${peakShown} (${peakBound})`,
    );
  }

  const beside = new Table("Beside libbpf, and another bpfman", [
    ...["", "bpfman ms", "C ms", "×", "bound", ...(runs.has("peer: load") ? ["peer ms", "peer processor ms"] : [])],
  ]);
  for (const name of runs.keys()) {
    if (special.test(name) || !(runs.has(`C: ${name}`) || runs.has(`peer: ${name}`))) continue;
    const bound = name === "load, all 100 programs of 1.1 MiB" ? OVER_FLOOR_MAX : null;
    const [ms, cMs] = [of(name, "ms"), of(`C: ${name}`, "ms")];
    const inPeer = runs.has(`peer: ${name}`) ? (["ms", "cpuMs"] as const).map((w) => of(`peer: ${name}`, w)) : [];
    const floors = runs.has(`C: ${name}`) ? [cMs.toFixed(2), ...beside.held(ms / cMs, bound)] : ["", "", ""];
    const shown = inPeer.map((value) => value.toFixed(2));
    beside.row(name, ms.toFixed(2), ...floors, ...(runs.has("peer: load") && shown.length === 0 ? ["", ""] : shown));
  }

  const others = new Table("With 1000 other programs of bpfman", ["", "ms", "× none", "bound", "processor ×"]);
  for (const name of runs.keys()) {
    if (!name.startsWith("with 1000 programs: ")) continue;
    const plain = name.replace(special, "");
    const ratio = of(name, "ms") / of(plain, "ms");
    const cpu = of(name, "cpuMs") / of(plain, "cpuMs");
    others.row(plain, of(name, "ms").toFixed(2), ...others.held(ratio, OTHERS_MAX), cpu.toFixed(2));
  }
  const leastOf = (name: string): number => least((runs.get(name) ?? []).map(({ ms }) => ms));
  const further = ((leastOf("list, 1000 programs") - leastOf("list, 10 programs")) / 990) * 1000;
  others.row("list: each further program, in µs", "", ...others.held(further, FURTHER_US_MAX, 1), "");

  const warm = new Table("The warm server: medians of one request", ["", "ms", "bound", "processor ms", "bound"]);
  for (const { name, wallMs, cpuMs } of server) {
    const bound = SERVER_BOUNDS[name];
    warm.row(name, ...warm.held(median(wallMs), bound?.wall), ...warm.held(median(cpuMs), bound?.cpu));
  }
  return [commands, beside, others, warm].reduce((sum, { broken }) => sum + broken, 0);
}
