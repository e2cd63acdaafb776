/** Members of a chain are counted one by one while packets run, on each kernel that has chains. */
import { expect } from "bun:test";
import { resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import type { ChainStatsAnswer } from "../../src/domain/stats-answer.ts";
import { watchMembers, wire } from "../labs/chain-lab.ts";
import { executable, idOf, mapOf } from "../labs/executable.ts";
import { extensionTest } from "../labs/extension-test.ts";
import { bpftool, until } from "../labs/kernel-lab.ts";
import { connected, measure } from "../labs/measuring.ts";

buildBpf();
const OBJECT = resolve(import.meta.dir, "../../dist/bpf/fixtures/chain.bpf.o");
const TEN = Array.from({ length: 10 }, (_, number) => number);
const ACTIONS = ["aborted", "drop", "pass", "tx", "redirect"] as const;

const bpfman = executable();
const lab = wire();

/** Names of the programs that watch a member, and of nothing else. */
const WATCHERS: readonly string[] = ["bpfman_enter", "bpfman_leave"];
const watchers = (): number[] =>
  bpftool("prog")
    .filter(
      (program: { type: string; name?: string }) => program.type === "tracing" && WATCHERS.includes(program.name ?? ""),
    )
    .map((program: { id: number }) => program.id);
const linksOf = (programs: readonly number[]): number =>
  bpftool("link").filter((link: { prog_id: number }) => programs.includes(link.prog_id)).length;

extensionTest(
  "ten members of a chain each show their own runs and verdicts, and nothing is left of the watching",
  async () => {
    const loaded = await bpfman.load(OBJECT, "--programs", ...TEN.map((member) => `xdp:xdp_member_${member}`));
    const chain = watchMembers((name) => mapOf(loaded, name));
    const ids = TEN.map((member) => idOf(loaded, `xdp_member_${member}`));
    // In this process, since each command takes long on a slow machine.
    const invoke = await connected(bpfman.runtimeDir);
    for (const [at, id] of ids.entries()) {
      const place = { kind: "xdp", iface: "veth0", netns: lab.netns(), priority: at * 10 };
      await invoke("link/attach", { programId: id, attach: { ...place, proceedOn: ACTIONS } });
    }
    const verdicts = (shift: number) =>
      Object.fromEntries(TEN.map((member) => [member, (member + shift) % ACTIONS.length]));
    chain.setVerdicts(verdicts(0));
    const seen = TEN.map((): Record<string, number> => ({}));
    const runs = TEN.map(() => 0);
    let timed = 0;
    const stages = [
      () => lab.send(12),
      () => {
        chain.setVerdicts(verdicts(1));
        lab.send(8);
      },
    ];
    let sent = 0;
    const expected = [12, 20];
    await measure(invoke, { members: true }, ({ chains = [], programs, members_not_counted: reason }) => {
      expect(reason).toBeNull();
      expect(chains.map(({ key, members }) => [key.type, members.length])).toEqual([["xdp", 10]]);
      for (const [at, member] of (chains[0] as ChainStatsAnswer).members.entries()) {
        expect([member.program_id, member.counted_with]).toEqual([ids[at] as number, []]);
        runs[at] = (runs[at] ?? 0) + (member.runs ?? 0);
        timed += member.run_time_ns ?? 0;
        for (const [verdict, count] of Object.entries(member.verdicts)) {
          const own = seen[at] as Record<string, number>;
          own[verdict] = (own[verdict] ?? 0) + count;
        }
        const whole = programs.find((program) => program.program_id === member.program_id);
        expect([whole?.in_chain, whole?.runs]).toEqual([true, member.runs]);
      }
      // The programs that watch do not count as programs of anybody.
      expect(programs.filter(({ name }) => WATCHERS.includes(name))).toEqual([]);
      if (Math.min(...runs) < (expected[sent - 1] ?? 0)) return true;
      const next = stages[sent++];
      next?.();
      return next !== undefined;
    });
    expect(runs).toEqual(TEN.map(() => 20));
    expect(chain.packets()).toEqual(TEN.map(() => 20));
    const name = (index: number): string => ACTIONS[index % ACTIONS.length] as string;
    expect(seen).toEqual(TEN.map((member) => ({ [name(member)]: 12, [name(member + 1)]: 8 })));
    expect(timed).toBeGreaterThan(0);
    await until(() => watchers().length === 0);

    // Without watching, they are not counted at all, which is not zero.
    const plain = await invoke("program/stats", { programIds: ids, intervalMs: 1 });
    expect(plain.programs.map((program) => program.runs)).toEqual(TEN.map(() => null));
    expect(plain.chains).toBeUndefined();

    // A dead watcher takes everything with it.
    const before = bpftool("prog").length;
    const started = bpfman.start("stats", "--members", "--interval", "1h");
    await until(() => linksOf(watchers()) === 20);
    started.kill("SIGKILL");
    await started.ended;
    await until(() => watchers().length === 0 && bpftool("prog").length === before);
    chain.clear();
    lab.send(1);
    await chain.follow(TEN);
  },
);
