/** New programs in the place of those that run: what stays, what is refused, and each step failed or killed in turn. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { Host } from "../../../src/platform/host.ts";
import type { ErrorCode } from "../../../src/errors/codes.ts";
import { BpfmanError } from "../../../src/errors/error.ts";
import { createInvoke, type Invoke } from "../../../src/service/invoke.ts";
import { makeTestBed, type TestBed } from "../../fakes/fake-host.ts";
import { expectNoWorries } from "../../expect/no-worries.ts";
import { compileBpf } from "../../objects/compile.ts";

const MAPS = `struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 4); __type(key, __u32); __type(value, VALUE); }
  counters SEC(".maps");
static __attribute__((always_inline)) int touch(void) { __u32 key = 0; return bpf_map_lookup_elem(&counters, &key) != 0; }`;
const PROGRAMS = `const volatile __u32 LIMIT = 5;
SEC("tc") int count(void *ctx) { return touch() + LIMIT; }
SEC("tc") int t_a(void *ctx) { return 0; }
SEC("xdp") int x_a(void *ctx) { return touch(); }
SEC("xdp") int x_b(void *ctx) { return touch(); }
SEC("xdp") int x_c(void *ctx) { return 2; }
SEC("tracepoint/syscalls/sys_enter_openat") int on_openat(void *ctx) { return touch(); }
SEC("cgroup/connect4") int on_connect(void *ctx) { return touch(); }
SEC("netfilter") int filter(void *ctx) { return 1; }`;
const OLD = compileBpf(MAPS.replace("VALUE", "__u64") + PROGRAMS);
const OTHER_SHAPE = compileBpf(`struct two { __u64 a; __u64 b; };\n${MAPS.replace("VALUE", "struct two")}${PROGRAMS}`);
const WIDER = compileBpf(MAPS.replace("VALUE", "__u64") + PROGRAMS.replace("__u32 LIMIT", "__u64 LIMIT"));
const TWO_MAPS = compileBpf(`${MAPS.replace("VALUE", "__u64")}
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 4); __type(key, __u32); __type(value, __u64); } more SEC(".maps");
SEC("tc") int count(void *ctx) { __u32 key = 0; return bpf_map_lookup_elem(&more, &key) ? touch() : 0; }`);

let bed: TestBed;
let invoke: Invoke;

function makeBed(ext: boolean): void {
  bed?.close();
  bed = makeTestBed();
  bed.kernel.ext = ext;
  const files = { "/old.o": OLD, "/new.o": OLD, "/other.o": OTHER_SHAPE, "/wider.o": WIDER, "/two.o": TWO_MAPS };
  for (const [path, bytes] of Object.entries(files)) bed.files.contents.set(path, bytes);
  invoke = createInvoke(bed.runtime);
}
beforeEach(() => makeBed(false));
afterEach(() => bed.close());

async function load(names: readonly string[], more: object = {}): Promise<number[]> {
  const { programs } = await invoke("program/load", {
    ...{ source: { file: "/old.o" }, programs: names.map((name) => ({ name })) },
    ...more,
  });
  return programs.map(({ record }) => record?.program_id as number);
}
const attach = async (programId: number, target: object, more: object = {}): Promise<number> =>
  (await invoke("link/attach", { programId, attach: target as never, ...more })).record.id;
const replace = (programIds: number[], file = "/new.o", more: object = {}) =>
  invoke("program/replace", { programIds, source: { file }, ...more });
const TCX = { kind: "tcx", iface: "eth0", direction: "ingress", priority: 7 };
const XDP = { kind: "xdp", iface: "eth0", priority: 50 };
const OPENAT = { kind: "tracepoint", tracepoint: "sched/sched_switch" };
const CGROUP = { kind: "cgroup", cgroup: "/sys/fs/cgroup/system.slice" };

async function expectCode(work: Promise<unknown>, code: ErrorCode): Promise<BpfmanError> {
  const found = await work.then(
    () => null,
    (cause: unknown) => cause,
  );
  expect(found).toBeInstanceOf(BpfmanError);
  expect((found as BpfmanError).code).toBe(code);
  return found as BpfmanError;
}

test("links keep their ids, metadata and times; the program's labels, globals and maps stay", async () => {
  const metadata = { team: "net" };
  const [count, other] = (await load(["count", "on_openat"], {
    globals: { LIMIT: 9 },
    application: "app",
    metadata,
    programs: [{ type: "tcx", name: "count" }, { name: "on_openat" }],
  })) as [number, number];
  const link = await attach(count, TCX, { metadata: { a: "b" } });
  const before = await invoke("link/get", { linkId: link });
  const [old] = (await invoke("program/get", { programId: count })).status.maps;
  const { replaced } = await replace([count]);
  const id = replaced[0]?.program.record?.program_id as number;
  expect(replaced).toMatchObject([
    { old_program_id: count, swapped_links: [link], overlapped_links: [], kept_maps: ["counters"], new_maps: [] },
  ]);
  const after = await invoke("link/get", { linkId: link });
  expect(after.record).toEqual({ ...before.record, program_id: id });
  expect(after.status.kernel?.program_id).toBe(id);
  const { record, status } = await invoke("program/get", { programId: id });
  expect(record).toMatchObject({
    meta: { metadata: { ...metadata, bpfman_application: "app" } },
    load: { global_data: { LIMIT: "CQAAAA==" }, source_path: "/new.o", map_owner_id: null },
    // Others share the maps of the new program now.
    handles: { map_owner_id: null, map_pin_path: `/fake/fs/maps/${count}` },
  });
  expect(status.maps).toContainEqual(old as never);
  expect(status.map_used_by).toEqual([other, id]);
  expect((await invoke("program/get", { programId: other })).record?.handles.map_owner_id).toBe(id);
  expect(await load(["x_a"], { mapOwnerId: id })).toHaveLength(1);
  bed.inspect(({ store }) => expect(store.brief().every(({ owner }) => owner === null)).toBe(true));
});

test("the old id leads to the new program, also after several replacements; nothing else takes it", async () => {
  const [first] = (await load(["x_a"])) as [number];
  await replace([first]);
  const [second] = await bed.inspect(({ store }) => store.programs().map(({ id }) => id as number));
  const { replaced } = await replace([second as number]);
  const last = replaced[0]?.program.record?.program_id as number;
  for (const id of [first, second as number]) {
    const { record, status } = await invoke("program/get", { programId: id });
    expect([record?.program_id, status.replaces]).toEqual([last, id]);
    const error = await expectCode(invoke("program/unload", { programId: id }), "PROGRAM_NOT_FOUND");
    expect([error.message, error.details]).toEqual([
      `program ${id} was replaced by program ${last}`,
      { program_id: id, successor_id: last },
    ]);
  }
  await invoke("program/unload", { programId: last });
  await expectCode(invoke("program/get", { programId: first }), "PROGRAM_NOT_FOUND");
  expect(bed.traces()).toMatchObject({ kernel: { pins: [], programs: [] }, directories: [], bytecode: [] });
});

test("a program of another type, or a link whose interface has gone, is refused with what to do", async () => {
  const [count] = (await load(["count"])) as [number];
  bed.files.contents.set("/xdp.o", compileBpf('SEC("xdp") int count(void *ctx) { return 2; }'));
  const mismatch = await expectCode(replace([count], "/xdp.o"), "PROGRAM_TYPE_MISMATCH");
  expect(mismatch.hint).toContain(`program ${count} is a TC program, and only one of that type can take its place`);
  await attach(count, { ...TCX, kind: "tc" });
  bed.network.namespaces.set("", ["lo"]);
  const before = bed.traces();
  const gone = await expectCode(replace([count]), "STATE_CONFLICT");
  expect([gone.message, gone.hint]).toEqual([
    `replace program ${count}: link 1, tc eth0 ingress, is no longer attached there`,
    "take it off first: bpfman detach 1",
  ]);
  expect(bed.traces()).toEqual(before);
  await invoke("link/detach", { linkId: 1 });
  expect((await replace([count])).replaced).toHaveLength(1);
});

test("a map that the new object has besides is made, and one that it lacks goes", async () => {
  const programs = [{ type: "tcx", name: "count" }];
  const [count] = (await load(["count"], { programs, globals: { LIMIT: 9 } })) as [number];
  const two = await replace([count], "/two.o");
  expect(two.replaced).toMatchObject([{ kept_maps: ["counters"], new_maps: ["more"] }]);
  expect(bed.logged).toContain(
    `warn global variable "LIMIT", which was set for program ${count}, is not in the new object`,
  );
});

test("a map of another shape is refused, unless new ones are asked for; those who share it keep the old one", async () => {
  const [count, other] = (await load(["x_a", "x_b"])) as [number, number];
  const before = bed.traces();
  const error = await expectCode(replace([count], "/other.o"), "MAP_MISMATCH");
  expect(error.message).toContain('map "counters" cannot be shared with program');
  expect(error.message).toContain("value_size is 16 in the object and 8 in the kernel");
  expect(error.hint).toContain('"--maps new"');
  const larger = compileBpf(MAPS.replace("VALUE", "__u64").replace("max_entries, 4", "max_entries, 8") + PROGRAMS);
  bed.files.contents.set("/larger.o", larger);
  expect((await expectCode(replace([count], "/larger.o"), "MAP_MISMATCH")).hint).toStartWith(
    "accept its size with --map-entries counters=4; to start",
  );
  expect(bed.traces()).toEqual(before);
  const { replaced } = await replace([count], "/other.o", { maps: "new" });
  expect(replaced).toMatchObject([{ kept_maps: [], new_maps: ["counters"] }]);
  const maps = (id: number) =>
    bed.inspect(({ store }) =>
      store
        .programs()
        .find((each) => each.id === id)
        ?.maps.map((map) => map.id),
    );
  expect(maps(other)).not.toEqual(maps(replaced[0]?.program.record?.program_id as number));
  expect(bed.traces().kernel.pins).toContain(`/fake/fs/maps/${count}/counters`);
});

test("what cannot be is refused before anything is done", async () => {
  const [count] = (await load(["x_a"], { globals: { LIMIT: 9 } })) as [number];
  const [netfilter] = (await load(["filter"])) as [number];
  await attach(netfilter, { kind: "netfilter", protocol: "ipv4", hook: "input", priority: 1 });
  bed.faults.reset();
  expect((await expectCode(replace([netfilter]), "NOT_SUPPORTED")).hint).toContain('"bpfman detach 1"');
  expect((await expectCode(replace([count], "/wider.o"), "INVALID_GLOBAL")).message).toContain(
    `"LIMIT" was set to 4 bytes for program ${count}, and has 8 in the new object`,
  );
  await expectCode(replace([count, 4711]), "PROGRAM_NOT_FOUND");
  await expectCode(replace([count], "/nowhere.o"), "FILE_NOT_FOUND");
  await expectCode(replace([]), "INVALID_REQUEST");
  bed.files.contents.set("/two.o", TWO_MAPS);
  await expectCode(replace([count], "/two.o"), "FUNCTION_NOT_FOUND");
  expect(bed.faults.calls).toEqual([]);
});

interface Case {
  readonly ext: boolean;
  /** Returns the programs to be replaced. */
  prepare(): Promise<number[]>;
}

const CASES: Readonly<Record<string, Case>> = {
  "one by one": {
    ext: false,
    async prepare() {
      const ids = await load(["count", "on_openat", "on_connect"], {
        programs: [{ type: "tcx", name: "count" }, { name: "on_openat" }, { name: "on_connect" }],
      });
      for (const [index, target] of [TCX, OPENAT, CGROUP].entries()) await attach(ids[index] as number, target);
      return ids;
    },
  },
  "alone on their hooks": {
    ext: false,
    async prepare() {
      const [xdp] = (await load(["x_a"])) as [number];
      const [tc] = (await load(["t_a"], { programs: [{ type: "tc", name: "t_a" }] })) as [number];
      await attach(xdp, XDP);
      await attach(tc, { kind: "tc", iface: "eth0", direction: "ingress", priority: 5 });
      return [xdp, tc];
    },
  },
  "two of three in a chain": {
    ext: true,
    async prepare() {
      const ids = await load(["x_a", "x_b", "x_c"]);
      for (const id of ids) await attach(id, XDP);
      return ids.slice(0, 2);
    },
  },
};

/** What runs under each link: by the row, and by the kernel; for chains by the hook. */
function running(host: Host): { readonly rows: number[]; readonly kernel: number[] } {
  const links = host.store.links();
  const single = links.filter(({ details }) => details.kind !== "xdp" && details.kind !== "tc");
  const chained = links.filter((link) => !single.includes(link));
  const byPlace = chained.toSorted((a, b) => a.details.kind.localeCompare(b.details.kind) || at(a) - at(b));
  const hook = { netns: null, ifindex: 2 };
  return {
    rows: [...single, ...byPlace].map(({ programId }) => programId),
    kernel: [
      ...single.map(({ kernelLinkId }) => (kernelLinkId && host.kernel.link(kernelLinkId)?.programId) || 0),
      ...(chained.some(({ details }) => details.kind === "tc")
        ? bed.kernel.chainOn({ ...hook, direction: "ingress" } as never)
        : []),
      ...(chained.some(({ details }) => details.kind === "xdp") ? bed.kernel.chainOn(hook) : []),
    ],
  };
}
const at = ({ details }: { readonly details: object }): number => (details as { readonly position: number }).position;

/** All old or all new, in the kernel as in the rows, and no trace of the other. Returns whether it is the new ones. */
function expectWhole(olds: readonly number[]): boolean {
  return bed.inspect((host) => {
    const { store } = host;
    expect([store.unsettledPrograms(), store.unsettledLinks()]).toEqual([[], []]);
    expect(store.brief().filter(({ owner }) => owner !== null)).toEqual([]);
    expect(store.recordedPins(`${host.pins.paths.root}/links`)).toEqual([]);
    const { rows, kernel } = running(host);
    expect(kernel).toEqual(rows);
    const left = store.programs().filter(({ id }) => olds.includes(id)).length;
    expect([0, olds.length]).toContain(left);
    const isNew = left === 0;
    expect(rows.some((id) => olds.includes(id))).toBe(!isNew);
    for (const id of olds) expect(store.successor(id as never) !== null).toBe(isNew);
    const { kernel: traces, bytecode } = bed.traces();
    expect(new Set(bytecode)).toEqual(new Set(store.programs().map(({ bytecodeDigest }) => bytecodeDigest ?? "")));
    const pins = new Set(traces.pins);
    for (const { pinPath, maps } of store.programs()) {
      expect([pinPath, ...maps.flatMap((map) => map.pinPath ?? [])].filter((path) => !pins.has(path))).toEqual([]);
    }
    expect(traces.pins.filter((path) => /\/(prog_\d+|links\/)/.test(path))).toEqual(
      [...store.programs(), ...store.links()]
        .map(({ pinPath }) => pinPath)
        .filter((path) => /\/(prog_\d+|links\/)/.test(path))
        .sort(),
    );
    return isNew;
  });
}

const nextCommand = () => invoke("link/detach", { linkId: 4711, ignoreMissing: true });

describe.each(Object.entries(CASES))("%s", (_, { ext, prepare }) => {
  test("each step failed in turn is undone at once", async () => {
    for (let step = 1; ; step++) {
      makeBed(ext);
      const olds = await prepare();
      const before = bed.inspect(running);
      bed.faults.reset();
      bed.faults.failAt = step;
      const failed = await replace(olds).then(
        () => false,
        () => true,
      );
      const isOver = bed.faults.calls.length < step;
      bed.faults.reset();
      if (failed) expect([expectWhole(olds), bed.inspect(running).rows]).toEqual([false, before.rows]);
      await nextCommand();
      expect(expectWhole(olds)).toBe(!failed);
      if (!isOver) continue;
      expect(step).toBeGreaterThan(20);
      break;
    }
  });

  test("killed at each step, the next command finds its way to the old ones or the new ones", async () => {
    const ends = new Set<boolean>();
    for (let step = 1; ; step++) {
      makeBed(ext);
      const olds = await prepare();
      const count = bed.inspect(running).kernel.length;
      bed.faults.reset();
      bed.faults.dieAt = step;
      await replace(olds).catch(() => {});
      const isOver = bed.faults.calls.length < step;
      bed.faults.reset();
      bed.kernel.closeAll();
      // Whoever runs, somebody does.
      expect(bed.inspect(running).kernel.filter((id) => id === 0)).toEqual([]);
      await expectNoWorries(bed.logged, invoke, step);
      await nextCommand();
      ends.add(expectWhole(olds));
      expect(bed.inspect(running).kernel).toHaveLength(count);
      if (isOver) break;
    }
    expect(ends).toEqual(new Set([false, true]));
  });
});
