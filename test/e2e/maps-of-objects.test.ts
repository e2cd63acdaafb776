/** Which maps a load makes, takes over, pins or refuses, seen by bpftool. */
import { describe, expect, test } from "bun:test";
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { compileBpf } from "../objects/compile.ts";
import { executable } from "../labs/executable.ts";
import { bpftool, inKernel, sh } from "../labs/kernel-lab.ts";

const bpfman = executable();

function object(source: string, name = "object.o"): string {
  writeFileSync(bpfman.path(name), compileBpf(source));
  return bpfman.path(name);
}

const fs = (path: string) => `${bpfman.runtimeDir}/fs/${path}`;
const pinned = (path: string) => bpftool("map", "show", "pinned", path);
const idOf = (program: { readonly record: { readonly program_id: number } | null } | undefined): number =>
  program?.record?.program_id ?? 0;
const load = (path: string, ...words: string[]) => ["load", "file", "--path", path, ...words];

interface Definition {
  readonly type?: string;
  readonly entries?: number | string;
  readonly flags?: string;
  readonly key?: string;
  readonly value?: string;
  readonly extra?: string;
}

/** A program that uses one map, `conns`. */
function using({ type = "HASH", entries, flags, key = "__u32", value = "__u64", extra = "" }: Definition): string {
  return `struct {
      __uint(type, BPF_MAP_TYPE_${type}); __type(key, ${key}); __type(value, ${value}); ${extra}
      ${entries === undefined ? "" : `__uint(max_entries, ${entries});`} ${flags === undefined ? "" : `__uint(map_flags, ${flags});`}
    } conns SEC(".maps");
    SEC("tc") int use(struct __sk_buff *skb) { ${key} k = 0; ${value} v = 0; return bpf_map_update_elem(&conns, &k, &v, 0); }`;
}
const BY_NAME = "__uint(pinning, LIBBPF_PIN_BY_NAME);";

describe("a map to be shared that has another shape", () => {
  const OTHERS: readonly (readonly [string, Definition, string])[] = [
    ["max_entries", { entries: 4096 }, "max_entries is 4096 in the object and 10 in the kernel"],
    ["map_flags", { entries: 10, flags: "BPF_F_NO_PREALLOC" }, "map_flags is 0x1 in the object and 0x0 in the kernel"],
    ["key_size", { entries: 10, key: "__u16" }, "key_size is 2 in the object and 4 in the kernel"],
    ["value_size", { entries: 10, value: "__u32" }, "value_size is 4 in the object and 8 in the kernel"],
    ["type", { entries: 10, type: "LRU_HASH" }, "type is lruhash in the object and hash in the kernel"],
  ];

  test.each(OTHERS)("%s: pinned by name, of an owner, and named", async (field, other, said) => {
    const first = object(using({ entries: 10, extra: BY_NAME }));
    const owner = idOf((await bpfman.load(first, "--programs", "tcx:use"))[0]);
    const path = fs("shared/conns");
    const map = pinned(path).id;
    const expected = { map: "conns", map_id: map, pin: path, differences: [expect.objectContaining({ field })] };
    const refused = async (sharing: string, ...words: string[]) => {
      const failure = await bpfman.refused(5, "MAP_MISMATCH", ...words, "--programs", "tcx:use");
      expect(failure.message).toBe(`map "conns" cannot be shared with ${sharing}: ${said}`);
      // What to do instead is what can be done: a map that others pinned is not ours to remove.
      const isNamed = words.includes("--map");
      expect(failure.hint?.endsWith(", or leave out --map conns")).toBe(isNamed);
      expect(failure.hint?.endsWith(`, or remove ${path} if nothing uses it any more`)).toBe(words.length === 4);
      return failure.details;
    };
    const byName = object(using({ ...other, extra: BY_NAME }), "by_name.o");
    expect(await refused(`"${path}"`, ...load(byName))).toEqual(expected);
    const plain = object(using(other), "plain.o");
    expect(await refused(`program ${owner} ("${path}")`, ...load(plain, "--map-owner-id", String(owner)))).toEqual(
      expected,
    );
    expect(await refused(`"${path}"`, ...load(plain, "--map", `conns=${path}`))).toEqual(expected);
    expect(await refused(`map ${map}`, ...load(plain, "--map", `conns=${map}`))).toEqual({ ...expected, pin: null });
  });

  test("the hint for another size is to take it as it is, and that works", async () => {
    await bpfman.load(object(using({ entries: 10, extra: BY_NAME })), "--programs", "tcx:use");
    const larger = object(using({ entries: 4096, extra: BY_NAME }));
    const failure = await bpfman.refused(5, "MAP_MISMATCH", ...load(larger), "--programs", "tcx:use");
    expect(failure.hint).toStartWith("accept its size with --map-entries conns=10");
    await bpfman.load(larger, "--programs", "tcx:use", "--map-entries", "conns=10");
  });

  const flow = (members: string) => `struct flow { ${members} };
    struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, struct flow); ${BY_NAME} } flows SEC(".maps");
    SEC("tc") int use(struct __sk_buff *skb) { __u32 k = 0; return bpf_map_lookup_elem(&flows, &k) != 0; }`;

  test("values that lie otherwise in the same number of bytes", async () => {
    await bpfman.load(object(flow("__u64 bytes; __u32 packets; __u8 address[4];")), "--programs", "tcx:use");
    const other = object(flow("__u32 packets; __u32 errors; __u64 bytes;"), "other.o");
    const { message, details } = await bpfman.refused(5, "MAP_MISMATCH", ...load(other), "--programs", "tcx:use");
    expect(message).toContain("value is number4 at byte 0 in the object and number8 at byte 0 in the kernel");
    expect(details.differences).toEqual([{ field: "value", object: "number4 at byte 0", kernel: "number8 at byte 0" }]);
    // Other names, signs and structs inside are no difference.
    const same = flow("long total; struct { int count; } inside; union { char text[4]; __u32 number; } of;");
    await bpfman.load(object(same, "same.o"), "--programs", "tcx:use");
  });

  test("maps in maps", async () => {
    const outer = (inner: string) => `
      struct inner { __uint(type, BPF_MAP_TYPE_HASH); __type(key, __u32); ${inner} } slot SEC(".maps");
      struct { __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS); __uint(max_entries, 4); __type(key, __u32); ${BY_NAME} __array(values, struct inner); } outer SEC(".maps") = { .values = { [2] = &slot } };
      SEC("tc") int use(struct __sk_buff *skb) { __u32 k = 0; return bpf_map_lookup_elem(&outer, &k) != 0; }`;
    await bpfman.load(object(outer("__type(value, __u64); __uint(max_entries, 9);")), "--programs", "tcx:use");
    const other = object(outer("__type(value, __u32); __uint(max_entries, 9);"), "other.o");
    const { message } = await bpfman.refused(5, "MAP_MISMATCH", ...load(other), "--programs", "tcx:use");
    expect(message).toContain("values.value_size is 4 in the object and 8 in the kernel");
    await bpfman.load(object(outer("__type(value, __u64); __uint(max_entries, 5);")), "--programs", "tcx:use");
  });

  // What libbpf or the kernel change of a definition is no difference.
  const ROUNDED: readonly (readonly [string, string])[] = [
    ["ring buffer", `__uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 5000);`],
    ["perf event array", `__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY); __uint(key_size, 4); __uint(value_size, 4);`],
    [
      "an LRU list for each processor",
      `__uint(type, BPF_MAP_TYPE_LRU_HASH); __uint(max_entries, 1001); __uint(map_flags, BPF_F_NO_COMMON_LRU); __type(key, __u32); __type(value, __u32);`,
    ],
    [
      "devices",
      `__uint(type, BPF_MAP_TYPE_DEVMAP); __uint(max_entries, 4); __uint(key_size, 4); __uint(value_size, 4);`,
    ],
    [
      "read only to user space",
      `__uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 4); __uint(map_flags, BPF_F_RDONLY_PROG); __type(key, __u32); __type(value, __u32);`,
    ],
  ];
  test.each(ROUNDED)("but not where libbpf or the kernel round: %s", async (_, definition) => {
    const path = object(`struct { ${definition} ${BY_NAME} } shared SEC(".maps");
      SEC("tc") int use(struct __sk_buff *skb) { return 0; }`);
    const [first] = await bpfman.load(path, "--programs", "tcx:use");
    const { id } = pinned(fs("shared/shared"));
    await bpfman.load(path, "--programs", "tcx:use");
    expect(pinned(fs("shared/shared")).id).toBe(id);
    await bpfman.ok("unload", String(idOf(first)));
    expect(pinned(fs("shared/shared")).id).toBe(id);
  });
});

describe("maps that no chosen program uses", () => {
  const SOURCE = `
    struct { __uint(type, 250); __type(key, __u32); __type(value, __u64); __uint(max_entries, 1); } unheard SEC(".maps");
    struct { __uint(type, BPF_MAP_TYPE_HASH); __type(key, __u32); __type(value, __u64); } unsized SEC(".maps");
    struct { __uint(type, BPF_MAP_TYPE_ARRAY); __type(key, __u32); __type(value, __u64); __uint(max_entries, 1); } plain SEC(".maps");
    struct { __uint(type, BPF_MAP_TYPE_ARRAY); __type(key, __u32); __type(value, __u64); __uint(max_entries, 1); } below SEC(".maps");
    int other(struct __sk_buff *skb);
    struct { __uint(type, BPF_MAP_TYPE_PROG_ARRAY); __uint(max_entries, 1); __uint(key_size, 4); __array(values, int(void *)); } jumps SEC(".maps") = { .values = { (void *)&other } };
    static __attribute__((noinline)) __u64 deepest(void) { __u32 k = 0; __u64 *v = bpf_map_lookup_elem(&below, &k); return v ? *v : 3; }
    __attribute__((noinline)) int deeper(struct __sk_buff *skb) { return deepest() + skb->len; }
    SEC("tc") int mine(struct __sk_buff *skb) { __u32 k = 0; __u64 *v = bpf_map_lookup_elem(&plain, &k); if (v) *v += 1; return deeper(skb); }
    SEC("tc") int other(struct __sk_buff *skb) { __u32 k = 0; bpf_tail_call(skb, &jumps, 0); bpf_map_lookup_elem(&unsized, &k); return bpf_map_lookup_elem(&unheard, &k) ? 1 : 2; }`;

  test("are not made, whatever the kernel would say to them", async () => {
    const [program] = await bpfman.load(object(SOURCE), "--programs", "tcx:mine");
    expect(readdirSync(fs(`maps/${idOf(program)}`)).sort()).toEqual(["below", "plain"]);
    expect(program?.status.kernel?.map_ids).toHaveLength(2);
  });

  test("but the others are: the reason is the kernel's, or that the size is missing", async () => {
    const words = [...load(object(SOURCE)), "--programs", "tcx:other"];
    await bpfman.refused(1, "MAP_SIZE_MISSING", ...words);
    const { message } = await bpfman.refused(1, "LOAD_FAILED", ...words, "--map-entries", "unsized=4");
    expect(message).toContain("unheard");
    await bpfman.expectNothingLeft();
  });
});

describe("maps pinned by name", () => {
  const SOURCE = `
    struct { __uint(type, BPF_MAP_TYPE_ARRAY); __type(key, __u32); __type(value, __u64); __uint(max_entries, 1); ${BY_NAME} } totals SEC(".maps");
    struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); ${BY_NAME} } events SEC(".maps");
    struct inner { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u64); } slot SEC(".maps");
    struct shared_inner { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u64); ${BY_NAME} } named_slot SEC(".maps");
    struct { __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS); __uint(max_entries, 2); __type(key, __u32); __array(values, struct inner); } outer SEC(".maps") = { .values = { &slot, (void *)&named_slot } };
    int first(struct __sk_buff *skb);
    int second(struct __sk_buff *skb);
    struct { __uint(type, BPF_MAP_TYPE_PROG_ARRAY); __uint(max_entries, 2); __uint(key_size, 4); ${BY_NAME} __array(values, int(void *)); } jumps SEC(".maps") = { .values = { (void *)&first, (void *)&second } };
    SEC("tc") int first(struct __sk_buff *skb) { __u32 k = 0; bpf_map_lookup_elem(&totals, &k); void *in = bpf_map_lookup_elem(&outer, &k); return in ? bpf_map_lookup_elem(in, &k) != 0 : 9; }
    SEC("tc") int second(struct __sk_buff *skb) { __u32 x = 1; bpf_ringbuf_output(&events, &x, 4, 0); bpf_tail_call(skb, &jumps, 0); return 0; }`;

  test("are made and pinned whichever programs are chosen, and so is what maps hold", async () => {
    const path = object(SOURCE);
    const [program] = await bpfman.load(path, "--programs", "tcx:first");
    const id = idOf(program);
    const shared = ["events", "jumps", "named_slot", "totals"];
    expect(readdirSync(fs("shared")).sort()).toEqual(shared);
    expect(readdirSync(fs(`maps/${id}`)).sort()).toEqual(["outer", "slot"]);
    const events = pinned(fs("shared/events"));
    expect(events).toMatchObject({ type: "ringbuf", name: "events" });
    // The kernel lists what the program itself uses.
    expect(program?.status.kernel?.map_ids).not.toContain(events.id);

    // The next load takes them over, and they go with the last program.
    const next = await bpfman.load(path, "--programs", "tcx:second", "tcx:first");
    expect(pinned(fs("shared/events")).id).toBe(events.id);
    await bpfman.ok("unload", String(id));
    expect(readdirSync(fs("shared")).sort()).toEqual(shared);
    expect(existsSync(fs(`maps/${id}`))).toBe(false);
    await bpfman.ok("unload", ...next.map((each) => String(idOf(each))));
    expect(readdirSync(fs("shared"))).toEqual([]);
  });
});

describe("maps whose size the object leaves open", () => {
  test("the error names the map, and the size can be given", async () => {
    const path = object(using({}));
    const failure = await bpfman.refused(1, "MAP_SIZE_MISSING", ...load(path), "--programs", "tcx:use");
    expect(failure.message).toBe('map "conns" has no max_entries: its own loader sets its size');
    expect(failure.hint).toContain("--map-entries conns=65536");
    const sizes = async (...words: string[]) => {
      const { programs } = await bpfman.json<{ programs: { record: { program_id: number } }[] }>(...words);
      return pinned(fs(`maps/${programs[0]?.record.program_id}/conns`)).max_entries;
    };
    expect(await sizes(...load(path), "--programs", "tcx:use", "--map-entries", "conns=777")).toBe(777);
    const noun = ["program", "load", "file", path, "--programs", "tcx:use"];
    expect(await sizes(...noun, "--map-entries", "conns=778")).toBe(778);
    // One that says its size may get another.
    const sized = object(using({ entries: 10 }));
    expect(await sizes(...load(sized), "--programs", "tcx:use", "--map-entries", "conns=20")).toBe(20);
    const unknown = [...load(sized), "--programs", "tcx:use", "--map-entries", "cons=20"];
    expect((await bpfman.refused(3, "MAP_NOT_FOUND", ...unknown)).hint).toContain('"conns"');
  });
});

describe("maps of others", () => {
  test("are used from their pin or by their id, and stay when the program goes", async () => {
    const path = object(using({ entries: 10 }));
    // Their own directory, so that nothing of bpfman's is near.
    await bpfman.load(path, "--programs", "tcx:use");
    const theirs = fs("theirs");
    sh("bpftool", "map", "create", theirs, "type", "hash", "key", "4", "value", "8", "entries", "10", "name", "ext");
    const { id } = pinned(theirs);
    try {
      for (const source of [theirs, String(id)]) {
        const [program] = await bpfman.load(path, "--programs", "tcx:use", "--map", `conns=${source}`);
        expect(program?.status.kernel?.map_ids).toEqual([id]);
        // One known by its id gets a pin like any other map.
        expect(existsSync(fs(`maps/${idOf(program)}/conns`))).toBe(source !== theirs);
        const [sharing] = await bpfman.load(path, "--programs", "tcx:use", "--map-owner-id", String(idOf(program)));
        expect(sharing?.status.kernel?.map_ids).toEqual([id]);
        await bpfman.ok("unload", String(idOf(program)), String(idOf(sharing)));
        expect(pinned(theirs).id).toBe(id);
        expect(existsSync(fs(`maps/${idOf(program)}`))).toBe(false);
      }
    } finally {
      rmSync(theirs);
    }
    for (let tries = 0; inKernel("map", id) && tries < 100; tries++) await Bun.sleep(10);
    expect(inKernel("map", id)).toBe(false);

    const gone = (source: string | number) => [...load(path), "--programs", "tcx:use", "--map", `conns=${source}`];
    expect((await bpfman.refused(3, "MAP_NOT_FOUND", ...gone(theirs))).message).toContain("nothing is pinned");
    expect((await bpfman.refused(3, "MAP_NOT_FOUND", ...gone(id))).message).toContain(`no map ${id}`);
  });
});

test("more programs than anybody has, in one load", async () => {
  const names = Array.from({ length: 150 }, (_, i) => `program_${i}`);
  const path = object(names.map((name, i) => `SEC("tc") int ${name}(void *ctx) { return ${i}; }`).join("\n"));
  const loaded = await bpfman.load(path, "--programs", ...names.map((name) => `tcx:${name}`));
  expect(loaded.map((program) => program.record?.meta.name)).toEqual(names);
});

describe("maps for others than root", () => {
  const GROUP = 54_321;
  /** Whether somebody of that group, or of another one, can do so with a file. */
  const may = (group: number, ...test: string[]): boolean =>
    Bun.spawnSync(["setpriv", "--reuid=65534", `--regid=${group}`, "--clear-groups", "test", ...test]).exitCode === 0;

  test("group and mode of [maps] are those of the pins, and the way there is open to them alone", async () => {
    const config = bpfman.path("bpfman.toml");
    chmodSync(bpfman.path("."), 0o711);
    const source =
      using({ entries: 10, extra: BY_NAME }) +
      using({ entries: 2 }).replaceAll("conns", "own").replace("use(", "use_own(");
    const path = object(source);
    const words = ["--programs", "tcx:use", "tcx:use_own", "--config", config];

    writeFileSync(config, `[maps]\ngroup = "no-such-group-here"\n`);
    const failure = await bpfman.refused(1, "INVALID_CONFIG", ...load(path, ...words));
    expect(failure.message).toContain('there is no group "no-such-group-here"');

    writeFileSync(config, `[maps]\ngroup = ${GROUP}\nmode = "0640"\n`);
    const [program] = await bpfman.load(path, ...words);
    const pins = [fs("shared/conns"), fs(`maps/${idOf(program)}/own`)];
    for (const pin of pins) {
      const { gid, uid, mode } = statSync(pin);
      expect([uid, gid, mode & 0o777]).toEqual([0, GROUP, 0o640]);
      expect([may(GROUP, "-r", pin), may(GROUP, "-w", pin), may(65_534, "-e", pin)]).toEqual([true, false, false]);
    }
    // Programs and the rest of the runtime directory are not shown.
    expect(may(GROUP, "-r", bpfman.runtimeDir)).toBe(false);
    expect(may(GROUP, "-r", fs(`prog_${idOf(program)}`))).toBe(false);
    expect(may(GROUP, "-x", fs("links"))).toBe(false);
  });

  test.each(["bpfman.service", "bpfman-restore.service"])("%s has the capabilities for that", async (unit) => {
    const text = readFileSync(resolve(import.meta.dir, "../../examples/systemd", unit), "utf8");
    const bounding = /^CapabilityBoundingSet=(.+)$/m.exec(text)?.[1]?.split(" ") ?? [];
    const set = bounding.map((name) => `,+${name.replace("CAP_", "").toLowerCase()}`).join("");
    const config = bpfman.path("bpfman.toml");
    writeFileSync(config, `[maps]\ngroup = ${GROUP}\nmode = "0640"\n`);
    const words = load(object(using({ entries: 2 })), "--programs", "tcx:use", "--config", config);
    const { stderr, exitCode } = Bun.spawnSync(["setpriv", `--bounding-set=-all${set}`, ...bpfman.command(...words)]);
    expect([exitCode, stderr.toString()]).toEqual([0, ""]);
    expect(statSync(fs("maps")).gid).toBe(GROUP);
  });
});
