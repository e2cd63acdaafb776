/**
 * Kills commands that change a chain with SIGKILL at each step of a rebuild: the hook must run the old chain or the new
 * one, and after the next writing command, rows, pins and kernel must agree on one of the two.
 */
import { describe, expect } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import type { DispatcherListAnswer } from "../../src/domain/answer.ts";
import { watchMembers, wire } from "../labs/chain-lab.ts";
import { executable, idOf, mapOf } from "../labs/executable.ts";
import { extensionTest } from "../labs/extension-test.ts";
import { bpftool, sh, until } from "../labs/kernel-lab.ts";

buildBpf();
const OBJECT = resolve(import.meta.dir, "../../dist/bpf/fixtures/chain.bpf.o");

/** The calls by which a chain is changed, with what they must be about. */
const STEPS: Readonly<Record<string, RegExp>> = {
  bpf: /BPF_PROG_LOAD, .*(_dispatcher|_member_)|BPF_OBJ_PIN|BPF_LINK_CREATE|BPF_LINK_UPDATE/,
  sendto: /RTM_(NEW|DEL)TFILTER/,
  mkdirat: /dispatcher_/,
  unlinkat: /\/fs\//,
  fsync: /./,
};

const bpfman = executable();
const lab = wire();

interface Moment {
  readonly call: string;
  readonly number: number;
}

/** Runs a command under strace, which kills it at that moment; answers its exit code, which is not 0 then. */
function traced(words: readonly string[], moment: Moment | null): number | null {
  const kill = moment === null ? [] : ["-e", `inject=${moment.call}:signal=SIGKILL:when=${moment.number}`];
  const calls = moment === null ? Object.keys(STEPS).join(",") : moment.call;
  const strace = ["strace", "-f", "-qq", "-s", "200", "-o", bpfman.path("trace"), "-e", `trace=${calls}`, ...kill];
  return Bun.spawnSync([...strace, ...bpfman.command(...words)]).exitCode;
}

/** The steps in the trace of a command that was left alone. */
function moments(): Moment[] {
  const lines = readFileSync(bpfman.path("trace"), "utf8").split("\n");
  const [main = ""] = (lines[0] ?? "").split(" ");
  return Object.entries(STEPS).flatMap(([call, wanted]) => {
    const calls = lines.filter((line) => line.startsWith(`${main} `) && line.includes(` ${call}(`));
    return calls.flatMap((line, index) => (wanted.test(line) ? [{ call, number: index + 1 }] : []));
  });
}

const namesIn = (directory: string): string[] => (existsSync(directory) ? readdirSync(directory) : []);

describe.each([
  ["xdp", 2],
  ["tc", 0],
] as const)("%s", (hook, passes) => {
  const type = hook === "xdp" ? "xdp" : "tc-ingress";

  async function members() {
    const names = [0, 1, 2].map((number) => `${hook}:${hook}_member_${number}`);
    const programs = await bpfman.load(OBJECT, "--programs", ...names);
    const watch = watchMembers((name) => mapOf(programs, name));
    watch.setVerdicts({ 0: passes, 1: passes, 2: passes });
    return { ...watch, ids: [0, 1, 2].map((number) => idOf(programs, `${hook}_member_${number}`)) };
  }
  type Chain = Awaited<ReturnType<typeof members>>;

  const attachWords = (chain: Chain, member: number, priority: number): string[] => [
    ...["attach", String(chain.ids[member]), hook, "-i", "veth0", "-n", lab.netns(), "-p", String(priority)],
    ...(hook === "tc" ? ["-d", "ingress"] : []),
  ];
  const linkOf = async (chain: Chain, member: number): Promise<string> => {
    const found = (await bpfman.links()).find((link) => link.program_id === chain.ids[member]);
    return String(found?.id ?? 0);
  };
  /** The members on the hook, in order, as bpfman has them. */
  async function order(chain: Chain): Promise<number[]> {
    const places = (await bpfman.links()).map(({ program_id: program, details }) => {
      return { member: chain.ids.indexOf(program), position: "position" in details ? details.position : -1 };
    });
    return places.sort((a, b) => a.position - b.position).map(({ member }) => member);
  }

  /** Sends a packet, which must come through, and gives the members that saw it. */
  async function path(chain: Chain, allowed: readonly (readonly number[])[]): Promise<void> {
    const before = lab.received();
    chain.clear();
    lab.send(1);
    await until(() => lab.received() === before + 1);
    expect(allowed).toContainEqual(chain.seen());
  }

  /** What is pinned and loaded is what the one chain needs, or nothing. */
  async function expectTidy(members: number): Promise<void> {
    const { dispatchers }: DispatcherListAnswer = await bpfman.json("dispatcher", "list");
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
    const loaded = (): number[] =>
      (bpftool("prog", "show") as { id: number; name?: string }[])
        .filter((program) => program.name === `${hook}_dispatcher`)
        .map((program) => program.id);
    await until(() => loaded().length === (chained ? 1 : 0));
    if (chained) expect(loaded()).toContain(there?.runtime.program_id ?? 0);
    // One twin for each member, and none of one that runs directly.
    const twins = () =>
      (bpftool("prog", "show") as { type: string; name?: string }[]).filter(
        ({ type, name }) => type === "ext" && name?.includes("_member_"),
      );
    await until(() => twins().length === (chained ? members : 0));
    const filters = sh("tc", "-n", lab.name(), "filter", "show", "dev", "veth0", "ingress");
    expect(filters.match(/handle/g) ?? []).toHaveLength(hook === "tc" && members > 0 ? 1 : 0);
  }

  interface Verb {
    readonly old: readonly number[];
    readonly next: readonly number[];
    words(chain: Chain): Promise<readonly string[]>;
    /** From the new chain back to the old one. */
    undo(chain: Chain): Promise<readonly string[]>;
  }
  const VERBS: Readonly<Record<string, Verb>> = {
    "the first attach": {
      old: [],
      next: [0],
      words: async (chain) => attachWords(chain, 0, 100),
      undo: async (chain) => ["detach", await linkOf(chain, 0)],
    },
    "an attach": {
      old: [0, 1],
      next: [2, 0, 1],
      words: async (chain) => attachWords(chain, 2, 0),
      undo: async (chain) => ["detach", await linkOf(chain, 2)],
    },
    "the second attach": {
      old: [0],
      next: [1, 0],
      words: async (chain) => attachWords(chain, 1, 50),
      undo: async (chain) => ["detach", await linkOf(chain, 1)],
    },
    "a link update that asks for a dispatcher": {
      old: [0],
      next: [0],
      words: async (chain) => [
        "link",
        "update",
        await linkOf(chain, 0),
        "--proceed-on",
        hook === "xdp" ? "drop" : "shot",
      ],
      undo: async (chain) => ["link", "update", await linkOf(chain, 0), "--proceed-on", hook === "xdp" ? "pass" : "ok"],
    },
    "a link update": {
      old: [0, 1],
      next: [1, 0],
      words: async (chain) => ["link", "update", await linkOf(chain, 0), "--priority", "900"],
      undo: async (chain) => ["link", "update", await linkOf(chain, 0), "--priority", "100"],
    },
    "a detach": {
      old: [0, 1],
      next: [1],
      words: async (chain) => ["detach", await linkOf(chain, 0)],
      undo: async (chain) => attachWords(chain, 0, 100),
    },
    "the last detach": {
      old: [0],
      next: [],
      words: async (chain) => ["detach", await linkOf(chain, 0)],
      undo: async (chain) => attachWords(chain, 0, 100),
    },
  };

  for (const [name, verb] of Object.entries(VERBS)) {
    extensionTest(`${hook}: ${name}, killed at each step`, async () => {
      const chain = await members();
      for (const member of verb.old) await bpfman.ok(...attachWords(chain, member, 100 * (member + 1)));
      expect(traced(await verb.words(chain), null)).toBe(0);
      const steps = moments();
      expect(new Set(steps.map(({ call }) => call)).size).toBeGreaterThanOrEqual(2);
      await path(chain, [verb.next]);
      await bpfman.ok(...(await verb.undo(chain)));
      let killed = 0;
      for (const step of steps) {
        if (traced(await verb.words(chain), step) !== 0) killed++;
        await path(chain, [verb.old, verb.next]);
        await bpfman.ok("list", "links");
        await bpfman.ok("unload", "--ignore-missing", "4294967295");
        const now = await order(chain);
        expect({ step, now, possible: [verb.old, verb.next].some((each) => `${each}` === `${now}`) }).toEqual({
          ...{ step, now },
          possible: true,
        });
        await path(chain, [now]);
        await expectTidy(now.length);
        if (`${now}` === `${verb.next}`) await bpfman.ok(...(await verb.undo(chain)));
      }
      // How often SQLite syncs may differ by one.
      expect(killed).toBeGreaterThanOrEqual(steps.length - 1);
      await bpfman.ok("unload", ...chain.ids.map(String));
      await bpfman.expectNothingLeft();
    });
  }
});
