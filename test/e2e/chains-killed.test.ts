/**
 * Kills commands that change a chain with SIGKILL at each step of a rebuild: the hook must run the old chain or the new
 * one, and after the next writing command, rows, pins and kernel must agree on one of the two.
 */
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Client } from "../../rpc/client/client.ts";
import { buildBpf } from "../../scripts/build-bpf.ts";
import { placeOn, watchMembers, wire } from "../labs/chain-lab.ts";
import { executable, idOf, mapOf } from "../labs/executable.ts";
import { extensionTest } from "../labs/extension-test.ts";
import { loadedPrograms, sh, until } from "../labs/kernel-lab.ts";
import { killAt } from "../labs/kill-at.ts";
import { randomFrom } from "../objects/damage.ts";

buildBpf();
const OBJECT = resolve(import.meta.dir, "../../dist/bpf/fixtures/chain.bpf.o");

/** The calls by which a chain and its rows are changed, with what they must be about. */
const STEPS: Readonly<Record<string, RegExp>> = {
  bpf: /BPF_PROG_LOAD, .*(_dispatcher|_member_)|BPF_OBJ_PIN|BPF_LINK_CREATE|BPF_LINK_UPDATE/,
  // Of a socket in another namespace, strace does not find the protocol, and so shows a number.
  sendto: /RTM_(NEW|DEL)TFILTER|nlmsg_type=0x2[cd]\b/,
  mkdirat: /dispatcher_/,
  unlinkat: /"[^"]*\/(fs|programs)\//,
  membarrier: /./,
  pwrite64: /bpfman\.db-wal>/,
};

/** BPF_PROG_TYPE_EXT. */
const EXTENSION = 28;

/** How many steps of each command are taken, by a seed; all of them, if it is not set. */
const TAKEN = Number(process.env.BPFMAN_STEPS ?? Number.POSITIVE_INFINITY);
const SEED = Number(process.env.BPFMAN_STEPS_SEED ?? Math.floor(Math.random() * 2 ** 32));
const random = randomFrom(SEED);
const some = (steps: readonly Moment[]): Moment[] => {
  const left = [...steps];
  while (left.length > TAKEN) left.splice(random(left.length), 1);
  return left;
};

const bpfman = executable();
const lab = wire();

interface Moment {
  readonly call: string;
  readonly number: number;
}

/** Runs a command, and kills it at that moment, before the call; answers its exit code, which is not 0 then. Traces it otherwise. */
function traced(words: readonly string[], moment: Moment | null): number | null {
  const calls = Object.keys(STEPS).join(",");
  const strace = ["strace", "-f", "--seccomp-bpf", "-qq", "-y", "-s", "200", "-o", bpfman.path("trace")];
  const tracer =
    moment === null ? [...strace, "-e", `trace=${calls}`] : killAt(bpfman.path("trace"), moment.call, moment.number);
  return Bun.spawnSync([...tracer, ...bpfman.command(...words)]).exitCode;
}

/** More calls of one kind in a row, as of ten members, are not all steps, but the first, the second and the last. */
const ROW_MAX = 8;

/** The steps in the trace of a command that was left alone. Of what it writes to the database at once, only the first. */
function moments(): Moment[] {
  const lines = readFileSync(bpfman.path("trace"), "utf8").split("\n");
  const [main = ""] = (lines[0] ?? "").split(" ");
  const numbers = new Map<string, number>();
  const rows: { kind: string; steps: Moment[] }[] = [];
  for (const line of lines) {
    const [, process, call = "", command = ""] = /^(\d+) +(\w+)\((BPF_\w+)?/.exec(line) ?? [];
    if (process !== main) continue;
    const number = (numbers.get(call) ?? 0) + 1;
    numbers.set(call, number);
    const isStep = STEPS[call]?.test(line) === true;
    if (!isStep && call !== "pwrite64" && rows.at(-1)?.kind === "pwrite64") rows.push({ kind: "", steps: [] });
    if (!isStep) continue;
    const kind = call + command;
    if (rows.at(-1)?.kind !== kind) rows.push({ kind, steps: [] });
    rows.at(-1)?.steps.push({ call, number });
  }
  return rows.flatMap(({ kind, steps }) => {
    if (kind === "pwrite64") return steps.slice(0, 1);
    return steps.length <= ROW_MAX ? steps : [...steps.slice(0, 2), ...steps.slice(-1)];
  });
}

const namesIn = (directory: string): string[] => (existsSync(directory) ? readdirSync(directory) : []);

describe.each([
  ["xdp", 2],
  ["tc", 0],
] as const)("%s", (hook, passes) => {
  const type = hook === "xdp" ? "xdp" : "tc-ingress";

  async function members(session: Client, count: number) {
    const numbers = Array.from({ length: count }, (_, number) => number);
    // The maps belong to the one that is named first, which stays loaded.
    const names = numbers.toReversed().map((number) => `${hook}:${hook}_member_${number}`);
    const programs = await bpfman.load(OBJECT, "--programs", ...names);
    const watch = watchMembers((name) => mapOf(programs, name));
    watch.setVerdicts(Object.fromEntries(numbers.map((number) => [number, passes])));
    return { ...watch, session, ids: numbers.map((number) => idOf(programs, `${hook}_member_${number}`)) };
  }
  type Chain = Awaited<ReturnType<typeof members>>;

  const attachWords = (chain: Chain, member: number, priority: number): string[] => [
    ...["attach", String(chain.ids[member]), hook, "-i", "veth0", "-n", lab.netns(), "-p", String(priority)],
    ...(hook === "tc" ? ["-d", "ingress"] : []),
  ];
  const linksOf = async (chain: Chain) => (await chain.session.call("link/list", {})).links;
  const linkOf = async (chain: Chain, member: number): Promise<number> =>
    (await linksOf(chain)).find((link) => link.program_id === chain.ids[member])?.id ?? 0;
  /** The members on the hook, in order, as bpfman has them. */
  async function order(chain: Chain): Promise<number[]> {
    const places = (await linksOf(chain)).map(({ program_id: program, details }) => {
      return { member: chain.ids.indexOf(program), position: "position" in details ? details.position : -1 };
    });
    return places.sort((a, b) => a.position - b.position).map(({ member }) => member);
  }
  const dispatchersOf = async ({ session }: Chain) => (await session.call("dispatcher/list", {})).dispatchers;

  /** Sends a packet, which must come through, and gives the members that saw it. */
  async function path(chain: Chain, allowed: readonly (readonly number[])[]): Promise<void> {
    const before = lab.received();
    chain.clear();
    lab.send(1);
    await until(() => lab.received() === before + 1);
    expect(allowed).toContainEqual(chain.seen());
  }

  /** What is pinned and loaded is what the one chain needs, or nothing. */
  async function expectTidy(chain: Chain, members: number): Promise<void> {
    const dispatchers = await dispatchersOf(chain);
    expect(dispatchers.map((each) => each.member_count)).toEqual(members === 0 ? [] : [members]);
    const [there] = dispatchers;
    const { nsid, ifindex } = there?.key ?? { nsid: 0, ifindex: 0 };
    const name = `dispatcher_${nsid}_${ifindex}`;
    const chained = there?.mode === "chain";
    const pins = [
      ...(chained ? [`${name}_${there?.revision}`] : []),
      ...(there !== undefined && hook === "xdp" ? [`${name}_link`] : []),
    ];
    expect(namesIn(`${bpfman.runtimeDir}/fs/${type}`).sort()).toEqual(pins.sort());
    // The dispatcher, and one twin for each member; nothing of one that runs directly.
    const wanted = chained
      ? { dispatchers: [there?.runtime.program_id], twins: members }
      : { dispatchers: [], twins: 0 };
    const loaded = () => {
      const programs = loadedPrograms();
      return {
        dispatchers: programs.filter(({ name }) => name === `${hook}_dispatcher`).map(({ id }) => id),
        twins: programs.filter(({ type, name }) => type === EXTENSION && name.includes("_member_")).length,
      };
    };
    await until(() => Bun.deepEquals(loaded(), wanted));
    if (hook === "tc") {
      const filters = sh("tc", "-n", lab.name(), "filter", "show", "dev", "veth0", "ingress");
      expect(filters.match(/handle/g) ?? []).toHaveLength(members > 0 ? 1 : 0);
    }
  }

  async function attach(chain: Chain, member: number): Promise<void> {
    await chain.session.call("link/attach", {
      programId: chain.ids[member] ?? 0,
      attach: placeOn(hook, { netns: lab.netns(), priority: 100 * (member + 1) }),
    });
  }
  const detach = async (chain: Chain, member: number) =>
    chain.session.call("link/detach", { linkId: await linkOf(chain, member) });
  const update = async (chain: Chain, change: { priority?: number; proceedOn?: string[] }) =>
    chain.session.call("link/update", { linkId: await linkOf(chain, 0), ...change });
  const updateWords = async (chain: Chain, ...change: readonly string[]) => [
    ...["link", "update", String(await linkOf(chain, 0)), ...change],
  ];
  const [needsDispatcher, needsNone] = hook === "xdp" ? (["drop", "pass"] as const) : (["shot", "ok"] as const);

  interface Verb {
    /** The members before it; each has the priority 100, 200, … */
    readonly old: readonly number[];
    readonly next: readonly number[];
    /** The first member proceeds on something from the beginning with which it cannot run directly. */
    readonly dispatcher?: true;
    words(chain: Chain): Promise<readonly string[]>;
    /** From the new chain back to the old one. */
    undo(chain: Chain): Promise<unknown>;
  }
  const attaching = (member: number, old: readonly number[]): Verb => ({
    ...{ old, next: [member, ...old] },
    words: async (chain) => attachWords(chain, member, 0),
    undo: (chain) => detach(chain, member),
  });
  const detaching = (old: readonly number[]): Verb => ({
    ...{ old, next: old.slice(1) },
    words: async (chain) => ["detach", String(await linkOf(chain, 0))],
    undo: (chain) => attach(chain, 0),
  });
  const unloading = (old: readonly number[]): Verb => ({
    ...{ old, next: old.slice(1) },
    words: async (chain) => ["unload", String(chain.ids[0])],
    async undo(chain) {
      const { programs } = await chain.session.call("program/list", {});
      // Killed between the two, it has detached the program and not unloaded it.
      if (!programs.some((program) => program.program_id === chain.ids[0])) {
        const words = ["--programs", `${hook}:${hook}_member_0`, "--map-owner-id", String(chain.ids.at(-1))];
        chain.ids[0] = idOf(await bpfman.load(OBJECT, ...words), `${hook}_member_0`);
      }
      await attach(chain, 0);
    },
  });
  const deleting = (old: readonly number[]): Verb => ({
    ...{ old, next: [] },
    async words(chain) {
      const { nsid, ifindex } = (await dispatchersOf(chain))[0]?.key ?? { nsid: 0, ifindex: 0 };
      return ["dispatcher", "delete", type, String(nsid), String(ifindex)];
    },
    async undo(chain) {
      for (const member of old) await attach(chain, member);
    },
  });
  const VERBS: Readonly<Record<string, Verb>> = {
    "the first attach": attaching(0, []),
    "the second attach": attaching(1, [0]),
    "an attach": attaching(2, [0, 1]),
    "the tenth attach": attaching(9, [0, 1, 2, 3, 4, 5, 6, 7, 8]),
    "a link update that asks for a dispatcher": {
      ...{ old: [0], next: [0] },
      words: (chain) => updateWords(chain, "--proceed-on", needsDispatcher),
      undo: (chain) => update(chain, { proceedOn: [needsNone] }),
    },
    "a link update that needs no dispatcher any more": {
      ...{ old: [0], next: [0], dispatcher: true },
      words: (chain) => updateWords(chain, "--proceed-on", needsNone),
      undo: (chain) => update(chain, { proceedOn: [needsDispatcher] }),
    },
    "a link update": {
      ...{ old: [0, 1], next: [1, 0] },
      words: (chain) => updateWords(chain, "--priority", "900"),
      undo: (chain) => update(chain, { priority: 100 }),
    },
    "a detach": detaching([0, 1, 2]),
    "a detach that leaves one": detaching([0, 1]),
    "the last detach": detaching([0]),
    "an unload": unloading([0, 1, 2]),
    "an unload that leaves one": unloading([0, 1]),
    "an unload of one that runs directly": unloading([0]),
    "a dispatcher delete": deleting([0, 1]),
    "a dispatcher delete of one that runs directly": deleting([0]),
  };

  async function killAtEachStep(session: Client, verb: Verb): Promise<void> {
    const chain = await members(session, Math.max(1, ...verb.old, ...verb.next) + 1);
    for (const member of verb.old) await attach(chain, member);
    if (verb.dispatcher) await update(chain, { proceedOn: [needsDispatcher] });
    expect(traced(await verb.words(chain), null)).toBe(0);
    const all = moments();
    // Those that change what is on the hook are among them.
    const swaps = hook === "xdp" ? ["bpf", "unlinkat"] : ["sendto"];
    expect(all.some(({ call }) => swaps.includes(call))).toBe(true);
    const steps = some(all);
    await path(chain, [verb.next]);
    await verb.undo(chain);
    const missed: Moment[] = [];
    for (const step of steps) {
      if (traced(await verb.words(chain), step) === 0) missed.push(step);
      await path(chain, [verb.old, verb.next]);
      // A reader does not stumble over what is left; the next writer clears it away.
      await linksOf(chain);
      await session.call("program/unload", { programId: 0xffff_ffff, ignoreMissing: true });
      const now = await order(chain);
      expect({ step, now, possible: [verb.old, verb.next].some((each) => `${each}` === `${now}`) }).toEqual({
        ...{ step, now },
        possible: true,
      });
      await path(chain, [now]);
      await expectTidy(chain, now.length);
      if (`${now}` === `${verb.next}`) await verb.undo(chain);
    }
    // How much SQLite writes varies.
    expect(missed.filter(({ call }) => call !== "pwrite64")).toEqual([]);
    for (const programId of chain.ids) await session.call("program/unload", { programId });
    await bpfman.expectNothingLeft();
    const seed = steps.length < all.length ? `, BPFMAN_STEPS_SEED=${SEED}` : "";
    console.log(`killed at ${steps.length - missed.length} of ${all.length} steps${seed}`);
  }

  for (const [name, verb] of Object.entries(VERBS)) {
    const needsExtensions = Math.max(verb.old.length, verb.next.length) > 1 || name.includes("link update");
    const check = needsExtensions ? extensionTest : test;
    check(`${hook}: ${name}, killed at each step`, async () => {
      await killAtEachStep(await bpfman.session(), verb);
    });
  }
});
