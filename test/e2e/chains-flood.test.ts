/** Swaps between one program that runs directly and a chain, under a flood of packets, by one session of the executable. */
import { describe, expect } from "bun:test";
import { resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import { placeOn, watchMembers, wire } from "../labs/chain-lab.ts";
import { executable, idOf, mapOf } from "../labs/executable.ts";
import { extensionTest } from "../labs/extension-test.ts";

buildBpf();
const OBJECT = resolve(import.meta.dir, "../../dist/bpf/fixtures/chain.bpf.o");
/** There and back makes 100 swaps, and two floods 200; with BPFMAN_STEPS, as many as that says. */
const SWAPS = Number(process.env.BPFMAN_STEPS ?? 100);

const bpfman = executable();
const lab = wire();

describe.each([
  ["xdp", 2, 1],
  ["tc", 0, 2],
] as const)("%s", (hook, passes, drops) => {
  /** Answers how many packets were sent, how many the one that stays has seen, and how many came through. */
  async function swapUnderFlood(verdict: number) {
    const programs = await bpfman.load(OBJECT, "--programs", `${hook}:${hook}_member_0`, `${hook}:${hook}_member_1`);
    const watch = watchMembers((name) => mapOf(programs, name));
    watch.setVerdicts({ 0: verdict, 1: passes });
    const session = await bpfman.session();
    const attach = (member: number, priority: number) =>
      session.call("link/attach", {
        programId: idOf(programs, `${hook}_member_${member}`),
        attach: placeOn(hook, { netns: lab.netns(), priority }),
      });
    const mode = async () => (await session.call("dispatcher/list", {})).dispatchers[0]?.mode;
    await attach(0, 50);
    const flood = await lab.flood();
    for (let turn = 0; turn < SWAPS / 2; turn++) {
      // In front of it, and behind it.
      const { record } = await attach(1, turn % 2 === 0 ? 0 : 100);
      expect(await mode()).toBe("chain");
      await session.call("link/detach", { linkId: record?.id ?? 0 });
    }
    expect(await mode()).toBe("direct");
    await flood.stop();
    const sent = lab.sent();
    expect(sent).toBeGreaterThan(5 * SWAPS);
    return { sent, seen: watch.packets()[0], received: lab.received() };
  }

  extensionTest(`${hook}: ${SWAPS} swaps between direct and chain lose nothing`, async () => {
    const { sent, ...counts } = await swapUnderFlood(passes);
    expect(counts).toEqual({ seen: sent, received: sent });
  });

  extensionTest(`${hook}: ${SWAPS} swaps between direct and chain let nothing past a member that drops`, async () => {
    const { sent, ...counts } = await swapUnderFlood(drops);
    expect(counts).toEqual({ seen: sent, received: 0 });
  });
});
