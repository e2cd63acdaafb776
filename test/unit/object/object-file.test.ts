import { describe, expect, spyOn, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { arch, tmpdir } from "node:os";
import { join } from "node:path";
import type { ObjectFile } from "../../../src/domain/object-file.ts";
import { BpfmanError } from "../../../src/errors/error.ts";
import { Fields } from "../../../src/object/fields.ts";
import { readObject } from "../../../src/object/object-file.ts";
import { compileBpf } from "../../objects/compile.ts";
import { OWN_MULTIARCH } from "../../../scripts/debian.ts";

const SOURCE = `
const volatile int LIMIT = 3;
const volatile char NAME[16] = "abc";
volatile long total = 5;
volatile int hits;
static volatile int misses;
volatile int tagged SEC(".data.tagged") = 1;
const volatile int table[4] SEC(".rodata.table") = {1, 2, 3, 4};

struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, __u32); __type(value, __u64); } counters SEC(".maps");

static __attribute__((noinline)) int quiet(int x) { misses += x; return x * LIMIT + NAME[x & 15]; }
__attribute__((noinline)) int loud(int x) { total += x; return x * table[x & 3]; }

SEC("xdp.frags") int pass(struct xdp_md *ctx) { hits++; tagged++; return 2; }
SEC("tracepoint/syscalls/sys_enter_openat") int on_openat(void *ctx) { return quiet(1); }
SEC("tracepoint/syscalls/sys_enter_openat") int on_openat_too(void *ctx) { return loud(2); }
SEC("?kretprobe/do_unlinkat") int after_unlink(void *ctx) { bpf_printk("unlinked %d", hits); return 0; }
SEC("cgroup_skb/egress") int egress(struct __sk_buff *skb) { return 1; }
SEC("my/own") int own(void *ctx) { return 0; }
__attribute__((weak)) SEC("uprobe") int weak_one(void *ctx) { return 0; }
`;

const PROGRAMS: ObjectFile["programs"] = [
  { name: "pass", section: "xdp.frags", kind: "xdp", target: null },
  {
    name: "on_openat",
    section: "tracepoint/syscalls/sys_enter_openat",
    kind: "tracepoint",
    target: "syscalls/sys_enter_openat",
  },
  {
    name: "on_openat_too",
    section: "tracepoint/syscalls/sys_enter_openat",
    kind: "tracepoint",
    target: "syscalls/sys_enter_openat",
  },
  { name: "after_unlink", section: "?kretprobe/do_unlinkat", kind: "kretprobe", target: "do_unlinkat" },
  { name: "egress", section: "cgroup_skb/egress", kind: "cgroup_skb", target: null },
  { name: "own", section: "my/own", kind: null, target: "own" },
  { name: "weak_one", section: "uprobe", kind: "uprobe", target: null },
];

const COUNTERS: ObjectFile["maps"][number] = {
  name: "counters",
  type: 1,
  keySize: 4,
  valueSize: 8,
  maxEntries: 64,
  flags: 0,
  extra: 0,
  pinByName: false,
  inner: null,
};

/** Without BTF there can be no maps. */
const withoutMaps = SOURCE.replace(/^struct \{.*$/m, "");

describe("what a compiler made", () => {
  test("programs, maps, licence and BTF of an object", () => {
    const object = readObject(compileBpf(SOURCE));
    expect(object.programs).toEqual(PROGRAMS);
    expect(object.maps).toEqual([COUNTERS]);
    const { byteOrder, license, hasBtf, hasBtfExt } = object;
    expect({ byteOrder, license, hasBtf, hasBtfExt }).toEqual({
      byteOrder: "little",
      license: "GPL",
      hasBtf: true,
      hasBtfExt: true,
    });
  });

  test("global variables, also static ones and those in sections of their own", () => {
    const { globals } = readObject(compileBpf(SOURCE));
    const sizes = Object.fromEntries(globals.map(({ name, section, size }) => [name, [section, size]]));
    expect(sizes).toEqual({
      LIMIT: [".rodata", 4],
      NAME: [".rodata", 16],
      "after_unlink.____fmt": [".rodata", 12],
      total: [".data", 8],
      hits: [".bss", 4],
      misses: [".bss", 4],
      tagged: [".data.tagged", 4],
      table: [".rodata.table", 16],
    });
  });

  test("a variable's value is at its offset", () => {
    const bytes = compileBpf(SOURCE);
    const limit = readObject(bytes).globals.find(({ name }) => name === "LIMIT")!;
    const { offset } = sectionsByReadelf(bytes)[".rodata"]!;
    expect(new DataView(bytes.buffer, bytes.byteOffset).getInt32(offset + limit.offset, true)).toBe(3);
  });

  test("the same without debug information", () => {
    const bare = readObject(compileBpf(withoutMaps, ["-g0"]));
    const { maps: _, ...full } = readObject(compileBpf(withoutMaps));
    expect(bare).toEqual({ ...full, maps: [], hasBtf: false, hasBtfExt: false });
    expect(bare.programs).toEqual(PROGRAMS);
    expect(bare.globals.length).toBe(8);
  });

  test("the same in big-endian", () => {
    const { byteOrder: order, ...big } = readObject(compileBpf(SOURCE, ["-target", "bpfeb"]));
    const { byteOrder: _, ...little } = readObject(compileBpf(SOURCE));
    expect(order).toBe("big");
    expect(big).toEqual(little);
  });

  test("the byte order of this machine can be asked for", () => {
    const big = compileBpf(SOURCE, ["-target", "bpfeb"]);
    expect(refusalOf(big, { nativeByteOrderOnly: true })).toEqual({
      message: "cannot read the object file: it is big-endian, and this machine needs little-endian",
      hint: "compile with clang -target bpfel",
    });
    expect(readObject(compileBpf(SOURCE), { nativeByteOrderOnly: true }).byteOrder).toBe("little");
  });

  test("an object without licence, programs and variables", () => {
    const bytes = compileBpf("").slice();
    patchText(bytes, "license\0", "licence\0");
    expect(readObject(bytes)).toEqual({
      byteOrder: "little",
      license: null,
      programs: [],
      maps: [],
      globals: [],
      hasBtf: true,
      hasBtfExt: false,
    });
  });

  test("functions in .text are not programs", () => {
    expect(readObject(compileBpf("int f(void *ctx) { return 0; }")).programs).toEqual([]);
  });

  test("twice as many variables take twice as many reads", () => {
    const readsFor = (count: number): number => {
      const variables = Array.from({ length: count }, (_, i) => `int variable_with_a_long_name_${i}[${i + 1}];`);
      const bytes = compileBpf(`${SOURCE}\n${variables.join("\n")}`);
      const spies = (["u8", "u16", "u32", "u64", "name"] as const).map((name) => spyOn(Fields.prototype, name));
      try {
        expect(readObject(bytes).globals.length).toBe(count + 8);
        return spies.reduce((sum, { mock }) => sum + mock.calls.length, 0);
      } finally {
        for (const spy of spies) spy.mockRestore();
      }
    };
    const [few, more, most] = [0, 1000, 2000].map(readsFor) as [number, number, number];
    expect(more - few).toBeGreaterThanOrEqual(1000);
    expect(most - more).toBeLessThanOrEqual((more - few) * 1.1);
  });
});

describe("against other readers", () => {
  test.skipIf(!Bun.which("llvm-readelf"))(
    "globals and programs are what llvm-readelf lists (skipped when it is missing)",
    () => {
      for (const flags of [[], ["-target", "bpfeb"]]) {
        const bytes = compileBpf(SOURCE, flags);
        const object = readObject(bytes);
        const symbols = symbolsByReadelf(bytes);
        for (const { name, section, offset, size } of object.globals) {
          expect(symbols).toContain(`OBJECT ${section} ${offset} ${size} ${name}`);
        }
        const variables = symbols.filter((line) => /^OBJECT \.(bss|data|rodata)/.test(line));
        expect(object.globals.length).toBe(variables.length);
        for (const { name, section } of object.programs) {
          expect(symbols.some((line) => line.startsWith(`FUNC ${section} `) && line.endsWith(` ${name}`))).toBe(true);
        }
      }
    },
  );

  test.skipIf(!Bun.which("bpftool"))(
    "maps and programs are what libbpf finds (skipped when bpftool is missing)",
    () => {
      const skeleton = skeletonOf(compileBpf(SOURCE));
      expect(skeleton.programs).toEqual(PROGRAMS.map(({ name }) => name).sort());
      expect(skeleton.maps).toEqual(["bss", "counters", "data", "data_tagged", "rodata", "rodata_table"]);
    },
  );

  const directory = `/usr/lib/${OWN_MULTIARCH}/bpf`;
  const others = existsSync(directory) ? readdirSync(directory).filter((name) => name.endsWith(".o")) : [];
  test.skipIf(others.length === 0 || !Bun.which("bpftool"))(
    "objects that others compiled (skipped when xdp-tools or bpftool is missing)",
    () => {
      for (const name of others) {
        const bytes = new Uint8Array(readFileSync(join(directory, name)));
        const object = readObject(bytes);
        const skeleton = skeletonOf(bytes);
        expect({ name, programs: object.programs.map((program) => program.name).sort() }).toEqual({
          name,
          programs: skeleton.programs,
        });
        const ours = object.maps.map((map) => map.name);
        expect({ name, maps: skeleton.maps.filter((map) => ours.includes(map)) }).toEqual({ name, maps: ours.sort() });
        expect(object.programs.every(({ kind }) => kind !== null)).toBe(true);
      }
    },
  );

  test.skipIf(!existsSync(join(directory, "xdpfilt_alw_ip.o")))(
    "the maps of xdp-filter (skipped when xdp-tools is missing)",
    () => {
      const { maps, license } = readObject(new Uint8Array(readFileSync(join(directory, "xdpfilt_alw_ip.o"))));
      expect(license).toBe("GPL");
      const filter = maps.find(({ name }) => name === "filter_ipv6")!;
      expect(filter).toMatchObject({ type: 5, keySize: 16, valueSize: 8, maxEntries: 10_000, pinByName: true });
    },
  );
});

describe("files that are not eBPF objects", () => {
  const message = (bytes: Uint8Array) => refusalOf(bytes).message.replace("cannot read the object file: ", "");
  const text = (value: string) => new TextEncoder().encode(value);

  test("an empty file, text, and other formats", () => {
    expect(message(new Uint8Array(0))).toBe("it is empty");
    expect(message(text("#!/bin/sh\nexit 0\n"))).toBe('it is not an ELF file: it begins with "#!/bin/s"');
    expect(message(Uint8Array.of(0x1f, 0x8b, 8))).toBe("it is not an ELF file: it begins with bytes 1f 8b 08");
    expect(message(text("\x7fEL"))).toBe("it is not an ELF file: it begins with bytes 7f 45 4c");
    expect(message(text("\x7fELF\x02\x01\x01"))).toBe("it is cut short in its ELF header fields, of 7 bytes");
  });

  test("programs of this machine", () => {
    const bytes = new Uint8Array(readFileSync("/bin/true"));
    const machine = arch() === "arm64" ? "AArch64" : "x86-64";
    expect(message(bytes)).toBe(
      `it is an ELF file for ${machine} (shared object or position-independent executable), not for eBPF`,
    );
  });

  const object = () => compileBpf(SOURCE).slice();

  test("ELF files of another kind", () => {
    expect(message(patch(object(), { at: 4, u8: 3 }))).toBe("its ELF class is 3, neither 32-bit (1) nor 64-bit (2)");
    expect(message(patch(object(), { at: 5, u8: 0 }))).toBe(
      "its byte order is 0, neither little (1) nor big endian (2)",
    );
    expect(message(patch(object(), { at: 16, u16: 2 }))).toBe(
      "it is for eBPF, but not a relocatable object: executable",
    );
    expect(message(patch(object(), { at: 18, u16: 8 }))).toBe(
      "it is an ELF file for machine 8 (relocatable object), not for eBPF",
    );
    const narrow = patch(patch(object(), { at: 4, u8: 1 }), { at: 28, u64: 0n });
    expect(message(patch(narrow, { at: 32, u64: 0n }))).toBe("it is a 32-bit ELF file, and eBPF objects are 64-bit");
  });

  test("section headers that are not there", () => {
    const size = object().length;
    expect(message(patch(object(), { at: 40, u64: 0n }))).toBe("it has no section names");
    expect(message(patch(object(), { at: 40, u64: BigInt(size) }))).toMatch(
      /^it is cut short: its section headers would end/,
    );
    expect(message(patch(object(), { at: 40, u64: 2n ** 64n - 64n }))).toMatch(/^it is cut short: its section headers/);
    expect(message(patch(object(), { at: 58, u16: 40 }))).toBe("its section headers have 40 bytes each instead of 64");
    expect(message(patch(object(), { at: 60, u16: 0 }))).toBe("it has no section names");
    expect(message(patch(object(), { at: 60, u16: 0xff00 }))).toBe("it has 65280 section headers or more");
    expect(message(patch(object(), { at: 62, u16: 0xffff }))).toBe("it has no section names");
  });

  test("sections and symbols that reach too far", () => {
    const bytes = object();
    const { ".rodata": rodata, ".bss": bss, ".symtab": symtab, ".strtab": strtab } = sectionsByReadelf(bytes);
    const header = (index: number, field: number) => Number(readU64(bytes, 40)) + index * 64 + field;
    expect(message(patch(object(), { at: header(rodata!.index, 32), u64: 2n ** 63n }))).toBe(
      'its section ".rodata" of 9223372036854776000 bytes does not fit',
    );
    expect(message(patch(object(), { at: header(bss!.index, 32), u64: 2n ** 32n }))).toBe(
      'its section ".bss" of 4294967296 bytes does not fit',
    );
    expect(message(patch(object(), { at: header(rodata!.index, 32), u64: 2n }))).toMatch(
      /^its symbol "\S+" reaches beyond section "\.rodata"$/,
    );
    expect(message(patch(object(), { at: header(symtab!.index, 56), u64: 16n }))).toBe(
      "its symbols have 16 bytes each instead of 24",
    );
    expect(message(patch(object(), { at: header(symtab!.index, 4), u32: 1 }))).toBe(
      "it has no symbol table; was it stripped?",
    );
    expect(message(patch(object(), { at: header(symtab!.index, 40), u32: 9999 }))).toMatch(/^the names of its symbols/);
    expect(message(patch(object(), { at: header(rodata!.index, 0), u32: 0xffff_fff0 }))).toMatch(
      /^it is cut short in its section names/,
    );

    const endless = object();
    for (let at = 0; at < symtab!.size; at += 24) patch(endless, { at: symtab!.offset + at + 16, u64: 2n ** 64n - 1n });
    expect(message(endless)).toMatch(/reaches beyond section/);
    const unended = object();
    unended.fill(0x61, strtab!.offset, strtab!.offset + strtab!.size);
    expect(message(unended)).toBe("one of its section names does not end within 512 bytes");
  });

  test("names with control characters", () => {
    const bytes = object();
    patchText(bytes, "on_openat\0", "on_\x1b[2Jat\0");
    expect(message(bytes)).toMatch(/control characters: "on_\\u001b\[2Jat"$/);
  });

  test("maps without BTF", () => {
    const bare = compileBpf(SOURCE, ["-g0"]);
    expect(refusalOf(bare)).toEqual({
      message: "cannot read the object file: it has maps, but no BTF to describe them",
      hint: "compile with clang -g",
    });
  });

  test("a file cut off anywhere", () => {
    const bytes = object();
    for (let length = 0; length < bytes.length; length += 61) {
      expect(refusalOf(bytes.subarray(0, length)).message).toMatch(/^cannot read the object file: it /);
    }
  });

  test("a file larger than any object", () => {
    expect(message(new Uint8Array(16 * 1024 * 1024 + 1))).toBe("it has 16777217 bytes, more than 16777216");
  });
});

function refusalOf(bytes: Uint8Array, options = {}): { message: string; hint: string | null } {
  try {
    readObject(bytes, options);
  } catch (error) {
    if (!(error instanceof BpfmanError)) throw error;
    expect(error.code).toBe("INVALID_OBJECT");
    return { message: error.message, hint: error.hint };
  }
  throw new Error("the object was accepted");
}

type Patch = { at: number } & ({ u8: number } | { u16: number } | { u32: number } | { u64: bigint });

/** Writes one little-endian number. */
function patch(bytes: Uint8Array, change: Patch): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  if ("u8" in change) view.setUint8(change.at, change.u8);
  else if ("u16" in change) view.setUint16(change.at, change.u16, true);
  else if ("u32" in change) view.setUint32(change.at, change.u32, true);
  else view.setBigUint64(change.at, change.u64, true);
  return bytes;
}

/** Replaces a text wherever it stands by one of the same length. */
function patchText(bytes: Uint8Array, from: string, to: string): void {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  expect(buffer.includes(from)).toBe(true);
  for (let at = buffer.indexOf(from); at >= 0; at = buffer.indexOf(from, at + 1)) buffer.write(to, at);
}

const readU64 = (bytes: Uint8Array, at: number) => new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(at, true);

/** What a tool says of an object. */
function ask(bytes: Uint8Array, command: (path: string) => string[]): string {
  const directory = mkdtempSync(join(tmpdir(), "bpfman-object-"));
  try {
    const path = join(directory, "object.o");
    writeFileSync(path, bytes);
    const { exitCode, stdout, stderr } = Bun.spawnSync(command(path));
    if (exitCode !== 0) throw new Error(stderr.toString());
    return stdout.toString();
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function sectionsByReadelf(bytes: Uint8Array): Record<string, { index: number; offset: number; size: number }> {
  const lines = ask(bytes, (path) => ["llvm-readelf", "-SW", path]).matchAll(
    /^ *\[ *(\d+)\] (\S+) +[A-Z_]+ +[0-9a-f]+ ([0-9a-f]+) ([0-9a-f]+)/gm,
  );
  return Object.fromEntries(
    [...lines].map(([, index, name, offset, size]) => [
      name,
      { index: Number(index), offset: Number.parseInt(offset!, 16), size: Number.parseInt(size!, 16) },
    ]),
  );
}

/** Lines `TYPE section offset size name`. */
function symbolsByReadelf(bytes: Uint8Array): string[] {
  const names = Object.fromEntries(Object.entries(sectionsByReadelf(bytes)).map(([name, { index }]) => [index, name]));
  const lines = ask(bytes, (path) => ["llvm-readelf", "-sW", path]).matchAll(
    /^ *\d+: ([0-9a-f]+) +(\d+) (OBJECT|FUNC) +\w+ +\w+ +(\d+) (\S+)/gm,
  );
  return [...lines].map(
    ([, value, size, type, section, name]) =>
      `${type} ${names[section!]} ${Number.parseInt(value!, 16)} ${size} ${name}`,
  );
}

/** Names of maps and programs that libbpf finds when it opens an object, sorted. */
function skeletonOf(bytes: Uint8Array): { maps: string[]; programs: string[] } {
  const text = ask(bytes, (path) => ["bpftool", "gen", "skeleton", path, "name", "object"]);
  const fields = (of: string) =>
    [...text.matchAll(new RegExp(`^\\t\\tstruct ${of} \\*(\\w+);$`, "gm"))].map(([, name]) => name!);
  return { maps: fields("bpf_map").sort(), programs: fields("bpf_program").sort() };
}
