import { describe, expect } from "bun:test";
import { existsSync, unlinkSync } from "node:fs";
import { TC_ACTIONS, TC_PROCEED_ON_DEFAULT, XDP_ACTIONS, XDP_PROCEED_ON_DEFAULT } from "../../src/domain/actions.ts";
import type { ProgramId } from "../../src/domain/ids.ts";
import type { Direction } from "../../src/domain/link.ts";
import { tcConfig, xdpConfig } from "../../src/dispatcher/dispatcher-config.ts";
import { openKernel } from "../../src/kernel/open-kernel.ts";
import type { KernelPort, LoadedDispatcher } from "../../src/platform/kernel.ts";
import { pinAt } from "../objects/bpf-fixture.ts";
import { BRIEF } from "../labs/brief.ts";
import { loadMembers, type Members, slotMember, twinPin, verdictOf, wire } from "../labs/chain-lab.ts";
import { extensionTest } from "../labs/extension-test.ts";
import { failureOfAsync } from "../expect/failure.ts";
import { bpftool, sh, temporaryBpffs, until } from "../labs/kernel-lab.ts";

const bpffs = temporaryBpffs();
const lab = wire();
/** Its pins are in the file system of the test that runs. */
const kernel = (): KernelPort => openKernel();

const NAMES = { xdp: XDP_ACTIONS, tc: TC_ACTIONS } as const;
const DEFAULTS = {
  xdp: XDP_PROCEED_ON_DEFAULT.map((name) => XDP_ACTIONS[name]),
  tc: TC_PROCEED_ON_DEFAULT.map((name) => TC_ACTIONS[name]),
} as const;
const PASSES = { xdp: 2, tc: 0 } as const;
const DROPS = { xdp: 1, tc: 2 } as const;
type Hook = "xdp" | "tc";

interface Seat {
  readonly pin: string;
  readonly proceedOn?: readonly number[];
}

async function load(hook: Hook, seats: readonly Seat[], frags = false): Promise<LoadedDispatcher> {
  const members = seats.map((seat, slot) => ({ priority: slot, proceedOn: seat.proceedOn ?? DEFAULTS[hook], frags }));
  const config = hook === "xdp" ? xdpConfig({ members, frags }) : tcConfig({ members });
  const slots = seats.map((seat) => slotMember(kernel(), seat.pin));
  // One that is in several slots is made once.
  const once = seats.map((seat, slot) => slots[seats.findIndex(({ pin }) => pin === seat.pin)] ?? slots[slot]!);
  const loaded = await kernel().loadDispatcher({ hook, config, members: once, frags, expectedAttachType: null });
  for (const [slot, { pin }] of seats.entries()) {
    if ("twin" in once[slot]! && !existsSync(twinPin(pin))) loaded.pinExtension(slot, twinPin(pin));
  }
  return loaded;
}

/** A chain on the near end's interface, of which every change is a swap. */
function chain(hook: Hook, direction: Direction = "ingress") {
  const at = { netns: lab.netns(), ifindex: lab.ifindex, direction };
  const filter = { priority: 50, handle: 1 };
  let running: string | null = null;
  let held: LoadedDispatcher | undefined;
  let made = 0;
  const put = (pin: string): void => {
    if (running !== null && hook === "tc") kernel().replaceTc(pinAt(kernel(), pin), at, filter);
    else if (running !== null)
      kernel().swapProgram(pinAt(kernel(), bpffs.path("xdp_link")), {
        old: pinAt(kernel(), running),
        next: pinAt(kernel(), pin),
      });
    else if (hook === "tc") kernel().attachTc(pinAt(kernel(), pin), at, filter);
    else {
      const link = kernel().attachXdp(pinAt(kernel(), pin), { ...at, mode: "drv" });
      link.pin(bpffs.path("xdp_link"));
      link.close();
    }
  };
  /** What is off the hook goes, when no packet is in it any more. */
  const settle = (next: { readonly pin: string; readonly held: LoadedDispatcher | undefined }): void => {
    if (running !== null) {
      // Packets may still be in the old one, and need its members.
      kernel().waitForRunningPrograms();
      held?.close();
      if (held !== undefined) unlinkSync(running);
    }
    held = next.held;
    running = next.pin;
  };
  return {
    /** Puts the program itself on the hook. */
    alone(pin: string): void {
      put(pin);
      settle({ pin, held: undefined });
    },
    async set(seats: readonly Seat[], frags = false): Promise<LoadedDispatcher> {
      const next = await load(hook, seats, frags);
      const pin = bpffs.path(`${hook}_${direction}_${made++}`);
      try {
        next.pinProgram(pin);
        put(pin);
      } catch (cause) {
        next.close();
        throw cause;
      }
      settle({ pin, held: next });
      return next;
    },
    close() {
      if (hook === "tc") expect(kernel().detachTc(at, filter)).toBe(true);
      else {
        const last = kernel().openPin(bpffs.path("xdp_link"));
        bpffs.unpin("xdp_link");
        last?.close();
      }
      held?.close();
    },
  };
}

/** The first so many of the ten members: each takes time on a slow machine. */
const loadFirst = (count: number, hook: Hook): Promise<Members> =>
  loadMembers(kernel(), {
    fixture: "chain",
    programs: Array.from({ length: count }, (_, number) => `${hook}:${hook}_member_${number}`),
    directory: bpffs.path,
  });

const isDispatcher = (id: ProgramId): boolean => kernel().program(id)?.name.endsWith("_dispatcher") === true;

/** Of the twin of the program that is pinned there. */
const twinId = (pin: string): number => pinAt(kernel(), twinPin(pin)).id;

const everyone = (verdict: number): Record<number, number> =>
  Object.fromEntries(Array.from({ length: 10 }, (_, member) => [member, verdict]));

const seatsOf = (members: Members, order: readonly number[]): Seat[] =>
  order.map((member) => ({ pin: members.pins[member] ?? "" }));

const WITHOUT_BIT = 77;

describe.each([
  ["xdp", "ingress"],
  ["tc", "ingress"],
  ["tc", "egress"],
] as const)("%s on %s", (hook, direction) => {
  const sender = direction === "ingress" ? "far" : "near";
  const receiver = direction === "ingress" ? "near" : "far";

  extensionTest(
    `${hook} ${direction}: ten members run in their order, in any slot, without being loaded again`,
    async () => {
      const members = await loadFirst(10, hook);
      members.setVerdicts(everyone(PASSES[hook]));
      (await load(hook, seatsOf(members, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]))).close();
      await until(() =>
        kernel()
          .programIds()
          .every((id) => !isDispatcher(id)),
      );
      const before = kernel().programIds();
      const line = chain(hook, direction);
      let sent = 0;
      for (const order of [[7, 2, 9, 0, 4, 1, 8, 3, 6, 5], [9, 3], []]) {
        const dispatcher = await line.set(seatsOf(members, order));
        expect(dispatcher.links).toHaveLength(order.length);
        // The dispatcher is all that is new.
        await until(() => {
          const added = kernel()
            .programIds()
            .filter((id) => !before.includes(id));
          return added.length === 1 && added[0] === dispatcher.program;
        });
        lab.send(1, sender);
        sent++;
        await until(() => lab.received(receiver) === sent);
        await members.follow(order);
      }
      line.close();
    },
  );

  extensionTest(
    `${hook} ${direction}: what the last member says is not the chain's word when it lets it go on`,
    async () => {
      const members = await loadFirst(1, hook);
      const [only = ""] = members.pins;
      const line = chain(hook, direction);
      members.setVerdicts({ 0: DROPS[hook] });
      await line.set([{ pin: only, proceedOn: [DROPS[hook]] }]);
      lab.send(2, sender);
      await until(() => lab.received(receiver) === 2);
      await line.set([{ pin: only }]);
      lab.send(2, sender);
      await until(() => members.packets()[0] === 4);
      expect(lab.received(receiver)).toBe(2);
      line.close();
    },
  );
});

describe.each(["xdp", "tc"] as const)("%s verdicts", (hook) => {
  extensionTest(`${hook}: each goes on or ends the chain as the usual mask says`, async () => {
    const members = await loadFirst(3, hook);
    members.setVerdicts({ 1: PASSES[hook], 2: PASSES[hook] });
    const line = chain(hook);
    await line.set(seatsOf(members, [0, 1, 2]));
    for (const verdict of Object.values(NAMES[hook])) {
      members.setVerdicts({ 0: verdict });
      lab.send(1);
      await members.follow((DEFAULTS[hook] as readonly number[]).includes(verdict) ? [0, 1, 2] : [0]);
    }
    line.close();
  });
});

/** Rounds of all orders below, each with and without the direct program. */
const SWAPS = BRIEF ? 3 * 14 : 15 * 14;

describe.each(["xdp", "tc"] as const)("%s swaps under a flood", (hook) => {
  /** Members come, go and change places around one that stays, and runs directly when it is alone every second time. */
  const ORDERS = [[0], [0, 1], [2, 0], [0], [2, 0, 1], [3, 2, 1, 0], [0, 4, 5, 6]];
  async function swap(line: ReturnType<typeof chain>, members: Members, times: number): Promise<void> {
    for (let turn = 0; turn < times; turn++) {
      const order = ORDERS[turn % ORDERS.length] ?? [];
      if (order.length === 1 && turn % 2 === 0) line.alone(members.pins[0] ?? "");
      else await line.set(seatsOf(members, order));
    }
  }

  extensionTest(`${hook}: ${SWAPS} of them lose nothing`, async () => {
    const members = await loadFirst(7, hook);
    members.setVerdicts(everyone(PASSES[hook]));
    const line = chain(hook);
    line.alone(members.pins[0] ?? "");
    const flood = await lab.flood();
    await swap(line, members, SWAPS);
    await flood.stop();
    const sent = lab.sent();
    expect(sent).toBeGreaterThan(5 * SWAPS);
    expect({ seen: members.packets()[0], received: lab.received() }).toEqual({ seen: sent, received: sent });
    line.close();
  });

  extensionTest(`${hook}: ${SWAPS} of them let nothing past a member that drops`, async () => {
    const members = await loadFirst(7, hook);
    members.setVerdicts({ ...everyone(PASSES[hook]), 0: DROPS[hook] });
    const line = chain(hook);
    line.alone(members.pins[0] ?? "");
    const flood = await lab.flood();
    await swap(line, members, SWAPS);
    await flood.stop();
    const sent = lab.sent();
    expect(sent).toBeGreaterThan(5 * SWAPS);
    expect({ seen: members.packets()[0], received: lab.received() }).toEqual({ seen: sent, received: 0 });
    line.close();
  });
});

describe("members that change packets", () => {
  for (const [hook, name] of [
    ["xdp", "adjust_head"],
    ["xdp", "adjust_tail"],
    ["xdp", "adjust_meta"],
    ["tc", "store_bytes"],
    ["tc", "change_head"],
    ["tc", "change_tail"],
    ["tc", "replace_l3_checksum"],
    ["tc", "replace_l4_checksum"],
    ["tc", "pull_data"],
  ] as const) {
    extensionTest(`${hook}: ${name}`, async () => {
      const changer = await loadMembers(kernel(), {
        fixture: "chain_changes",
        programs: [`${hook}:${name}`],
        directory: bpffs.path,
      });
      const members = await loadFirst(1, hook);
      members.setVerdicts({ 0: PASSES[hook] });
      const line = chain(hook);
      await line.set([...seatsOf(members, [0]), { pin: changer.pins[0]! }]);
      lab.send(3);
      await until(() => changer.changes() === 3);
      expect(members.packets()[0]).toBe(3);
      line.close();
    });
  }
});

describe("the dispatcher", () => {
  extensionTest("a slot that nobody replaced lets the chain go on by dispatcher_return, and no other", async () => {
    for (const hook of ["xdp", "tc"] as const) {
      const empty = NAMES[hook].dispatcher_return;
      for (const [mask, verdict] of [
        [[empty], PASSES[hook]],
        [[PASSES[hook]], empty],
      ] as const) {
        const members = [{ priority: 0, proceedOn: mask, frags: false }];
        const config = hook === "xdp" ? xdpConfig({ members, frags: false }) : tcConfig({ members });
        const dispatcher = await kernel().loadDispatcher({
          hook,
          config,
          members: [],
          frags: false,
          expectedAttachType: null,
        });
        expect(verdictOf(dispatcher.program)).toBe(verdict);
        dispatcher.close();
      }
    }
  });

  for (const hook of ["xdp", "tc"] as const) {
    const all = Array.from({ length: 32 }, (_, bit) => bit - (hook === "tc" ? 1 : 0));

    extensionTest(`${hook}: every value that has a bit goes on by this bit alone`, async () => {
      const members = await loadFirst(2, hook);
      const [first = "", second = ""] = members.pins;
      members.setVerdicts({ 1: WITHOUT_BIT });
      // Of any two values, one is in the mask without the other for some digit of their numbers: a value that went on by
      // the bit of another, or by two bits, would be seen.
      for (const digit of [1, 2, 4, 8, 16]) {
        for (const wanted of [0, digit]) {
          const proceedOn = all.filter((_, bit) => (bit & digit) === wanted);
          const dispatcher = await load(hook, [{ pin: first, proceedOn }, { pin: second }]);
          expect(members.answers(dispatcher.program, all)).toEqual(
            all.map((verdict) => (proceedOn.includes(verdict) ? WITHOUT_BIT : verdict)),
          );
          dispatcher.close();
        }
      }
    });

    extensionTest(`${hook}: a value without a bit ends the chain`, async () => {
      const members = await loadFirst(2, hook);
      const [first = "", second = ""] = members.pins;
      const dispatcher = await load(hook, [{ pin: first, proceedOn: all }, { pin: second }]);
      const others = [32, 33, 63, 64, 255, 256, 2 ** 31 - 1, -2, -(2 ** 31)];
      expect(members.answers(dispatcher.program, others)).toEqual(others);
      dispatcher.close();
    });
  }

  extensionTest("its configuration is frozen, and says what is in the slots", async () => {
    const members = await loadFirst(5, "xdp");
    const dispatcher = await load("xdp", seatsOf(members, [4, 2]));
    const shown = bpftool("prog", "show", "id", String(dispatcher.program));
    expect(shown).toMatchObject({ type: "xdp", name: "xdp_dispatcher" });
    const rodata = shown.map_ids.map((id: number) => bpftool("map", "show", "id", String(id)));
    expect(rodata).toContainEqual(expect.objectContaining({ bytes_value: 124, frozen: 1 }));
    const inSlots = dispatcher.links.map((link) => bpftool("link", "show", "id", String(link)));
    expect(inSlots).toMatchObject(
      [4, 2].map((member) => ({ prog_id: twinId(members.pins[member] ?? ""), prog_type: "ext" })),
    );
    dispatcher.close();
    await until(() => kernel().program(dispatcher.program) === null);
    for (const link of dispatcher.links) expect(kernel().link(link)).toBeNull();
  });

  extensionTest("pins keep it and its members where they are", async () => {
    const members = await loadFirst(2, "tc");
    const dispatcher = await load("tc", seatsOf(members, [1, 0]));
    dispatcher.pinProgram(bpffs.path("dispatcher"));
    dispatcher.pinLink(0, bpffs.path("link_0"));
    dispatcher.pinLink(1, bpffs.path("link_1"));
    expect(() => dispatcher.pinLink(2, bpffs.path("link_2"))).toThrow(RangeError);
    dispatcher.close();
    dispatcher.close();
    const programs = dispatcher.links.map((link) => kernel().link(link)?.programId as number | undefined);
    expect(programs).toEqual([1, 0].map((member) => twinId(members.pins[member] ?? "")));
    for (const name of ["dispatcher", "link_0", "link_1"]) bpffs.unpin(name);
    await until(() => dispatcher.links.every((link) => kernel().link(link) === null));
  });

  extensionTest("the same program can sit in several slots", async () => {
    const members = await loadFirst(1, "xdp");
    members.setVerdicts({ 0: PASSES.xdp });
    const line = chain("xdp");
    await line.set(seatsOf(members, [0, 0, 0]));
    lab.send(1);
    await members.follow([0, 0, 0]);
    line.close();
  });

  extensionTest("a member that is not there, or of the other hook, is refused, and nothing is left", async () => {
    const members = await loadFirst(1, "xdp");
    const before = kernel().programIds().length;
    const [pin = ""] = members.pins;
    expect(await failureOfAsync(() => load("xdp", [{ pin }, { pin: bpffs.path("nothing") }]))).toMatchObject({
      code: "STATE_CONFLICT",
      details: { pin: bpffs.path("nothing") },
    });
    expect(await failureOfAsync(() => load("tc", [{ pin }]))).toMatchObject({ code: "VERIFIER_REJECTED" });
    await until(() => kernel().programIds().length === before);
  });
});

describe("frags", () => {
  const withFrags = (programs: readonly string[]) =>
    loadMembers(kernel(), { fixture: "chain", programs, directory: bpffs.path });

  extensionTest("a dispatcher of members that take fragments takes large packets", async () => {
    const members = await withFrags(["xdp:xdp_frags_member", "xdp:xdp_frags_member_too"]);
    members.setVerdicts({ 0: PASSES.xdp, 1: PASSES.xdp });
    for (const [name, device] of [
      [lab.name("near"), "veth0"],
      [lab.name("far"), "veth1"],
    ] as const) {
      sh("ip", "-n", name, "link", "set", device, "mtu", "9000");
    }
    const line = chain("xdp");
    expect(await failureOfAsync(() => line.set(seatsOf(members, [0, 1])))).toMatchObject({ code: "ATTACH_FAILED" });
    await line.set(seatsOf(members, [0, 1]), true);
    lab.send(1, "far", 8000);
    await until(() => lab.received() === 1);
    await members.follow([0, 1]);
    line.close();
  });
});
