/** Objects that were written for other loaders load as they do there. */
import { describe, expect, test } from "bun:test";
import { existsSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import { compileBpf } from "../objects/compile.ts";
import { executable } from "../labs/executable.ts";
import { bpftool, counters } from "../labs/kernel-lab.ts";

const bpfman = executable();

function object(source: string, ...flags: string[]): string {
  writeFileSync(bpfman.path("object.o"), compileBpf(source, flags));
  return bpfman.path("object.o");
}

/** What a program that is not an extension answers for a packet. */
function answerOf(program: number): number {
  const packet = bpfman.path("packet");
  writeFileSync(packet, new Uint8Array(64));
  return bpftool("prog", "run", "id", String(program), "data_in", packet, "repeat", "1").retval;
}

const idOf = (program: { readonly record: { readonly program_id: number } | null } | undefined): number =>
  program?.record?.program_id ?? 0;

test("static functions in sections of programs are programs", async () => {
  const path = object(`
    __attribute__((used)) static SEC("tc") int quiet(struct __sk_buff *skb) { return 7; }
    SEC("tc") int loud(struct __sk_buff *skb) { return 6; }`);
  const loaded = await bpfman.load(path, "--programs", "tcx:quiet", "tcx:loud");
  expect(loaded.map((program) => answerOf(idOf(program)))).toEqual([7, 6]);
  const [alone] = await bpfman.load(path, "--programs", "tcx:loud");
  expect(answerOf(idOf(alone))).toBe(6);
});

describe("maps in section maps", () => {
  const RECORD = "struct record { unsigned type, key_size, value_size, max_entries, map_flags, id, pinning; };";
  const COUNTS = `${RECORD}
    struct record COUNTS SEC("maps") = { BPF_MAP_TYPE_ARRAY, 4, 8, 2 };
    struct record SHARED SEC("maps/shared") = { BPF_MAP_TYPE_HASH, 4, 4, 9, BPF_F_NO_PREALLOC, 0, 1 };
    static __attribute__((noinline)) void add(__u32 k) { __u64 *v = bpf_map_lookup_elem(&COUNTS, &k); if (v) *v += 1; }
    SEC("tc") int count(struct __sk_buff *skb) { __u32 k = skb->len; add(0); bpf_map_update_elem(&SHARED, &k, &k, 0); return 0; }`;

  test.each(["-g", "-g0"])("are made, used and pinned, with %s", async (flag) => {
    const [program] = await bpfman.load(object(COUNTS, flag), "--programs", "tcx:count");
    const id = idOf(program);
    answerOf(id);
    const pinned = (path: string) => bpftool("map", "show", "pinned", `${bpfman.runtimeDir}/fs/${path}`);
    const counts = pinned(`maps/${id}/COUNTS`);
    expect(counts).toMatchObject({ name: "COUNTS", type: "array", bytes_key: 4, bytes_value: 8, max_entries: 2 });
    expect(counters(counts.id)).toEqual([1, 0]);
    expect(pinned("shared/SHARED")).toMatchObject({ type: "hash", max_entries: 9, flags: 1 });
    // The types of a program that has some are still the kernel's to read.
    expect(program?.status.kernel?.has_btf_id).toBe(flag === "-g");
  });

  test("beside maps of section .maps, map in map among them", async () => {
    const path = object(`${RECORD}
      struct inner { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u64); } slot SEC(".maps");
      struct { __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS); __uint(max_entries, 2); __type(key, __u32); __array(values, struct inner); } outer SEC(".maps") = { .values = { [1] = &slot } };
      struct record first SEC("maps") = { BPF_MAP_TYPE_ARRAY, 4, 8, 2 };
      struct record second SEC("maps") = { BPF_MAP_TYPE_ARRAY, 4, 8, 3 };
      SEC("tc") int count(struct __sk_buff *skb) {
        __u32 k = 1; __u64 *v = bpf_map_lookup_elem(&second, &k); if (v) *v += 5;
        v = bpf_map_lookup_elem(&first, &k); if (v) *v += 4;
        void *in = bpf_map_lookup_elem(&outer, &k); if (!in) return 1;
        k = 0; v = bpf_map_lookup_elem(in, &k); return v ? 3 : 2;
      }`);
    const [program] = await bpfman.load(path, "--programs", "tcx:count");
    expect(answerOf(idOf(program))).toBe(3);
    const values = (name: string) =>
      counters(bpftool("map", "show", "pinned", `${bpfman.runtimeDir}/fs/maps/${idOf(program)}/${name}`).id);
    expect([values("first"), values("second")]).toEqual([
      [0, 4],
      [0, 5, 0],
    ]);
  });
});

test("values of the kernel's configuration: they are read where there are any, else the error names the files", async () => {
  const path = object(`#include <stdbool.h>
    extern bool CONFIG_BPF __kconfig __weak;
    SEC("tc") int has(struct __sk_buff *skb) { return CONFIG_BPF ? 5 : 4; }`);
  const files = [`/boot/config-${release()}`, "/proc/config.gz"];
  if (files.some((file) => existsSync(file))) {
    const [program] = await bpfman.load(path, "--programs", "tcx:has");
    expect(answerOf(idOf(program))).toBe(5);
    return;
  }
  const failure = await bpfman.refused(1, "LOAD_FAILED", "load", "file", "--path", path, "--programs", "tcx:has");
  for (const file of files) expect(failure.hint).toContain(file);
});

test("the release of the kernel needs no configuration", async () => {
  const path = object(`extern int LINUX_KERNEL_VERSION __kconfig;
    SEC("tc") int version(struct __sk_buff *skb) { return LINUX_KERNEL_VERSION >> 16; }`);
  const [program] = await bpfman.load(path, "--programs", "tcx:version");
  expect(answerOf(idOf(program))).toBe(Number(release().split(".")[0]));
});

test("names of the kernel that only another program of the object uses may be missing", async () => {
  const path = object(`
    extern int bpfman_no_such_function(int x) __ksym;
    extern const int bpfman_no_such_variable __ksym;
    SEC("tc") int mine(struct __sk_buff *skb) { return 5; }
    SEC("tc") int other(struct __sk_buff *skb) { return bpfman_no_such_function(1); }
    SEC("tc") int another(struct __sk_buff *skb) { return bpfman_no_such_variable; }
    SEC("tc") int filled_in(struct __sk_buff *skb) { long filled; asm("%0 = A_CONSTANT ll" : "=r"(filled)); return filled; }`);
  const [program] = await bpfman.load(path, "--programs", "tcx:mine");
  expect(answerOf(idOf(program))).toBe(5);
  const words = ["load", "file", "--path", path, "--programs"];
  for (const [name, missing] of [
    ["other", "bpfman_no_such_function"],
    ["filled_in", "A_CONSTANT"],
  ] as const) {
    const { message } = await bpfman.refused(1, "LOAD_FAILED", ...words, `tcx:${name}`);
    expect(message).toContain(missing);
  }
});
