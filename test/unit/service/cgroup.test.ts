/** Programs on cgroups, and on network namespaces, with the fake kernel: what is asked of it, in which order, and refused. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { BpfmanError } from "../../../src/errors/error.ts";
import { createInvoke, type Invoke } from "../../../src/service/invoke.ts";
import { makeTestBed, type TestBed } from "../../fakes/fake-host.ts";
import { compileBpf } from "../../objects/compile.ts";

const OBJECT = [
  ..."abcd".split("").map((name) => `SEC("cgroup/connect4") int ${name}(void *ctx) { return 1; }`),
  'SEC("cgroup/skb") int either(void *ctx) { return 1; }',
  'SEC("cgroup_skb/egress") int out(void *ctx) { return 1; }',
  'SEC("sk_lookup") int look(void *ctx) { return 1; }',
  'SEC("netfilter") int filter(void *ctx) { return 1; }',
].join("\n");
const SLICE = "/sys/fs/cgroup/system.slice";

let bed: TestBed;
let invoke: Invoke;
const ids = new Map<string, number>();
beforeEach(async () => {
  bed = makeTestBed();
  bed.files.contents.set("/x.o", compileBpf(OBJECT));
  invoke = createInvoke(bed.runtime);
  const { programs } = await invoke("program/load", {
    source: { file: "/x.o" },
    programs: [{ type: null, name: "all" }],
  });
  for (const { record } of programs) ids.set(record?.load.program_name ?? "", record?.program_id ?? 0);
});
afterEach(() => bed.close());

const attach = (name: string, target: Readonly<Record<string, unknown>>) =>
  invoke("link/attach", { programId: ids.get(name), attach: target });
const toCgroup = (name: string, more: Readonly<Record<string, unknown>> = {}) =>
  attach(name, { kind: "cgroup", cgroup: SLICE, ...more });
async function failure(work: Promise<unknown>): Promise<BpfmanError> {
  const outcome = await work.catch((cause: unknown) => cause);
  expect(outcome).toBeInstanceOf(BpfmanError);
  return outcome as BpfmanError;
}

const HOOK = { cgroup: SLICE, cgroupId: 42, attachType: "CGROUP_INET4_CONNECT" } as const;
/** The programs of the hook, in the kernel's order. */
const order = (): string[] =>
  bed.kernel.cgroupState(HOOK).members.map(({ program }) => [...ids].find(([, id]) => id === program)?.[0] ?? "?");

describe("on a cgroup", () => {
  test("lower priorities run first, and the newer of two equals last", async () => {
    await toCgroup("b", { priority: 20 });
    await toCgroup("d");
    await toCgroup("a", { priority: 10 });
    await toCgroup("c", { priority: 20 });
    expect(order()).toEqual(["a", "b", "c", "d"]);
    const { links } = await invoke("link/list", {});
    expect(links.map(({ details }) => (details as { position: number }).position)).toEqual([1, 3, 0, 2]);
  });

  test("a change by somebody else between look and attach is noticed, and the attach repeated", async () => {
    await toCgroup("b", { priority: 20 });
    let changes = 2;
    bed.kernel.beforeAttach = () => {
      if (changes-- > 0) bed.kernel.joinForeign(HOOK, 4711);
    };
    await toCgroup("a", { priority: 10 });
    expect(order()).toEqual(["a", "b", "?", "?"]);
  });

  test("a kernel that can only append takes what belongs at the end, and nothing else", async () => {
    bed.kernel.cgroupOrder = false;
    await toCgroup("a", { priority: 10 });
    await toCgroup("c", { priority: 20 });
    const refused = await failure(toCgroup("b", { priority: 15 }));
    expect([refused.code, refused.message]).toEqual([
      "KERNEL_UNSUPPORTED",
      "attach to a cgroup with priority 15, before link 2 with 20: this needs Linux 6.17",
    ]);
    await toCgroup("d");
    expect(order()).toEqual(["a", "c", "d"]);
  });

  test("a program is there once; on another cgroup, or in the other direction, again", async () => {
    await toCgroup("a");
    const twice = await failure(toCgroup("a"));
    expect([twice.code, twice.message]).toEqual([
      "ALREADY_ATTACHED",
      `program ${ids.get("a")} is already attached to cgroup "${SLICE}" as link 1`,
    ]);
    await toCgroup("a", { cgroup: `${SLICE}/web.service` });
    await toCgroup("either", { direction: "ingress" });
    await toCgroup("either", { direction: "egress" });
    expect(bed.kernel.attached.slice(-2)).toMatchObject([
      { kind: "cgroup_skb", attachType: "CGROUP_INET_INGRESS" },
      { kind: "cgroup_skb", attachType: "CGROUP_INET_EGRESS" },
    ]);
  });

  test("the section says the direction, or the request", async () => {
    const none = await failure(toCgroup("either"));
    expect([none.code, none.hint]).toEqual(["INVALID_ATTACH", "--direction ingress, or egress"]);
    const other = await failure(toCgroup("out", { direction: "ingress" }));
    expect(other.message).toBe(`program ${ids.get("out")} is not for ingress: its section is "cgroup_skb/egress"`);
    await toCgroup("out", { direction: "egress" });
    const word = await failure(toCgroup("a", { direction: "ingress" }));
    expect(word.code).toBe("INVALID_ATTACH");
    expect((await failure(toCgroup("a", { cgroup: "/nowhere" }))).code).toBe("CGROUP_NOT_FOUND");
    expect((await failure(attach("a", { kind: "sk_lookup" }))).message).toContain('"bpfman attach');
  });

  test("a removed one is shown as gone, found by doctor, and forgotten by repair; the program can be attached to the next", async () => {
    await toCgroup("a");
    await toCgroup("b", { cgroup: "/sys/fs/cgroup" });
    bed.kernel.removeCgroup(SLICE);
    const { links } = await invoke("link/list", {});
    expect(links.map(({ attachment }) => attachment)).toEqual([
      { present: false, reason: "cgroup-gone", interface: null },
      { present: true, reason: null, interface: null },
    ]);
    expect((await invoke("link/get", { linkId: 1 })).status.kernel).toMatchObject({ cgroup_id: 0 });
    const { findings } = await invoke("doctor", {});
    expect(findings.map(({ code, evidence }) => [code, evidence.cgroup])).toEqual([["target-gone", SLICE]]);
    bed.kernel.knownCgroups.set(SLICE, 43);
    await toCgroup("a");
    await invoke("repair", {});
    expect((await invoke("link/list", {})).links.map(({ id }) => id)).toEqual([2, 3]);
    expect((await invoke("doctor", {})).findings).toEqual([]);
  });
});

describe("on a network namespace", () => {
  test("sk_lookup takes its file, netfilter a hook in it", async () => {
    expect((await attach("look", { kind: "sk_lookup" })).record).toMatchObject({
      kind: "sk_lookup",
      details: { netns: null },
    });
    const hook = { kind: "netfilter", protocol: "ipv4", hook: "input" } as const;
    const { record, status } = await attach("filter", { ...hook, priority: -399, defrag: true });
    expect(record.details).toMatchObject({
      protocol: "ipv4",
      hook: "input",
      priority: -399,
      defrag: true,
      netns: null,
    });
    expect(status.kernel).toMatchObject({ pf: 2, hooknum: 1, priority: -399, flags: 1 });
    const early = await failure(attach("filter", { ...hook, priority: -400, defrag: true }));
    expect([early.code, early.message]).toEqual([
      "INVALID_ATTACH",
      "attach netfilter with defragmentation and priority -400: must be at least -399",
    ]);
    for (const priority of [-0x8000_0000, 0x7fff_ffff, 0.5]) {
      expect((await failure(attach("filter", { ...hook, priority }))).code).toBe("INVALID_REQUEST");
    }
    expect((await failure(attach("look", { kind: "sk_lookup", netns: "/nowhere" }))).code).toBe("NETNS_NOT_FOUND");
  });

  test("netfilter keeps it alive: that it is no longer at its path is shown, and found by doctor", async () => {
    const netns = "/run/netns/blue";
    bed.network.namespaces.set(netns, ["lo"]);
    await attach("filter", { kind: "netfilter", protocol: "ipv4", hook: "input", netns });
    const attachment = async () => (await invoke("link/list", {})).links[0]?.attachment;
    expect(await attachment()).toEqual({ present: true, reason: null, interface: null });
    expect((await invoke("doctor", {})).findings).toEqual([]);
    bed.network.namespaces.delete(netns);
    expect(await attachment()).toEqual({ present: true, reason: "namespace-gone", interface: null });
    const { findings } = await invoke("doctor", {});
    expect(findings.map(({ code, evidence }) => [code, evidence.netns])).toEqual([["namespace-held", netns]]);
    // A new namespace with the same name.
    bed.network.namespaces.set("/run/netns/other", []).set(netns, []);
    expect((await attachment())?.reason).toBe("namespace-gone");
  });
});
