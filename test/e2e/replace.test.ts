/** New programs in the place of those that run, on the real kernel: under a flood of packets, and what is refused. */
import { expect, test } from "bun:test";
import { closeSync, openSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import type { ReplaceAnswer } from "../../src/domain/answer.ts";
import { BRIEF } from "../labs/brief.ts";
import { watchMembers, wire } from "../labs/chain-lab.ts";
import { cgroupLab } from "../labs/cgroup-lab.ts";
import { executable, idOf, mapOf } from "../labs/executable.ts";
import { extensionTest } from "../labs/extension-test.ts";
import { bpftool, counters, inKernel, until } from "../labs/kernel-lab.ts";
import { tcxTest } from "../labs/tcx-test.ts";
import { compileBpf } from "../objects/compile.ts";

buildBpf();
const fixture = (name: string): string => resolve(import.meta.dir, `../../dist/bpf/fixtures/${name}.bpf.o`);
const CHAIN = fixture("chain");
const LIFE = fixture("life");
const SWAPS = Number(process.env.BPFMAN_STEPS ?? (BRIEF ? 6 : 24));

const bpfman = executable();
const lab = wire();
const cgroups = cgroupLab();

type Hook = "xdp" | "tc" | "tcx";
/** What lets a packet through. */
const PASS: Readonly<Record<Hook, number>> = { xdp: 2, tc: 0, tcx: -1 };

/** Replaces the middle one of so many programs on a hook, again and again, while packets come. */
async function replaceUnderFlood(hook: Hook, members: number): Promise<void> {
  const names = Array.from({ length: members }, (_, number) => `${hook === "xdp" ? "xdp" : "tc"}_member_${number}`);
  const programs = await bpfman.load(CHAIN, "--programs", ...names.map((name) => `${hook}:${name}`));
  const watch = watchMembers((name) => mapOf(programs, name));
  watch.setVerdicts(Object.fromEntries(names.map((_, number) => [number, PASS[hook]])));
  const session = await bpfman.session();
  const links: number[] = [];
  for (const [number, name] of names.entries()) {
    const place = { iface: "veth0", netns: lab.netns(), priority: 10 * number };
    const attach = hook === "xdp" ? { kind: hook, ...place } : { kind: hook, direction: "ingress" as const, ...place };
    links.push((await session.call("link/attach", { programId: idOf(programs, name), attach })).record.id);
  }
  const middle = Math.floor(members / 2);
  let id = idOf(programs, names[middle] as string);
  const flood = await lab.flood();
  for (let turn = 0; turn < SWAPS; turn++) {
    const { replaced } = await session.call("program/replace", { programIds: [id], source: { file: CHAIN } });
    expect(replaced).toMatchObject([{ old_program_id: id, swapped_links: [links[middle]], overlapped_links: [] }]);
    await until(() => !inKernel("prog", id));
    id = replaced[0]?.program.record?.program_id ?? 0;
  }
  await flood.stop();
  const sent = lab.sent();
  expect(sent).toBeGreaterThan(5 * SWAPS);
  // The maps are those of the first programs: each packet was counted once by each member, whichever build of it ran.
  expect({ seen: watch.packets().slice(0, members), received: lab.received() }).toEqual({
    seen: names.map(() => sent),
    received: sent,
  });
  expect((await bpfman.links()).map((link) => link.id)).toEqual(links);
}

test("XDP alone on its hook loses no packet", () => replaceUnderFlood("xdp", 1));
test("TC alone on its hook loses no packet", () => replaceUnderFlood("tc", 1));
tcxTest("TCX, between two others, loses no packet", () => replaceUnderFlood("tcx", 3));
extensionTest("XDP, in a chain of three, loses no packet", () => replaceUnderFlood("xdp", 3));
extensionTest("TC, in a chain of three, loses no packet", () => replaceUnderFlood("tc", 3));

const opens = (times: number): void => {
  for (let time = 0; time < times; time++) closeSync(openSync("/dev/null", "r"));
};

test("a tracepoint's link and counts stay; both programs run for a moment, and then the new one alone", async () => {
  const programs = await bpfman.load(LIFE, "--programs", "tracepoint:on_openat", "--set", "LIMIT=7", "-a", "app");
  const id = idOf(programs, "on_openat");
  const map = mapOf(programs, "counters");
  const { record } = await bpfman.attach(id, "tracepoint", "--tracepoint", "syscalls/sys_enter_openat");
  for (let turn = 0, old = id; turn < 3; turn++) {
    const { replaced }: ReplaceAnswer = await bpfman.json("program", "replace", String(old), "--path", LIFE);
    const next = replaced[0]?.program.record?.program_id ?? 0;
    expect(replaced).toMatchObject([{ swapped_links: [], overlapped_links: [record.id], new_maps: [] }]);
    expect(inKernel("prog", old)).toBe(false);
    const before = counters(map)[2] ?? 0;
    opens(5);
    // Others open files as well, and each is counted once.
    const after = counters(map)[2] ?? 0;
    expect(after - before).toBeGreaterThanOrEqual(5);
    const shown = await bpfman.run("get", "program", String(id), "-o", "json");
    expect([JSON.parse(shown.out).record.program_id, JSON.parse(shown.out).status.replaces]).toEqual([next, id]);
    expect(shown.error).toContain(`program ${id} was replaced by program ${next}`);
    old = next;
  }
  const [link] = await bpfman.links();
  expect(link).toMatchObject({ id: record.id, application: "app" });
  expect(await bpfman.findings()).toEqual([]);
});

test("links of cgroups, namespaces and iterators keep running, each with another program", async () => {
  const [group, gone] = [cgroups.make("replaced"), cgroups.make("gone")];
  const [CGROUP, EVERY] = [fixture("cgroup"), fixture("every_kind")];
  const session = await bpfman.session();
  const run = async (
    file: string,
    name: string,
    attach: Record<string, unknown>,
  ): Promise<{ id: number; link: number }> => {
    const { programs, links } = await session.call("program/run", { source: { file }, programs: [{ name }], attach });
    return { id: programs[0]?.record?.program_id ?? 0, link: links[0]?.record.kernel_link_id ?? 0 };
  };
  const ran = [
    [CGROUP, await run(CGROUP, "on_connect4", { cgroup: group })],
    [EVERY, await run(EVERY, "on_sk_lookup", { netns: lab.netns() })],
    [EVERY, await run(EVERY, "on_iter", {})],
  ] as const;
  for (const [file, { id, link }] of ran) {
    const { replaced } = await session.call("program/replace", { programIds: [id], source: { file } });
    expect(replaced[0]?.swapped_links).toHaveLength(1);
    const next = replaced[0]?.program.record?.program_id;
    expect(bpftool("link", "show", "id", String(link))).toMatchObject({ id: link, prog_id: next });
  }
  const { id } = await run(CGROUP, "on_connect4", { cgroup: gone });
  cgroups.remove(gone);
  const refused = await bpfman.refused(1, "STATE_CONFLICT", "program", "replace", String(id), "--path", CGROUP);
  expect([refused.message, refused.hint]).toEqual([
    expect.stringMatching(/: link 4, .*, is no longer attached there$/),
    "take it off first: bpfman detach 4",
  ]);
  expect((await bpfman.programs()).filter(({ program_id: each }) => each === id)).toHaveLength(1);
});

test("what a program calls through an array that its object fills is replaced with it, and counts go on", async () => {
  const path = bpfman.path("calls.o");
  const source = (step: number): string => `int target(struct xdp_md *ctx);
    struct { __uint(type, BPF_MAP_TYPE_PROG_ARRAY); __uint(max_entries, 1); __uint(key_size, 4); __array(values, int(void *)); }
      jumps SEC(".maps") = { .values = { [0] = (void *)&target } };
    struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u64); } hits SEC(".maps");
    SEC("xdp") int target(struct xdp_md *ctx) { __u32 key = 0; __u64 *hit = bpf_map_lookup_elem(&hits, &key);
      if (hit) __sync_fetch_and_add(hit, ${step}); return 2; }
    SEC("xdp") int entry(struct xdp_md *ctx) { bpf_tail_call(ctx, &jumps, 0); return 1; }`;
  writeFileSync(path, compileBpf(source(1)));
  await bpfman.ok("run", path, "entry", "-i", "veth0", "-p", "50", "-n", lab.netns());
  let sent = 0;
  const hitsAfterOne = async (): Promise<string> => {
    lab.send(1);
    sent++;
    await until(() => lab.received() === sent);
    return (await bpfman.ok("map", "lookup", "hits", "0")).trim();
  };
  expect(await hitsAfterOne()).toBe("1");
  for (const [step, total] of [
    [10, "11"],
    [100, "111"],
  ] as const) {
    writeFileSync(path, compileBpf(source(step)));
    const { replaced }: ReplaceAnswer = await bpfman.json("program", "replace", "entry", "--path", path);
    expect(replaced).toMatchObject([{ kept_maps: ["hits"], new_maps: ["jumps"] }]);
    expect(await hitsAfterOne()).toBe(total);
  }
  await bpfman.ok("unload", "entry");
  await bpfman.ok("detach", "4711", "--ignore-missing");
  await bpfman.expectNothingLeft();
});

test("a program that the verifier refuses, or whose map has another shape, changes nothing", async () => {
  const source = (value: string, code: string): string => `struct { __uint(type, BPF_MAP_TYPE_ARRAY);
      __uint(max_entries, 1); __type(key, __u32); __type(value, ${value}); } hits SEC(".maps");
    SEC("xdp") int pass(struct xdp_md *ctx) { __u32 key = 0; ${value} *hit = bpf_map_lookup_elem(&hits, &key); ${code} return 2; }`;
  const files = {
    good: source("__u64", "if (hit) __sync_fetch_and_add(hit, 1);"),
    refused: source("__u64", "if (hit) *hit = *(int *)(long)ctx->data;"),
    shaped: source("__u32", "if (hit) __sync_fetch_and_add(hit, 1);"),
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(bpfman.path(`${name}.o`), compileBpf(text));
  const path = (name: keyof typeof files): string[] => ["--path", bpfman.path(`${name}.o`)];
  const ran: { programs: { record: { program_id: number } }[]; links: { record: { id: number } }[] } =
    await bpfman.json("run", bpfman.path("good.o"), "pass", "-i", "veth0", "-p", "50", "-n", lab.netns());
  const id = String(ran.programs[0]?.record.program_id);
  lab.send(3);
  await until(() => lab.received() === 3);
  const hits = async () => (await bpfman.ok("map", "lookup", "hits", "0")).trim();
  expect(await hits()).toBe("3");
  const before = [await bpfman.programs(), await bpfman.links()];
  await bpfman.refused(1, "VERIFIER_REJECTED", "program", "replace", id, ...path("refused"));
  const error = await bpfman.refused(1, "MAP_MISMATCH", "program", "replace", id, ...path("shaped"));
  expect(error.message).toContain("value_size is 4 in the object and 8 in the kernel");
  expect(error.hint).toContain('"--maps new"');
  expect([await bpfman.programs(), await bpfman.links()]).toEqual(before);
  lab.send(2);
  await until(() => lab.received() === 5);
  expect(await hits()).toBe("5");
  const { replaced }: ReplaceAnswer = await bpfman.json("program", "replace", id, ...path("shaped"), "--maps", "new");
  expect(replaced).toMatchObject([{ kept_maps: [], new_maps: ["hits"] }]);
  expect(await hits()).toBe("0");
  await bpfman.ok("unload", "pass");
  await bpfman.expectNothingLeft();
});
