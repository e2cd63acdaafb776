import { expect, test } from "bun:test";
import { resolve } from "node:path";
import type { FilterRef } from "../../src/domain/dispatcher.ts";
import { openKernel } from "../../src/kernel/open-kernel.ts";
import type { TcHook } from "../../src/platform/kernel.ts";
import { pinAt } from "../objects/bpf-fixture.ts";
import { BRIEF } from "../labs/brief.ts";
import { loadMembers, wire } from "../labs/chain-lab.ts";
import { failureOf } from "../expect/failure.ts";
import { sh, temporaryBpffs, until } from "../labs/kernel-lab.ts";

const bpffs = temporaryBpffs();
const lab = wire();
const kernel = openKernel();

const OBJECT = resolve(import.meta.dir, "../../dist/bpf/fixtures/chain.bpf.o");
const SWAPS = BRIEF ? 50 : 200;
const OK = 0;
const SHOT = 2;
const FILTER: FilterRef = { priority: 50, handle: 1 };
const hook = (direction: TcHook["direction"] = "ingress"): TcHook => ({
  netns: lab.netns(),
  ifindex: lab.ifindex,
  direction,
});
const plain = () =>
  loadMembers(kernel, {
    fixture: "chain",
    programs: ["tc:tc_member_0", "tc:tc_member_1"],
    directory: bpffs.path,
  });

const tc = (...command: readonly string[]): string => sh("tc", "-n", lab.name(), ...command);

interface Shown {
  readonly protocol: string;
  readonly pref: number;
  readonly kind: string;
  readonly handle: string | undefined;
  readonly program: number | undefined;
  readonly direct: boolean;
}

/** A filter as `tc -j` prints it. */
interface FilterOfTc {
  readonly protocol: string;
  readonly pref: number;
  readonly kind: string;
  readonly options: {
    readonly handle?: string;
    readonly prog?: { readonly id: number };
    readonly "direct-action"?: boolean;
  };
}

/** What iproute2 says of the filters. */
function filters(direction: TcHook["direction"] = "ingress"): Shown[] {
  const list = JSON.parse(tc("-j", "filter", "show", "dev", "veth0", direction) || "[]");
  return list
    .filter((entry: { options?: object }) => entry.options !== undefined)
    .map((entry: FilterOfTc) => ({
      protocol: entry.protocol,
      pref: entry.pref,
      kind: entry.kind,
      handle: entry.options.handle,
      program: entry.options.prog?.id,
      direct: entry.options["direct-action"] === true,
    }));
}
const qdiscs = (): string[] =>
  JSON.parse(tc("-j", "qdisc", "show", "dev", "veth0")).map((entry: { kind: string }) => entry.kind);

for (const direction of ["ingress", "egress"] as const) {
  test(`a filter on ${direction} runs its program, then another in its place, and goes`, async () => {
    const members = await plain();
    const [first = "", second = ""] = members.pins;
    const [id, next] = members.programs;
    const [from, to] = direction === "ingress" ? (["far", "near"] as const) : (["near", "far"] as const);
    const at = hook(direction);
    members.setVerdicts({ 0: OK, 1: OK });
    expect(kernel.tcFilterProgram(at, FILTER)).toBeNull();
    expect(kernel.detachTc(at, FILTER)).toBe(false);
    expect(qdiscs()).not.toContain("clsact");

    kernel.attachTc(pinAt(kernel, first), at, FILTER);
    const shown = { protocol: "all", pref: 50, kind: "bpf", handle: "0x1", direct: true };
    expect(filters(direction)).toEqual([{ ...shown, program: id }]);
    expect(kernel.tcFilterProgram(at, FILTER) as number | null).toBe(id!);
    lab.send(5, from);
    await until(() => members.packets()[0] === 5 && lab.received(to) === 5);

    kernel.replaceTc(pinAt(kernel, second), at, FILTER);
    expect(filters(direction)).toEqual([{ ...shown, program: next }]);
    members.setVerdicts({ 1: SHOT });
    lab.send(5, from);
    await until(() => members.packets()[1] === 5);
    expect(lab.received(to)).toBe(5);
    expect(members.packets()[0]).toBe(5);

    expect(kernel.detachTc(at, FILTER)).toBe(true);
    expect(filters(direction)).toEqual([]);
    expect(kernel.detachTc(at, FILTER)).toBe(false);
    expect(kernel.tcFilterProgram(at, FILTER)).toBeNull();
    expect(qdiscs()).toContain("clsact");
    lab.send(5, from);
    await until(() => lab.received(to) === 10);
  });
}

test(`${SWAPS} replacements under a flood lose nothing, and let nothing through`, async () => {
  const members = await plain();
  const [first = "", second = ""] = members.pins;
  kernel.attachTc(pinAt(kernel, first), hook(), FILTER);
  const rounds = async () => {
    const flood = await lab.flood();
    for (let round = 0; round < SWAPS; round++) {
      kernel.replaceTc(pinAt(kernel, round % 2 === 0 ? second : first), hook(), FILTER);
      await Bun.sleep(1);
    }
    await flood.stop();
  };
  members.setVerdicts({ 0: OK, 1: OK });
  await rounds();
  const seen = () => members.packets().reduce((sum, count) => sum + count, 0);
  const passed = lab.received();
  expect(Math.min(...members.packets().slice(0, 2))).toBeGreaterThan(SWAPS / 2);
  expect(seen()).toBe(lab.sent());
  expect(passed).toBe(lab.sent());

  members.setVerdicts({ 0: SHOT, 1: SHOT });
  await rounds();
  expect(lab.sent()).toBeGreaterThan(passed + SWAPS / 2);
  await until(() => seen() === lab.sent());
  expect(lab.received()).toBe(passed);
});

test("filters of others are not touched, also at the same priority", async () => {
  const members = await plain();
  const [first = "", second = ""] = members.pins;
  tc("qdisc", "add", "dev", "veth0", "clsact");
  const foreign = ["prio", "50", "handle", "7", "bpf", "da", "object-file", OBJECT, "section", "tc"];
  tc("filter", "add", "dev", "veth0", "ingress", ...foreign);
  const [theirs] = filters();
  expect(theirs).toMatchObject({ pref: 50, handle: "0x7" });

  const failure = failureOf(() => kernel.attachTc(pinAt(kernel, first), hook(), { priority: 50, handle: 7 }));
  expect(failure).toMatchObject({
    code: "HOOK_BUSY",
    details: { kind: "bpf", priority: 50, handle: 7, program: theirs?.program },
    sys: { name: "EEXIST" },
  });
  expect(failure.message).toContain(`program ${theirs?.program}`);
  expect(filters()).toEqual([theirs!]);

  // Beside it there is room.
  kernel.attachTc(pinAt(kernel, first), hook(), FILTER);
  expect(kernel.hasTcFilterBehind(hook(), FILTER)).toBe(true);
  kernel.replaceTc(pinAt(kernel, second), hook(), FILTER);
  expect(filters()).toHaveLength(2);
  expect(filters()).toContainEqual(theirs!);
  expect(kernel.tcFilterProgram(hook(), { priority: 50, handle: 7 }) as number | null).toBe(theirs?.program ?? -1);
  expect(kernel.detachTc(hook(), FILTER)).toBe(true);
  expect(filters()).toEqual([theirs!]);
  expect(kernel.hasTcFilterBehind(hook(), { priority: 50, handle: 7 })).toBe(false);
  expect(kernel.hasTcFilterBehind(hook(), { priority: 49, handle: 1 })).toBe(true);
  expect(kernel.hasTcFilterBehind(hook(), { priority: 51, handle: 7 })).toBe(false);
  expect(kernel.hasTcFilterBehind(hook("egress"), FILTER)).toBe(false);
  expect(kernel.detachTc(hook(), FILTER)).toBe(false);
  expect(failureOf(() => kernel.replaceTc(pinAt(kernel, first), hook(), FILTER)).code).toBe("STATE_CONFLICT");
  expect(filters()).toEqual([theirs!]);
});

for (const [kind, what, ...filter] of [
  ["u32", "another kind", "protocol", "all", "prio", "50", "u32", "match", "u32", "0", "0"],
  ["bpf", "one protocol only", "protocol", "ip", "prio", "50", "bpf", "da", "object-file", OBJECT, "section", "tc"],
] as const) {
  test(`a priority that filters of ${what} have is not to be had`, async () => {
    const members = await plain();
    tc("qdisc", "add", "dev", "veth0", "clsact");
    tc("filter", "add", "dev", "veth0", "ingress", ...filter);
    const before = filters();
    expect(before.length).toBeGreaterThan(0);
    for (const handle of [1, 5]) {
      const failure = failureOf(() =>
        kernel.attachTc(pinAt(kernel, members.pins[0]!), hook(), { priority: 50, handle }),
      );
      expect(failure).toMatchObject({ code: "HOOK_BUSY", details: { priority: 50, kind } });
    }
    expect(kernel.detachTc(hook(), { priority: 50, handle: 5 })).toBe(false);
    expect(filters()).toEqual(before);
  });
}

test("an ingress qdisc is rejected, and stays", async () => {
  const members = await plain();
  tc("qdisc", "add", "dev", "veth0", "ingress");
  for (const direction of ["ingress", "egress"] as const) {
    expect(failureOf(() => kernel.attachTc(pinAt(kernel, members.pins[0]!), hook(direction), FILTER))).toMatchObject({
      code: "STATE_CONFLICT",
      message: expect.stringContaining("has an ingress qdisc where clsact belongs"),
      details: { qdisc: "ingress" },
    });
    expect(kernel.tcFilterProgram(hook(direction), FILTER)).toBeNull();
    expect(kernel.detachTc(hook(direction), FILTER)).toBe(false);
  }
  expect(qdiscs()).toContain("ingress");
  expect(qdiscs()).not.toContain("clsact");
});

test("clsact, interface or namespace gone", async () => {
  const members = await plain();
  const [pin = ""] = members.pins;
  kernel.attachTc(pinAt(kernel, pin), hook(), FILTER);
  tc("qdisc", "del", "dev", "veth0", "clsact");
  expect(kernel.tcFilterProgram(hook(), FILTER)).toBeNull();
  expect(kernel.detachTc(hook(), FILTER)).toBe(false);
  expect(failureOf(() => kernel.replaceTc(pinAt(kernel, pin), hook(), FILTER)).code).toBe("STATE_CONFLICT");
  expect(qdiscs()).not.toContain("clsact");
  for (const [where, code] of [
    [{ ifindex: 4_000_000 }, "INTERFACE_NOT_FOUND"],
    [{ netns: "/run/netns/bpfman-none" }, "NETNS_NOT_FOUND"],
    [{ netns: "/etc/passwd" }, "NETNS_NOT_FOUND"],
  ] as const) {
    const elsewhere = { ...hook(), ...where };
    expect(failureOf(() => kernel.attachTc(pinAt(kernel, pin), elsewhere, FILTER)).code).toBe(code);
    expect(failureOf(() => kernel.replaceTc(pinAt(kernel, pin), elsewhere, FILTER)).code).toBe(code);
    expect(kernel.tcFilterProgram(elsewhere, FILTER)).toBeNull();
    expect(kernel.detachTc(elsewhere, FILTER)).toBe(false);
  }
});

test("numbers that stand for several filters are rejected", async () => {
  const members = await plain();
  for (const filter of [
    { priority: 50, handle: 0 },
    { priority: 0, handle: 1 },
    { priority: 0x1_0000, handle: 1 },
  ]) {
    expect(() => kernel.attachTc(pinAt(kernel, members.pins[0]!), hook(), filter)).toThrow(RangeError);
    expect(() => kernel.replaceTc(pinAt(kernel, members.pins[0]!), hook(), filter)).toThrow(RangeError);
    expect(() => kernel.tcFilterProgram(hook(), filter)).toThrow(RangeError);
    expect(() => kernel.detachTc(hook(), filter)).toThrow(RangeError);
  }
});
