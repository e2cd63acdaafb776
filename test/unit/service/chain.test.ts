/** Chains of XDP and TC programs: order, swaps, limits, and what is left after failures. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { DispatcherRecord } from "../../../src/domain/dispatcher.ts";
import { XDP_ACTIONS } from "../../../src/domain/actions.ts";
import type { DispatcherListAnswer } from "../../../src/domain/answer.ts";
import { readTcConfig, readXdpConfig, xdpConfig } from "../../../src/dispatcher/dispatcher-config.ts";
import type { ErrorCode } from "../../../src/errors/codes.ts";
import { BpfmanError } from "../../../src/errors/error.ts";
import { createInvoke, type Invoke } from "../../../src/service/invoke.ts";
import { compileBpf } from "../../objects/compile.ts";
import { makeTestBed, type TestBed } from "../../fakes/fake-host.ts";
import { expectNoWorries } from "../../expect/no-worries.ts";

let bed: TestBed;
let invoke: Invoke;

const names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"];
const OBJECT = [
  ...names.map((name) => `SEC("xdp") int x_${name}(void *ctx) { return 2; }`),
  ...names.map((name) => `SEC("tc") int t_${name}(void *ctx) { return 0; }`),
].join("\n");

beforeEach(() => {
  bed = makeTestBed();
  bed.kernel.ext = true;
  bed.files.contents.set("/x.o", compileBpf(OBJECT));
  invoke = createInvoke(bed.runtime);
});
afterEach(() => bed.close());

const XDP_HOOK = { netns: null, ifindex: 2 };
const TC_HOOK = { netns: null, ifindex: 2, direction: "ingress" } as const;
const XDP_KEY = { type: "xdp", nsid: 4026531840, ifindex: 2 };
const TC_KEY = { type: "tc-ingress", nsid: 4026531840, ifindex: 2 };

async function load(name: string): Promise<number> {
  const type = name.startsWith("x") ? "xdp" : "tc";
  const { programs } = await invoke("program/load", { source: { file: "/x.o" }, programs: [{ type, name }] });
  return programs[0]?.record?.program_id as number;
}

const attach = (programId: number, more: Record<string, unknown> = {}) =>
  invoke("link/attach", { programId, attach: { kind: "xdp", iface: "eth0", priority: 50, ...more } });
const attachTc = (programId: number, more: Record<string, unknown> = {}) =>
  attach(programId, { kind: "tc", direction: "ingress", ...more });

async function expectCode(work: Promise<unknown>, code: ErrorCode): Promise<BpfmanError> {
  const found = await work.then(
    () => null,
    (cause: unknown) => cause,
  );
  expect(found).toBeInstanceOf(BpfmanError);
  const error = found as BpfmanError;
  expect(`${error.code}: ${error.message}`).toStartWith(`${code}:`);
  return error;
}

const chainNames = async (hook: Parameters<typeof bed.kernel.chainOn>[0]): Promise<string[]> => {
  const { programs } = await invoke("program/list", {});
  const byId = new Map(programs.map((entry) => [entry.program_id, entry.function_name]));
  return bed.kernel.chainOn(hook).map((id) => byId.get(id) ?? String(id));
};

describe("a chain", () => {
  test("is in order of priority, the newcomer before its equals, then by name", async () => {
    for (const [name, priority] of [
      ["x_c", 50],
      ["x_a", 10],
      ["x_b", 90],
      ["x_d", 50],
      ["x_e", 50],
    ] as const) {
      await attach(await load(name), { priority });
    }
    expect(await chainNames(XDP_HOOK)).toEqual(["x_a", "x_e", "x_c", "x_d", "x_b"]);
    const detail = await invoke("dispatcher/get", XDP_KEY);
    expect(detail).toMatchObject({ key: XDP_KEY, interface: "eth0", revision: 5, member_count: 5 });
    expect(detail.members.map((member) => [member.position, member.program_name, member.priority])).toEqual([
      [0, "x_a", 10],
      [1, "x_e", 50],
      [2, "x_c", 50],
      [3, "x_d", 50],
      [4, "x_b", 90],
    ]);
    const { links } = await invoke("link/list", {});
    expect(links.map((link) => (link.details as { position: number }).position)).toEqual([2, 0, 4, 3, 1]);
  });

  test("has its masks in the dispatcher's configuration", async () => {
    await attach(await load("x_a"), { proceedOn: ["drop", "tx"] });
    await attach(await load("x_b"), { priority: 60 });
    const detail = await invoke("dispatcher/get", XDP_KEY);
    const program = detail.runtime.program_id;
    const config = readXdpConfig(bed.kernel.configs.get(program as never) as Uint8Array);
    expect(config.members.map((member) => member.proceedOn)).toEqual([
      [1, 3],
      [2, 31],
    ]);
    expect(detail.members.map((member) => member.proceed_on)).toEqual([0b1010, 0x80000004]);
    await attachTc(await load("t_a"));
    await attachTc(await load("t_b"));
    const tc = (await invoke("dispatcher/get", TC_KEY)).runtime;
    expect(tc).toMatchObject({ filter_priority: 50, filter_handle: 1 });
    const tcRead = readTcConfig(bed.kernel.configs.get(tc.program_id as never) as Uint8Array);
    expect(tcRead.members[0]?.proceedOn).toEqual([0, 3, 30]);
  });

  test("keeps link ids, metadata and times over rebuilds; only place and kernel link change", async () => {
    const first = await invoke("link/attach", {
      programId: await load("x_a"),
      attach: { kind: "xdp", iface: "eth0", priority: 50 },
      metadata: { owner: "me" },
    });
    await attach(await load("x_b"), { priority: 1 });
    const after = await invoke("link/get", { linkId: first.record.id });
    expect(after.record).toMatchObject({
      id: first.record.id,
      created_at: first.record.created_at,
      metadata: { owner: "me" },
      details: { position: 1, revision: 2 },
    });
    expect(after.record.kernel_link_id).not.toBe(first.record.kernel_link_id);
    expect(after.record.pin_path).toEndWith("_2/link_1");
    expect(after.status).toMatchObject({ kernel_seen: true, pin_present: true });
  });

  test("takes ten, rejects the eleventh without a trace, and uses a slot again", async () => {
    const ids: number[] = [];
    for (const name of names) ids.push(await load(`x_${name}`));
    for (const id of ids.slice(0, 10)) await attach(id);
    const before = bed.traces();
    const error = await expectCode(attach(ids[10] as number), "DISPATCHER_FULL");
    expect(error.message).toBe("no free dispatcher slots on eth0 (all 10 occupied)");
    expect(bed.traces()).toEqual(before);
    await invoke("link/detach", { linkId: 3 });
    await attach(ids[10] as number, { priority: 99 });
    expect((await chainNames(XDP_HOOK)).at(-1)).toBe("x_k");
  });

  test("takes the same program more than once", async () => {
    const id = await load("x_a");
    await attach(id);
    await attach(id);
    expect(await chainNames(XDP_HOOK)).toEqual(["x_a", "x_a"]);
    await invoke("program/unload", { programId: id });
    expect(bed.traces()).toEqual({
      kernel: { programs: [], maps: [], links: [], pins: [], filters: [] },
      directories: [],
      bytecode: [],
    });
  });

  test("ends with its last member; hooks do not know each other", async () => {
    await attach(await load("x_a"));
    await attachTc(await load("t_a"));
    await attachTc(await load("t_b"), { direction: "egress" });
    await attach(await load("x_b"), { iface: "eth1" });
    expect((await invoke("dispatcher/list", {})).dispatchers.map((each) => each.key.type)).toEqual([
      "tc-egress",
      "tc-ingress",
      "xdp",
      "xdp",
    ]);
    expect((await invoke("dispatcher/list", { type: "xdp", ifindex: 3 })).dispatchers).toHaveLength(1);
    await invoke("link/detach", { linkId: 2 });
    expect(bed.kernel.chainOn(TC_HOOK)).toEqual([]);
    expect(bed.kernel.chainOn({ ...TC_HOOK, direction: "egress" })).toHaveLength(1);
    for (const linkId of [1, 3, 4]) await invoke("link/detach", { linkId });
    expect(bed.kernel.snapshot()).toMatchObject({ links: [], filters: [] });
    expect((await invoke("dispatcher/list", {})).dispatchers).toEqual([]);
    await expectCode(invoke("dispatcher/get", XDP_KEY), "DISPATCHER_NOT_FOUND");
  });
});

describe("link update", () => {
  test("moves a live link by one swap", async () => {
    await attach(await load("x_a"), { priority: 10 });
    await attach(await load("x_b"), { priority: 20 });
    const updated = await invoke("link/update", { linkId: 1, priority: 30, proceedOn: ["pass"] });
    expect(updated.record.details).toMatchObject({ priority: 30, position: 1, proceed_on: [2], revision: 3 });
    expect(await chainNames(XDP_HOOK)).toEqual(["x_b", "x_a"]);
  });

  test("rejects what cannot be", async () => {
    await attach(await load("x_a"));
    await expectCode(invoke("link/update", { linkId: 1 }), "INVALID_REQUEST");
    await expectCode(invoke("link/update", { linkId: 1, priority: 2 ** 31 }), "INVALID_REQUEST");
    const word = await expectCode(invoke("link/update", { linkId: 1, proceedOn: ["pas"] }), "INVALID_ATTACH");
    expect(word.hint).toContain('"pass"');
    await expectCode(invoke("link/update", { linkId: 9, priority: 1 }), "LINK_NOT_FOUND");
  });
});

describe("after a change that was made, when the kernel cannot be read", () => {
  const failure = (): never => {
    throw new BpfmanError("KERNEL_CALL_FAILED", "setns: Input/output error");
  };
  const membersAt = async (key: typeof XDP_KEY): Promise<string[]> =>
    (await invoke("dispatcher/get", key)).members.map((member) => member.program_name as string);

  test("the answer says that it does not know, and lists do", async () => {
    const { kernel } = bed;
    const [read, replace] = [kernel.tcFilterProgram, kernel.replaceTc.bind(kernel)];
    const [first, second] = [await load("t_a"), await load("t_b")];
    kernel.replaceTc = (...parts) => {
      replace(...parts);
      kernel.tcFilterProgram = failure;
    };
    const unknown = { present: null, reason: null };
    const change = async (work: () => Promise<unknown>) => {
      expect(await work()).toMatchObject({ status: { attachment: unknown } });
      for (const { attachment } of (await invoke("link/list", {})).links) expect(attachment).toMatchObject(unknown);
      kernel.tcFilterProgram = read;
    };
    await change(() => attachTc(first));
    await change(() => invoke("link/update", { linkId: 1, priority: 60 }));
    await change(() => attachTc(second));
    expect(await membersAt(TC_KEY)).toEqual(["t_b", "t_a"]);
    expect((await invoke("link/get", { linkId: 1 })).status.attachment).toMatchObject({ present: true });
  });

  test("the change stays whole, although its answer fails", async () => {
    const { kernel } = bed;
    const [read, swap] = [kernel.link, kernel.swapProgram.bind(kernel)];
    await attach(await load("x_a"));
    const second = await load("x_b");
    kernel.swapProgram = (...parts) => {
      swap(...parts);
      kernel.link = failure;
    };
    const change = async (work: () => Promise<unknown>, after: readonly string[]) => {
      await expectCode(work(), "KERNEL_CALL_FAILED");
      kernel.link = read;
      expect(await chainNames(XDP_HOOK)).toEqual([...after]);
      expect(await membersAt(XDP_KEY)).toEqual([...after]);
      await invoke("link/detach", { linkId: 4711, ignoreMissing: true });
      expect((await invoke("doctor", {})).findings).toEqual([]);
    };
    await change(() => attach(second), ["x_b", "x_a"]);
    await change(() => invoke("link/update", { linkId: 1, priority: 10 }), ["x_a", "x_b"]);
  });
});

describe("the hook", () => {
  test("held by somebody else is left alone", async () => {
    bed.kernel.addForeignFilter(TC_HOOK, { priority: 50, handle: 1 }, 7);
    await attachTc(await load("t_a"));
    expect((await invoke("dispatcher/get", TC_KEY)).runtime.filter_handle).toBe(2);
    await invoke("link/detach", { linkId: 1 });
    expect(bed.kernel.tcFilterProgram(TC_HOOK, { priority: 50, handle: 1 })).toBe(7 as never);
  });

  test("falls back to the generic path where the driver takes no XDP", async () => {
    bed.kernel.xdpInDriver = false;
    await attach(await load("x_a"));
    expect((await invoke("dispatcher/get", XDP_KEY)).runtime.mode).toBe("skb");
    expect(bed.logged.some((line) => line.startsWith("warn the driver does not support XDP"))).toBe(true);
  });

  test("runs in the mode that is asked for, all of its chain", async () => {
    const ids = [await load("x_a"), await load("x_b")] as const;
    const first = await attach(ids[0], { xdpMode: "skb" });
    expect(first.record.details).toMatchObject({ xdp_mode: "skb" });
    const other = await expectCode(attach(ids[1], { xdpMode: "drv" }), "INVALID_ATTACH");
    expect(other.message).toBe(
      "attach to eth0 in XDP mode drv: its chain runs in mode skb, which all its programs share",
    );
    expect((await invoke("link/list", {})).links).toHaveLength(1);
    // The same mode, or none, joins.
    await attach(ids[1], { xdpMode: "skb" });
    await attach(ids[1]);
    expect((await invoke("dispatcher/get", XDP_KEY)).runtime.mode).toBe("skb");
    for (const linkId of [1, 2, 3]) await invoke("link/detach", { linkId });
    expect((await attach(ids[1], { xdpMode: "drv" })).record.details).toMatchObject({ xdp_mode: "drv" });
  });

  test("falls back to no other mode than the one asked for", async () => {
    bed.kernel.xdpInDriver = false;
    const id = await load("x_a");
    await expectCode(attach(id, { xdpMode: "drv" }), "KERNEL_UNSUPPORTED");
    expect((await invoke("dispatcher/list", {})).dispatchers).toEqual([]);
    expect((await attach(id)).record.details).toMatchObject({ xdp_mode: "skb" });
    await expectCode(attach(id, { xdpMode: "fast" }), "INVALID_REQUEST");
  });

  test("whose interface has gone is cleaned up by detach", async () => {
    const ids = [await load("x_a"), await load("x_b"), await load("t_a")];
    await attach(ids[0] as number);
    await attach(ids[1] as number);
    await attachTc(ids[2] as number);
    bed.kernel.goneInterfaces.add(2);
    await invoke("link/detach", { linkId: 2 });
    // The first goes with the second: its row is there to be detached, and says that it runs no more.
    const left = await invoke("link/get", { linkId: 1 });
    expect(left.record).toMatchObject({ kernel_link_id: null, pin_path: null, details: { nsid: 0, dispatcher_id: 0 } });
    expect(left.status).toMatchObject({ kernel: null, kernel_seen: false, pin_present: false });
    expect((await invoke("dispatcher/list", {})).dispatchers.map((each) => each.key.type)).toEqual(["tc-ingress"]);
    await expectCode(invoke("link/update", { linkId: 1, priority: 1 }), "INTERFACE_NOT_FOUND");
    for (const linkId of [1, 3]) await invoke("link/detach", { linkId });
    for (const programId of ids) await invoke("program/unload", { programId });
    expect(bed.traces().kernel.pins).toEqual([]);
    expect((await invoke("dispatcher/list", {})).dispatchers).toEqual([]);
  });

  test.each(["xdp", "tc"])(
    "whose interface has gone runs nothing of the %s chain when another has its number",
    async (hook) => {
      const put = hook === "xdp" ? attach : attachTc;
      const names = ["a", "b", "c"].map((name) => `${hook[0]}_${name}`);
      const [a = 0, b = 0, c = 0] = [
        await load(names[0] as string),
        await load(names[1] as string),
        await load(names[2] as string),
      ];
      await put(a);
      await put(b);
      bed.kernel.goneInterfaces.add(2);
      await invoke("link/detach", { linkId: 1 });
      bed.kernel.goneInterfaces.clear();
      bed.kernel.forgetFilters();
      await put(c);
      expect(bed.kernel.chainOn(hook === "xdp" ? XDP_HOOK : TC_HOOK)).toEqual([c as never]);
      await invoke("link/detach", { linkId: 2 });
      expect(bed.kernel.chainOn(hook === "xdp" ? XDP_HOOK : TC_HOOK)).toEqual([c as never]);
    },
  );

  test("in a namespace whose path leads to another one now is not looked for there", async () => {
    bed.network.namespaces.set("/run/netns/blue", ["lo", "eth0"]);
    const [a, b] = [await load("t_a"), await load("t_b")];
    const there = { netns: "/run/netns/blue" };
    await attachTc(a, there);
    await attachTc(b, there);
    const hook = { ...TC_HOOK, netns: "/run/netns/blue" };
    const filter = { priority: 50, handle: 1 };
    bed.network.namespaces.delete("/run/netns/blue");
    bed.network.namespaces.set("/run/netns/green", []);
    bed.network.namespaces.set("/run/netns/blue", ["lo", "eth0"]);
    bed.kernel.forgetFilters();
    bed.kernel.addForeignFilter(hook, filter, 7);
    for (const linkId of [1, 2]) await invoke("link/detach", { linkId });
    expect(bed.kernel.tcFilterProgram(hook, filter)).toBe(7 as never);
    expect((await invoke("dispatcher/list", {})).dispatchers).toEqual([]);
  });

  test("of a kernel that cannot chain takes one program, and says why not two", async () => {
    bed.kernel.ext = false;
    const [a, b, c] = [await load("x_a"), await load("x_b"), await load("t_a")];
    const link = await attach(a);
    expect(link.record.pin_path).toEndWith("/xdp/dispatcher_4026531840_2_link");
    expect(bed.kernel.chainOn(XDP_HOOK)).toEqual([a as never]);
    const error = await expectCode(attach(b), "KERNEL_UNSUPPORTED");
    expect(error.message).toContain("cannot chain");
    const tc = await attachTc(c);
    expect(tc.record).toMatchObject({ pin_path: null, kernel_link_id: null });
    for (const linkId of [1, tc.record.id]) await invoke("link/detach", { linkId });
    expect(bed.kernel.snapshot()).toMatchObject({ links: [], filters: [] });
    await attach(b);
  });
});

describe("the only member", () => {
  const NO_BTF = compileBpf(`SEC("xdp") int x_z(struct xdp_md *ctx) { return 2; }`, ["-g0"]);
  const modes = async () => (await invoke("dispatcher/list", {})).dispatchers.map((each) => each.mode);
  const runs = (hook: typeof XDP_HOOK | typeof TC_HOOK) =>
    bed.kernel.snapshot().programs.length && bed.kernel.chainOn(hook);

  test.each(["xdp", "tc"] as const)(
    "of %s runs directly; a second makes a chain, and its going ends that",
    async (kind) => {
      const [put, letter] = kind === "xdp" ? [attach, "x"] : [attachTc, "t"];
      const key = kind === "xdp" ? XDP_KEY : TC_KEY;
      const hook = kind === "xdp" ? XDP_HOOK : TC_HOOK;
      const [a, b, c] = [await load(`${letter}_a`), await load(`${letter}_b`), await load(`${letter}_c`)];
      await put(a);
      expect(await invoke("dispatcher/get", key)).toMatchObject({
        mode: "direct",
        revision: 1,
        runtime: { program_id: a },
      });
      expect(bed.kernel.twinsMade).toBe(0);
      await put(b);
      expect(await modes()).toEqual(["chain"]);
      expect(bed.kernel.twinsMade).toBe(2);
      await put(c);
      await invoke("link/update", { linkId: 1, priority: 90 });
      const twin = (await invoke("link/get", { linkId: 2 })).status.kernel?.program_id as number;
      const shown = await invoke("program/get", { programId: twin });
      expect([shown.record, shown.status.twin_of]).toEqual([null, b]);
      const refusal = await expectCode(invoke("program/unload", { programId: twin }), "PROGRAM_NOT_MANAGED");
      expect(refusal.message).toBe(`program ${twin} is the twin of program ${b}, for which it sits in a chain`);
      // One for each program, whatever happens to the chain.
      expect(bed.kernel.twinsMade).toBe(3);
      expect((await invoke("link/get", { linkId: 1 })).status).toMatchObject({ kernel_seen: true, pin_present: true });
      for (const linkId of [3, 2]) await invoke("link/detach", { linkId });
      expect(await modes()).toEqual(["direct"]);
      expect(runs(hook)).toEqual([a as never]);
      expect(bed.kernel.snapshot().programs).toEqual([a, b, c]);
      expect((await invoke("link/get", { linkId: 1 })).record.program_id).toBe(a);
    },
  );

  test("has a dispatcher where its verdict would not be the chain's, or the configuration says so", async () => {
    const [x, t] = [await load("x_a"), await load("t_a")];
    await attach(x, { proceedOn: ["pass", "drop"] });
    await attachTc(t, { proceedOn: ["unspec", "ok"] });
    expect(await modes()).toEqual(["direct", "chain"]);
    await invoke("link/update", { linkId: 1, proceedOn: ["pass"] });
    expect(await modes()).toEqual(["direct", "direct"]);
    await invoke("link/update", { linkId: 2, proceedOn: ["shot"] });
    expect(await modes()).toEqual(["chain", "direct"]);
    bed.config = { ...bed.config, dispatcher: { alone: "chain" } };
    await attach(x, { iface: "eth1" });
    expect((await invoke("dispatcher/list", { type: "xdp", ifindex: 3 })).dispatchers[0]?.mode).toBe("chain");
  });

  test("of TC has one while somebody else's filter stands behind it", async () => {
    bed.kernel.addForeignFilter(TC_HOOK, { priority: 51, handle: 1 }, 7);
    await attachTc(await load("t_a"));
    expect(await modes()).toEqual(["chain"]);
    bed.kernel.addForeignFilter({ ...TC_HOOK, direction: "egress" } as never, { priority: 49, handle: 1 }, 7);
    await attachTc(await load("t_b"), { direction: "egress" });
    expect(await modes()).toEqual(["direct", "chain"]);
  });

  test("without BTF runs alone, and no other joins it or is joined by it", async () => {
    bed.files.contents.set("/z.o", NO_BTF);
    const { programs } = await invoke("program/load", {
      source: { file: "/z.o" },
      programs: [{ type: "xdp", name: "x_z" }],
    });
    const z = programs[0]?.record?.program_id as number;
    const [a, b] = [await load("x_a"), await load("x_b")];
    await attach(z);
    const before = bed.traces();
    const joined = await expectCode(attach(a), "INVALID_PROGRAM");
    expect(joined.message).toBe(
      `program ${z} "x_z" (link 1) cannot share eth0 with others: it was compiled without BTF`,
    );
    expect(joined.hint).toContain("clang -g");
    expect(bed.traces()).toEqual(before);
    await invoke("link/detach", { linkId: 1 });
    await attach(a);
    await attach(b);
    const joins = await expectCode(attach(z), "INVALID_PROGRAM");
    expect(joins.details).toMatchObject({ program: z, interface: "eth0" });
    expect(await chainNames(XDP_HOOK)).toHaveLength(2);
    await attach(z, { iface: "eth1", proceedOn: ["drop"] });
    expect(bed.logged.some((line) => line.startsWith(`warn program ${z} runs on eth1 without a dispatcher`))).toBe(
      true,
    );
  });

  test("whose bytecode has gone is named, and runs on", async () => {
    const [a, b] = [await load("x_a"), await load("x_b")];
    await attach(a);
    bed.files.bytecode.clear();
    const error = await expectCode(attach(b), "FILE_NOT_FOUND");
    expect(error.message).toStartWith(`put program ${b} into a chain, using its saved bytecode: `);
    expect(error.hint).toContain("load the program again");
    expect(bed.kernel.chainOn(XDP_HOOK)).toEqual([a as never]);
  });

  test("that the verifier takes for no extension is named, and runs on", async () => {
    const [a, b] = [await load("x_a"), await load("x_b")];
    await attach(a);
    bed.kernel.refusedTwins.add("x_a");
    const before = bed.traces();
    const error = await expectCode(attach(b), "VERIFIER_REJECTED");
    expect(error.message).toStartWith(`put program ${a} into the chain on eth0: load program "x_a"`);
    expect(bed.traces()).toEqual(before);
  });
});

test("a dispatcher of another tool is listed with what is in its slots, if asked for", async () => {
  const { kernel } = bed;
  const [a, b] = [await load("x_a"), await load("x_b")];
  const pins = [a, b].map((id) => ({ path: `/fake/fs/prog_${id}`, kind: "program", id }) as const);
  const members = pins.map((extension) => ({ extension }));
  const slots = [
    { priority: 7, proceedOn: [XDP_ACTIONS.pass], frags: false },
    { priority: 50, proceedOn: [XDP_ACTIONS.aborted, XDP_ACTIONS.dispatcher_return], frags: false },
  ];
  const config = xdpConfig({ members: slots, frags: false });
  const made = await kernel.loadDispatcher({
    ...{ hook: "xdp", config, members, frags: false, expectedAttachType: "XDP" },
  });
  made.pinProgram("/elsewhere");
  kernel.attachXdp({ path: "/elsewhere", kind: "program", id: made.program }, { ...XDP_HOOK, mode: "drv" });
  expect((await invoke("dispatcher/list", {})).dispatchers).toEqual([]);
  const { dispatchers } = await invoke("dispatcher/list", { all: true });
  expect(dispatchers).toMatchObject([
    {
      key: XDP_KEY,
      interface: "eth0",
      mode: "chain",
      runtime: { program_id: made.program, mode: "drv" },
      member_count: 2,
    },
  ]);
  const slotsShown = ({ dispatchers: [there] }: DispatcherListAnswer) =>
    there?.foreign_members?.map((member) => Object.values({ ...member, program_name: "", kernel_link_id: 0 }));
  expect(slotsShown({ dispatchers })).toEqual([
    [0, a, "", 0, 7, 0x4],
    [1, b, "", 0, 50, 0x80000001],
  ]);
  // One that says nothing that is known of its slots.
  for (const unknown of [
    config.map((byte, index) => (index === 1 ? 1 : byte)),
    xdpConfig({ members: slots.slice(1), frags: false }),
  ]) {
    kernel.configs.set(made.program, unknown);
    expect(slotsShown(await invoke("dispatcher/list", { all: true }))).toEqual([
      [0, a, "", 0, null, null],
      [1, b, "", 0, null, null],
    ]);
  }
  const busy = await expectCode(attach(a), "HOOK_BUSY");
  expect(busy.code).toBe("HOOK_BUSY");
});

describe("programs that an earlier version loaded as extensions", () => {
  test("stay in their chain and leave it, and no other joins", async () => {
    bed.kernel.extensionsOnly = true;
    const [a, b] = [await load("x_a"), await load("x_b")];
    await attach(a);
    await attach(b);
    bed.kernel.extensionsOnly = false;
    const c = await load("x_c");
    const error = await expectCode(attach(c), "STATE_CONFLICT");
    expect(error.hint).toContain("load and attach them again");
    expect(error.details).toMatchObject({ programs: [a, b] });
    await invoke("link/update", { linkId: 1, priority: 1 });
    expect(await chainNames(XDP_HOOK)).toEqual(["x_a", "x_b"]);
    await invoke("link/detach", { linkId: 1 });
    expect(await chainNames(XDP_HOOK)).toEqual(["x_b"]);
    expect(bed.kernel.twinsMade).toBe(0);
    await invoke("link/detach", { linkId: 2 });
    await attach(c);
    for (const programId of [a, b, c]) await invoke("program/unload", { programId });
    expect(bed.traces().kernel.pins).toEqual([]);
  });

  test("leave nothing of what they were verified against", async () => {
    const path = "/fake/fs/dispatcher-test/xdp";
    const id = await load("x_a");
    bed.inspect((host) => host.kernel.openPin(`/fake/fs/prog_${id}`))?.pin(path);
    bed.write((host) => host.store.recordPins([{ path, kind: "program", id }]));
    await invoke("program/unload", { programId: id });
    bed.kernel.closeAll();
    expect(bed.kernel.pins.has(path)).toBe(false);
  });
});

test("a TC filter whose program somebody replaced is not changed; deleting the chain leaves it", async () => {
  const [a, b] = [await load("t_a"), await load("t_b")];
  const { record } = await attachTc(a);
  bed.kernel.addForeignFilter(TC_HOOK, { priority: 50, handle: 1 }, 4711);
  const error = await expectCode(attachTc(b), "STATE_CONFLICT");
  expect(error.message).toContain("its filter runs program 4711");
  await expectCode(invoke("link/update", { linkId: record.id, priority: 1 }), "STATE_CONFLICT");
  expect(await invoke("link/list", {})).toMatchObject({ links: [{ id: record.id }] });
  await invoke("dispatcher/delete", TC_KEY);
  expect(bed.kernel.snapshot().filters).toEqual([4711]);
});

const hookOf = ({ type }: DispatcherRecord) => (type === "xdp" ? XDP_HOOK : TC_HOOK);

/** What database and kernel say must agree, whole. */
function expectWhole(): void {
  bed.inspect((host) => {
    expect(host.store.unsettledLinks()).toEqual([]);
    const pins = new Set(host.store.programs().map((program) => program.pinPath));
    const directories = new Set<string>();
    const proceedsOnDrops = host.store
      .links()
      .some(({ details }) => "proceedOn" in details && details.proceedOn.includes(1));
    for (const link of host.store.links()) if (link.pinPath !== "") pins.add(link.pinPath);
    for (const record of host.store.dispatchers()) {
      expect(record.pendingRevision).toBeNull();
      if (record.type === "xdp") pins.add(host.pins.paths.xdpLink(record));
      const isDirect = host.store.links().some((link) => link.programId === record.programId);
      if (!isDirect) {
        const directory = host.pins.paths.revision(record, record.revision);
        pins.add(`${directory}/dispatcher`);
        for (const program of bed.kernel.chainOn(hookOf(record))) pins.add(`${directory}/twin_${program}`);
        directories.add(directory);
      }
      const running = bed.kernel.chainOn(hookOf(record));
      expect(isDirect).toBe(running.length === 1 && !proceedsOnDrops);
      const members = host.store
        .links()
        .filter((link) => link.details.kind === (record.type === "xdp" ? "xdp" : "tc"))
        .sort((a, b) => (a.details as { position: number }).position - (b.details as { position: number }).position);
      expect(running).toEqual(members.map((link) => link.programId));
    }
    expect(bed.traces().kernel.pins).toEqual([...pins].sort());
    const recorded = host.store.recordedPins(host.pins.paths.root).map((pin) => pin.path);
    expect(recorded).toEqual([...pins].filter((path) => /\/(xdp|tc-ingress)\//.test(path)).sort());
    expect(bed.traces().directories.filter((path) => !path.includes("/maps/"))).toEqual([...directories].sort());
  });
}

const mend = () => invoke("link/detach", { linkId: 4711, ignoreMissing: true });

for (const [kind, prefix] of [
  ["xdp", "x"],
  ["tc", "t"],
] as const) {
  for (const ext of [true, false]) {
    const doAttach = (id: number) => (kind === "xdp" ? attach(id) : attachTc(id));
    const otherwise = kind === "xdp" ? "drop" : "reclassify";
    const toChain = () => invoke("link/update", { linkId: 1, proceedOn: [otherwise] });
    /** How many members there are before, and what is done then. */
    const acts: Record<string, readonly [number, () => Promise<unknown>]> = {
      "first attach": [0, () => doAttach(100)],
      "last detach": [1, () => invoke("link/detach", { linkId: 1 })],
      ...(ext
        ? {
            "second attach": [1, () => doAttach(101)],
            "attach to a running chain": [2, () => doAttach(102)],
            "detach of one of two": [2, () => invoke("link/detach", { linkId: 1 })],
            "detach of one of three": [3, () => invoke("link/detach", { linkId: 1 })],
            "link update of the only one": [1, toChain],
          }
        : {}),
      // Both kinds go the same way here.
      ...(ext && kind === "xdp"
        ? {
            "unload of one": [2, () => invoke("program/unload", { programId: 100 })],
            "link update": [2, () => invoke("link/update", { linkId: 1, priority: 90 })],
          }
        : {}),
    };

    describe(`${kind}, ${ext ? "chained" : "one program"}`, () => {
      for (const [name, [there, act]] of Object.entries(acts)) {
        for (const how of ["failAt", "dieAt"] as const) {
          test(`${name}: ${how === "failAt" ? "each step failed" : "killed at each step"}`, async () => {
            for (let step = 1; ; step++) {
              bed.close();
              bed = makeTestBed();
              bed.kernel.ext = ext;
              bed.files.contents.set("/x.o", compileBpf(OBJECT));
              invoke = createInvoke(bed.runtime);
              for (const letter of ["a", "b", "c"]) await load(`${prefix}_${letter}`);
              for (const id of [100, 101, 102].slice(0, there)) await doAttach(id);
              expect(bed.kernel.chainOn(kind === "xdp" ? XDP_HOOK : TC_HOOK)).toHaveLength(there);
              bed.faults.reset();
              bed.faults[how] = step;
              const outcome = await act().then(
                () => "done",
                () => "failed",
              );
              const steps = bed.faults.calls.length;
              bed.faults.reset();
              if (how === "dieAt") bed.kernel.closeAll();
              // Whatever happened, the hook runs one whole chain.
              const running = bed.kernel.chainOn(kind === "xdp" ? XDP_HOOK : TC_HOOK);
              if (there > 1 || (there === 1 && name !== "last detach")) expect(running.length).toBeGreaterThan(0);
              await expectNoWorries(bed.logged, invoke, step);
              await mend();
              expectWhole();
              if (steps < step) {
                expect(outcome).toBe("done");
                expect(step).toBeGreaterThan(4);
                break;
              }
            }
          });
        }
      }
    });
  }
}

test.each(["x", "t"])("the end of a chain whose interface has gone, killed at each step (%s_)", async (prefix) => {
  const put = prefix === "x" ? attach : attachTc;
  for (let step = 1; ; step++) {
    bed.close();
    bed = makeTestBed();
    bed.kernel.ext = true;
    bed.files.contents.set("/x.o", compileBpf(OBJECT));
    invoke = createInvoke(bed.runtime);
    for (const letter of ["a", "b", "c"]) await put(await load(`${prefix}_${letter}`));
    bed.kernel.goneInterfaces.add(2);
    bed.faults.reset();
    bed.faults.dieAt = step;
    await invoke("link/detach", { linkId: 2 }).catch(() => {});
    const steps = bed.faults.calls.length;
    bed.faults.reset();
    bed.kernel.closeAll();
    // Whatever was done, all of it can be taken away.
    for (const linkId of [1, 2, 3]) await invoke("link/detach", { linkId, ignoreMissing: true });
    expect((await invoke("dispatcher/list", {})).dispatchers).toEqual([]);
    for (const programId of [100, 101, 102]) await invoke("program/unload", { programId, ignoreMissing: true });
    for (const { program_id } of (await invoke("program/list", {})).programs) {
      await invoke("program/unload", { programId: program_id });
    }
    expect([step, bed.traces().kernel.pins]).toEqual([step, []]);
    bed.inspect((host) => expect([host.store.links(), host.store.unsettledLinks()]).toEqual([[], []]));
    if (steps < step) {
      expect(step).toBeGreaterThan(6);
      break;
    }
  }
});

test("completion knows the numbers that name a chain", async () => {
  await attach(await load("x_a"));
  await attachTc(await load("t_a"), { direction: "egress" });
  const ask = async (what: string, prefix = "") => (await invoke("complete", { what, prefix })).values;
  const description = "eth0 (tc-egress), eth0 (xdp)";
  expect(await ask("dispatcher-nsid")).toEqual([{ value: "4026531840", description }]);
  expect(await ask("dispatcher-ifindex")).toEqual([{ value: "2", description }]);
  expect(await ask("dispatcher-ifindex", "3")).toEqual([]);
});
