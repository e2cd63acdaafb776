/** What comes back after a reboot, with the fake kernel. */
import { Database } from "bun:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { parse } from "valibot";
import { createInvoke, type Invoke } from "../../../src/service/invoke.ts";
import { targetOf } from "../../../src/service/attach/target-of.ts";
import { attachTarget } from "../../../src/service/requests/attach-request.ts";
import { makeTestBed, type TestBed } from "../../fakes/fake-host.ts";
import { failureOfAsync } from "../../expect/failure.ts";
import { compileBpf } from "../../objects/compile.ts";
import { serviceObject } from "../../objects/service-object.ts";

const NS = "/run/netns/far";
let bed: TestBed;
let invoke: Invoke;
beforeEach(() => {
  bed = makeTestBed();
  bed.kernel.ext = true;
  bed.files.contents.set("/x.o", serviceObject());
  bed.network.namespaces.set(NS, ["lo", "veth0"]);
  invoke = createInvoke(bed.runtime);
});
afterEach(() => bed.close());

async function load(names: readonly string[], more: object = {}): Promise<number[]> {
  const programs = names.map((each) => {
    const [type, name] = each.split(":");
    return { type, name };
  });
  const answer = await invoke("program/load", { source: { file: "/x.o" }, programs, ...more });
  return answer.programs.map(({ record }) => record?.program_id ?? 0);
}
async function attach(programId: number | undefined, target: object, metadata = {}): Promise<number> {
  return (await invoke("link/attach", { programId, attach: target, metadata })).record.link_id;
}
const tcx = (iface: string, priority = 50, more = {}) => ({
  kind: "tcx",
  iface,
  direction: "ingress",
  priority,
  ...more,
});
const xdp = (iface: string, priority = 50) => ({ kind: "xdp", iface, priority });

/** Everything that the lists show, without what a reboot changes: the kernel's numbers. */
async function picture(): Promise<unknown> {
  const { programs } = await invoke("program/list", {});
  const { links } = await invoke("link/list", {});
  const index = new Map(programs.map(({ program_id: id }, at) => [id, `#${at}`]));
  const rename = (text: string) =>
    text
      .replace(
        /"(program_id|map_owner_id|dispatcher_id)":(\d+)/g,
        (_, key, id) => `"${key}":"${index.get(Number(id)) ?? "?"}"`,
      )
      .replace(/(prog_|maps\/)(\d+)/g, (_, before, id) => `${before}${index.get(Number(id)) ?? "?"}`)
      .replace(/"(kernel_link_id|revision|nsid|ifindex)":\d+/g, '"$1":0')
      .replace(/"kernel":\{[^{}]*\}/g, '"kernel":{}')
      .replace(/dispatcher_\d+_\d+_\d+/g, "dispatcher");
  return JSON.parse(rename(JSON.stringify({ programs, links })));
}
/** Of each link: its ID, its program, and where it is. */
async function where(): Promise<unknown[]> {
  const { links } = await invoke("link/list", {});
  return links.map(({ id, function_name: name, details }) => [
    id,
    name,
    "position" in details ? details.position : null,
  ]);
}
const results = ({
  programs,
  links,
}: {
  programs: readonly { result: string }[];
  links: readonly { result: string }[];
}) => [programs.map(({ result }) => result), links.map(({ result }) => result)];

function change(sql: string): void {
  const database = new Database(bed.databasePath);
  database.run(sql);
  database.close();
}
/** With what the first command of a boot that changes something does to the rows. */
function rebootAndBegin(): void {
  bed.reboot();
  bed.write((host) => host.store.earlierBoots().dropOutdated());
}
/** What belongs to something that was applied. */
function applied(): unknown[] {
  const database = new Database(bed.databasePath, { readonly: true });
  const [programs, links] = ["SELECT name FROM programs", "SELECT link_id FROM links"].map((sql) =>
    database.query(`${sql} WHERE applied = 'web' ORDER BY 1`).values().flat(),
  );
  database.close();
  return [programs, links];
}

/** One of each way to share and to order, on two hooks that take several. */
async function loadAll(): Promise<void> {
  const [count, openat] = await load(["tcx:count", "tracepoint:on_openat"], {
    globalData: { LIMIT: "0A000000" },
    metadata: { owner: "me" },
    application: "demo",
    mapEntries: { counters: 9 },
    keep: true,
  });
  const [more] = await load(["tcx:count_more"], { mapOwnerId: count, mapEntries: { counters: 9 } });
  const [a, b, c] = [await load(["xdp:filter"]), await load(["xdp:filter"]), await load(["xdp:filter"])].flat();
  await attach(more, tcx("eth0", 50));
  await attach(count, tcx("eth0", 50), { place: "first" });
  await attach(openat, { kind: "tracepoint", tracepoint: "sched/sched_switch" });
  await attach(count, tcx("veth0", 10, { netns: NS }));
  for (const id of [a, b, c]) await attach(id, xdp("eth1"));
}

test("everything comes back as it was, with the ids of links, in the same order; and only once", async () => {
  await loadAll();
  change(
    "UPDATE programs SET applied = 'web' WHERE name = 'count'; UPDATE links SET applied = 'web' WHERE link_id < 4",
  );
  const before = await picture();
  const old = bed.inspect((host) => host.store.programs().map(({ id }) => id));
  bed.reboot();
  expect((await invoke("program/list", {})).programs).toEqual([]);
  expect(results(await invoke("restore", { dryRun: true }))).toEqual([
    Array(6).fill("planned"),
    Array(7).fill("planned"),
  ]);
  expect(bed.traces().kernel.programs).toEqual([]);
  const answer = await invoke("restore", {});
  expect(results(answer)).toEqual([Array(6).fill("restored"), Array(7).fill("restored")]);
  expect(await picture()).toEqual(before);
  expect(
    bed.inspect((host) => host.store.programs().flatMap(({ maps }) => maps.map(({ entries }) => entries ?? 0))),
  ).toContain(9);
  expect(applied()).toEqual([["count"], [1, 2, 3]]);
  const traces = bed.traces();
  expect(await invoke("restore", {})).toEqual({ dry_run: false, programs: [], links: [] });
  expect(bed.traces()).toEqual(traces);
  const knownAs = async (was: number | undefined, id: number | null | undefined): Promise<void> => {
    const { record, status } = await invoke("program/get", { programId: was });
    expect([record?.program_id, status.replaces]).toEqual([id as number, was]);
    expect(bed.logged.at(-1)).toBe(`warn program ${was} was restored as program ${id}`);
  };
  expect(answer.programs.map(({ was }) => was).sort()).toEqual(old.map(Number).sort());
  for (const { was, program_id: id } of answer.programs) await knownAs(was, id);
  // The same again, from what was restored: the first IDs name the last ones.
  bed.reboot();
  const [first] = answer.programs;
  const lost = await failureOfAsync(() => invoke("program/get", { programId: first?.program_id }));
  expect(lost.hint).toContain("bpfman restore");
  const again = await invoke("restore", {});
  expect(await picture()).toEqual(before);
  await knownAs(first?.was, again.programs.find(({ was }) => was === first?.program_id)?.program_id);
});

describe("what cannot come back", () => {
  test("is named and waits over boots, while the rest comes back; it comes when it can, under its id", async () => {
    await loadAll();
    const before = await picture();
    bed.reboot();
    bed.network.namespaces.set("", ["lo", "eth0"]);
    bed.network.namespaces.delete(NS);
    const { programs, links } = await invoke("restore", {});
    expect(new Set(programs.map(({ result }) => result))).toEqual(new Set(["restored"]));
    expect(links.filter(({ result }) => result === "waiting").map(({ code, place }) => [code, place])).toEqual([
      ["NETNS_NOT_FOUND", "tcx veth0 ingress"],
      ...Array(3).fill(["INTERFACE_NOT_FOUND", "xdp eth1"]),
    ]);
    const traces = bed.traces();
    expect(results(await invoke("restore", {}))).toEqual([[], Array(4).fill("waiting")]);
    expect(bed.traces()).toEqual(traces);
    bed.reboot();
    bed.network.namespaces.set("", ["lo", "eth0", "eth1"]);
    await invoke("restore", {});
    bed.network.namespaces.set(NS, ["lo", "veth0"]);
    expect(results(await invoke("restore", {}))).toEqual([[], ["restored"]]);
    expect(await picture()).toEqual(before);
  });

  test("is waited for, and the rest comes back meanwhile", async () => {
    const [count] = await load(["tcx:count"]);
    await attach(count, tcx("eth0"));
    await attach(count, tcx("eth1"));
    bed.reboot();
    bed.network.namespaces.set("", ["lo", "eth0"]);
    const restored = invoke("restore", { waitMs: 60_000 });
    while (bed.inspect((host) => host.store.links().length) === 0) await Bun.sleep(1);
    bed.network.namespaces.set("", ["lo", "eth0", "eth1"]);
    expect(results(await restored)).toEqual([["restored"], ["restored", "restored"]]);
    expect(bed.inspect((host) => host.store.links().length)).toBe(2);
  });

  test("is not waited for longer than was asked, and the wait can be interrupted", async () => {
    const [count] = await load(["tcx:count"]);
    await attach(count, tcx("eth1"));
    bed.reboot();
    bed.network.namespaces.set("", ["lo"]);
    expect(results(await invoke("restore", { waitMs: 1 }))).toEqual([["restored"], ["waiting"]]);
    const interrupted = new AbortController();
    const waiting = failureOfAsync(() => invoke("restore", { waitMs: 60_000 }, { signal: interrupted.signal }));
    interrupted.abort();
    expect((await waiting).code).toBe("CANCELLED");
  });

  test("is never a process of that number: the number may be another one's now", async () => {
    bed.files.contents.set("/lib/x.so", new Uint8Array(Bun.file("/bin/true").size));
    const [count] = await load(["tcx:count"]);
    await attach(count, tcx("eth0"));
    bed.write((host) => {
      const [link] = host.store.links();
      if (link === undefined) throw new Error("no link");
      const details = {
        kind: "uprobe",
        path: "/x",
        target: "/x",
        fnName: "f",
        offset: 0,
        fileOffset: 0,
        pid: 1,
        containerPid: null,
        fileId: null,
      } as const;
      host.store.moveLink(link.id, {
        programId: link.programId,
        details,
        pinPath: link.pinPath,
        kernelLinkId: link.kernelLinkId,
      });
    });
    bed.reboot();
    const { links } = await invoke("restore", {});
    expect(links).toMatchObject([{ result: "waiting", code: "PROCESS_NOT_FOUND" }]);
  });

  test("is forgotten when that is asked for, with its bytecode, and nothing else", async () => {
    const [count] = await load(["tcx:count"]);
    const link = await attach(count, tcx("eth0"));
    const other = await attach(count, tcx("eth1"));
    bed.reboot();
    const missing = await failureOfAsync(() => invoke("link/detach", { linkId: link }));
    expect([missing.code, missing.hint]).toEqual([
      "LINK_NOT_FOUND",
      `bpfman restore attaches it again; bpfman restore --forget link:${link} drops it`,
    ]);
    expect(results(await invoke("restore", { forget: { link } }))).toEqual([[], ["forgotten"]]);
    expect((await failureOfAsync(() => invoke("restore", { forget: { link } }))).code).toBe("LINK_NOT_FOUND");
    bed.network.namespaces.set("", ["lo", "eth0"]);
    expect((await invoke("restore", {})).links.map(({ link_id: id }) => id)).toEqual([other]);
    expect(results(await invoke("restore", { forget: { link: other } }))).toEqual([[], ["forgotten"]]);
    expect(await invoke("restore", {})).toEqual({ dry_run: false, programs: [], links: [] });
    bed.reboot();
    const [program] = bed.inspect((host) => host.store.earlierBoots().programs());
    expect(bed.files.storedBytecode()).toHaveLength(1);
    expect(results(await invoke("restore", { forget: { program: program?.id } }))).toEqual([["forgotten"], []]);
    expect(bed.files.storedBytecode()).toEqual([]);
    const refused = await failureOfAsync(() => invoke("restore", { forget: { program: program?.id } }));
    expect([refused.code, refused.hint]).toEqual(["PROGRAM_NOT_FOUND", "bpfman restore --dry-run lists what waits"]);
  });

  test("goes with its program", async () => {
    const [count] = await load(["tcx:count"]);
    await attach(count, tcx("eth1"));
    bed.reboot();
    bed.network.namespaces.set("", ["lo"]);
    const { programs } = await invoke("restore", {});
    await invoke("program/unload", { programId: programs[0]?.program_id });
    expect(await invoke("restore", {})).toEqual({ dry_run: false, programs: [], links: [] });
    expect(bed.files.storedBytecode()).toEqual([]);
  });

  test("takes those with it that use its maps, until it can", async () => {
    await loadAll();
    const before = await picture();
    bed.reboot();
    bed.kernel.refused.add("count");
    const { programs, links } = await invoke("restore", {});
    expect(programs.filter(({ result }) => result === "waiting").map(({ name, reason }) => [name, reason])).toEqual([
      ["count", expect.stringContaining("count")],
      ["on_openat", expect.any(String)],
      ["count_more", expect.stringContaining("whose maps it uses, is not restored")],
    ]);
    expect(links.filter(({ result }) => result === "waiting").map(({ reason }) => reason)).toEqual(
      expect.arrayContaining([expect.stringMatching(/^program \d+ "count" is not restored$/)]),
    );
    bed.kernel.refused.clear();
    await invoke("restore", {});
    expect((await invoke("link/list", {})).links).toHaveLength(7);
    expect(((await picture()) as { programs: unknown[] }).programs).toHaveLength(
      (before as { programs: unknown[] }).programs.length,
    );
  });
});

describe("a row that cannot be understood", () => {
  test("is named and waits over boots, while the rest comes back; it can be forgotten", async () => {
    const [count, openat] = await load(["tcx:count", "tracepoint:on_openat"]);
    const [filter] = await load(["xdp:filter"]);
    const broken = await attach(filter, xdp("eth1"));
    const whole = await attach(count, tcx("eth0"));
    await attach(openat, { kind: "tracepoint", tracepoint: "sched/sched_switch" });
    bed.reboot();
    change(`UPDATE programs SET globals = '{' WHERE program_id = ${openat};
      UPDATE links SET details = '{' WHERE link_id = ${broken}`);
    const about = ({ programs, links }: Awaited<ReturnType<typeof invoke<"restore">>>) => [
      programs.map(({ name, result, reason }) => [name, result, reason]),
      links.map(({ link_id: id, place, result, reason }) => [id, place, result, reason]),
    ];
    const waits = (what: string) => `its row of the database cannot be understood: column ${what} is not JSON`;
    const expected = (result: string) => [
      [
        ["on_openat", "waiting", waits("globals")],
        ["count", result, null],
        ["filter", result, null],
      ],
      [
        [broken, 'of program "filter"', "waiting", waits("details")],
        [whole, "tcx eth0 ingress", result, null],
      ],
    ];
    expect(about(await invoke("restore", { dryRun: true }))).toEqual(expected("planned"));
    expect(about(await invoke("restore", {}))).toEqual(expected("restored"));
    bed.reboot();
    expect(about(await invoke("restore", {}))).toEqual(expected("restored"));
    expect(results(await invoke("restore", { forget: { link: broken } }))).toEqual([[], ["forgotten"]]);
    expect(results(await invoke("restore", { forget: { program: openat } }))).toEqual([["forgotten"], []]);
    expect(await invoke("restore", {})).toEqual({ dry_run: false, programs: [], links: [] });
  });

  test("takes those with it that use its maps", async () => {
    const [count] = await load(["tcx:count"]);
    await load(["tcx:count_more"], { mapOwnerId: count });
    bed.reboot();
    change(`UPDATE programs SET maps = '7' WHERE program_id = ${count}`);
    expect((await invoke("restore", {})).programs.map(({ name, code }) => [name, code])).toEqual([
      ["count", "DATABASE_UNUSABLE"],
      ["count_more", "MAP_OWNER_NOT_FOUND"],
    ]);
    expect((await invoke("program/list", {})).programs).toEqual([]);
  });
});

test("what waits finds the owner of its maps, also if another program has taken its place since", async () => {
  const [count] = await load(["tcx:count"]);
  await load(["tcx:count_more"], { mapOwnerId: count });
  bed.reboot();
  bed.kernel.refused.add("count_more");
  const [owner] = (await invoke("restore", {})).programs;
  const { replaced } = await invoke("program/replace", {
    programIds: [owner?.program_id as number],
    source: { file: "/x.o" },
  });
  bed.kernel.refused.clear();
  const [more] = (await invoke("restore", {})).programs;
  expect(more).toMatchObject({ name: "count_more", result: "restored" });
  const { record } = await invoke("program/get", { programId: more?.program_id as number });
  expect(record?.handles.map_owner_id).toBe(replaced[0]?.program.record?.program_id as number);
});

test("an old id does not lead to what came from another program that had the same id in an earlier boot", async () => {
  const [was] = await load(["tcx:count"]);
  bed.reboot();
  const [now] = (await invoke("restore", {})).programs.map(({ program_id: id }) => id as number);
  const [other] = await load(["xdp:filter"]);
  change(`INSERT INTO successors SELECT 'a boot', ${now}, boot_id, ${other} FROM programs LIMIT 1`);
  expect((await invoke("program/get", { programId: was })).record?.program_id).toBe(now);
  await invoke("program/unload", { programId: now });
  expect((await failureOfAsync(() => invoke("program/get", { programId: was }))).code).toBe("PROGRAM_NOT_FOUND");
});

test("the saved copy may be damaged where the file itself is still the same, and nothing else is loaded", async () => {
  await load(["tcx:count"]);
  bed.reboot();
  const [digest = ""] = bed.files.storedBytecode();
  const damage = () =>
    void bed.files.bytecode.set(bed.files.bytecodePath(digest), new Uint8Array(serviceObject().length));
  damage();
  bed.files.contents.set("/x.o", compileBpf('SEC("tc") int count(void *ctx) { return 2; }'));
  const { programs } = await invoke("restore", {});
  expect(programs).toMatchObject([
    { result: "waiting", code: "FILE_NOT_FOUND", reason: expect.stringContaining('"/x.o"') },
  ]);
  expect(bed.traces().kernel.programs).toEqual([]);
  bed.files.contents.set("/x.o", serviceObject());
  expect(results(await invoke("restore", {}))).toEqual([["restored"], []]);
  expect(bed.files.storedBytecode()).toEqual([digest]);
  expect(bed.files.bytecode.get(bed.files.bytecodePath(digest))).toEqual(serviceObject());
});

describe("by itself", () => {
  test("only what is to be kept comes back, with those whose maps it uses; the rest when asked for by hand", async () => {
    const [owner] = await load(["tcx:count"]);
    await load(["tcx:count_more"], { mapOwnerId: owner, keep: true });
    await load(["xdp:filter"]);
    bed.reboot();
    expect((await invoke("restore", { kept: true })).programs.map(({ name }) => name)).toEqual(["count", "count_more"]);
    expect((await invoke("restore", { kept: true })).programs).toEqual([]);
    expect((await invoke("restore", {})).programs.map(({ name }) => name)).toEqual(["filter"]);
    const { programs } = await invoke("program/list", {});
    expect(programs.map(({ record }) => [record?.load.program_name, record?.load.keep])).toEqual([
      ["count", false],
      ["count_more", true],
      ["filter", false],
    ]);
  });

  test("everything comes back where the configuration says so", async () => {
    await load(["xdp:filter"]);
    bed.reboot();
    bed.config = { ...bed.config, restore: { enabled: true } };
    expect(results(await invoke("restore", { kept: true }))).toEqual([["restored"], []]);
  });
});

test("only the last boot that had programs comes back, and none of a session", async () => {
  await load(["xdp:filter"]);
  bed.reboot();
  await load(["tcx:count"]);
  await invoke(
    "program/load",
    { source: { file: "/x.o" }, programs: [{ type: "tcx", name: "count_more" }] },
    { owner: "1:1:1" },
  );
  bed.reboot();
  bed.reboot();
  expect((await invoke("restore", { dryRun: true })).programs.map(({ name }) => name)).toEqual(["count"]);
  bed.write((host) => host.store.earlierBoots().dropOutdated());
  expect((await invoke("restore", {})).programs.map(({ name }) => name)).toEqual(["count"]);
  expect(await invoke("restore", {})).toEqual({ dry_run: false, programs: [], links: [] });
  const session = { owner: "1:1:1" };
  expect((await failureOfAsync(() => invoke("restore", {}, session))).code).toBe("INVALID_REQUEST");
});

test("killed at each step, the next restore goes on, in this boot or the next, and nothing is lost or twice", async () => {
  for (let at = 1; ; at++) {
    const made = makeTestBed();
    made.kernel.ext = true;
    made.files.contents.set("/x.o", serviceObject());
    made.network.namespaces.set(NS, ["lo", "veth0"]);
    bed.close();
    [bed, invoke] = [made, createInvoke(made.runtime)];
    await loadAll();
    const [before, places] = [await picture(), await where()];
    bed.reboot();
    bed.faults.reset();
    bed.faults.dieAt = at;
    await invoke("restore", {}).catch(() => {});
    const reached = bed.faults.calls.length >= at;
    bed.faults.reset();
    if (at % 2 === 0) rebootAndBegin();
    else bed.kernel.sweep();
    const { programs, links } = await invoke("restore", {});
    expect([at, ...results({ programs, links }).flat()].filter((result) => result !== "restored")).toEqual([at]);
    // Those that came back before the second reboot are loaded last.
    const seen = at % 2 === 0 ? { links: await where() } : { picture: await picture() };
    expect({ at, ...seen }).toEqual({ at, ...(at % 2 === 0 ? { links: places } : { picture: before }) });
    if (!reached) break;
    // Each step is the same for each program and link: those of the first few, then some.
    if (at > 12) at += 16;
  }
});

test("of a replacement that a reboot ends, at any step, the links come back", async () => {
  for (let at = 1; ; at++) {
    const made = makeTestBed();
    made.files.contents.set("/x.o", serviceObject());
    bed.close();
    [bed, invoke] = [made, createInvoke(made.runtime)];
    const programIds = await load(["tcx:count", "tracepoint:on_openat", "xdp:filter"]);
    const [count, openat, filter] = programIds;
    await attach(count, tcx("eth0"));
    await attach(openat, { kind: "tracepoint", tracepoint: "sched/sched_switch" });
    await attach(filter, xdp("eth1"));
    const places = await where();
    bed.faults.reset();
    bed.faults.dieAt = at;
    await invoke("program/replace", { programIds, source: { file: "/x.o" } }).catch(() => {});
    const reached = bed.faults.calls.length >= at;
    bed.faults.reset();
    rebootAndBegin();
    await invoke("restore", {});
    expect({ at, places: await where() }).toEqual({ at, places });
    expect((await invoke("program/list", {})).programs).toHaveLength(3);
    if (!reached) break;
    at += 2;
  }
});

test("a program that replaces a function comes back after the one that it changes, and names that by its new id", async () => {
  const source = `SEC("xdp") int whole(void *ctx) { return 2; }
    SEC("freplace/decide") int part(void *ctx) { return 1; }`;
  bed.files.contents.set("/x.o", compileBpf(source));
  const [whole] = await load(["xdp:whole"]);
  const programs = [{ type: "freplace", name: "part", attachFunction: `${whole}/decide` }];
  const answer = await invoke("program/load", { source: { file: "/x.o" }, programs, keep: true });
  await attach(answer.programs[0]?.record?.program_id, { kind: "freplace" });
  bed.reboot();
  bed.kernel.refused.add("whole");
  expect((await invoke("restore", { kept: true })).programs).toMatchObject([
    { name: "whole", result: "waiting" },
    { name: "part", result: "waiting", code: "PROGRAM_NOT_FOUND" },
  ]);
  bed.kernel.refused.clear();
  const restored = await invoke("restore", { kept: true });
  expect(results(restored)).toEqual([["restored", "restored"], ["restored"]]);
  const [first] = restored.programs;
  const { links } = await invoke("link/list", {});
  expect(links[0]?.details).toMatchObject({ target_program_id: first?.program_id, fn_name: "decide" });
});

const KINDS = `
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 4); __type(key, __u32); __type(value, __u64); } seen SEC(".maps");
static __attribute__((always_inline)) int touch(void) { __u32 key = 0; return bpf_map_lookup_elem(&seen, &key) == 0; }
SEC("tc") int on_tc(void *ctx) { return 0; }
SEC("tcx/egress") int on_tcx(void *ctx) { return 0; }
SEC("xdp") int on_xdp(void *ctx) { return 2; }
SEC("tracepoint") int on_tracepoint(void *ctx) { return 0; }
SEC("raw_tp") int on_raw_tp(void *ctx) { return 0; }
SEC("kprobe") int on_kprobe(void *ctx) { return 0; }
SEC("kretprobe") int on_kretprobe(void *ctx) { return 0; }
SEC("fentry/do_unlinkat") int on_fentry(void *ctx) { return 0; }
SEC("perf_event") int on_perf_event(void *ctx) { return 0; }
SEC("iter/bpf_map_elem") int on_iter(void *ctx) { return touch(); }
SEC("cgroup/connect4") int on_cgroup(void *ctx) { return 1; }
SEC("cgroup/skb") int on_skb(void *ctx) { return 1; }
SEC("sk_lookup") int on_sk_lookup(void *ctx) { return 1; }
SEC("netfilter") int on_netfilter(void *ctx) { return 1; }
`;

test.each([
  ["on_tc", { kind: "tc", iface: "eth0", priority: 7, direction: "egress", netns: null, proceedOn: ["ok", "pipe"] }],
  ["on_tcx", { kind: "tcx", iface: "veth0", priority: 7, direction: "egress", netns: NS }],
  ["on_xdp", { kind: "xdp", iface: "eth0", priority: 7, netns: null, proceedOn: ["drop", "pass"], xdpMode: "skb" }],
  ["on_tracepoint", { kind: "tracepoint", tracepoint: "sched/sched_switch" }],
  ["on_raw_tp", { kind: "raw_tp", tracepoint: "sched_switch" }],
  ["on_kprobe", { kind: "kprobe", fnName: "do_unlinkat", offset: 4 }],
  ["on_kretprobe", { kind: "kprobe", fnName: "do_unlinkat" }],
  ["on_fentry", { kind: "fentry" }],
  ["on_perf_event", { kind: "perf_event", event: "cpu-clock", cpu: 0, frequency: 99 }],
  ["on_iter", { kind: "iter", map: "seen" }],
  ["on_cgroup", { kind: "cgroup", cgroup: "/sys/fs/cgroup/system.slice", priority: 7 }],
  ["on_skb", { kind: "cgroup", cgroup: "/sys/fs/cgroup", direction: "egress" }],
  ["on_sk_lookup", { kind: "sk_lookup", netns: NS }],
  ["on_netfilter", { kind: "netfilter", protocol: "ipv4", hook: "input", priority: -7, defrag: true, netns: NS }],
] as const)("%s: the target is found again from the link", async (name, target) => {
  bed.files.contents.set("/x.o", compileBpf(KINDS));
  const { programs } = await invoke("program/load", { source: { file: "/x.o" }, programs: [{ type: null, name }] });
  await attach(programs[0]?.record?.program_id, target);
  const details = bed.inspect((host) => host.store.links()[0]?.details);
  if (details === undefined) throw new Error("no link");
  const around = { mapName: () => "seen", xdpMode: "skb" } as const;
  expect(targetOf(details, around)).toEqual(parse(attachTarget(), target));
});
