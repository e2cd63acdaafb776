/**
 * Damaged object files, executables and linker caches: each is either read or rejected with a BpfmanError, quickly.
 * Prints its seed; BPFMAN_FUZZ_SEED=N repeats a run, BPFMAN_FUZZ_ROUNDS=N runs more rounds.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BpfmanError } from "../../src/errors/error.ts";
import { memorySource } from "../../src/object/fields.ts";
import { parseLinkerCache } from "../../src/object/linker-cache.ts";
import { objectForLibbpf, readObject, twinBytes } from "../../src/object/object-file.ts";
import { sourceLines } from "../../src/object/source-line.ts";
import { findSymbols, loadSegmentContains, symbolNames } from "../../src/object/symbols.ts";
import { fixture } from "../objects/bpf-fixture.ts";
import { compileBpf } from "../objects/compile.ts";
import { type Places, randomFrom, ROUNDS, SEED, storm } from "../objects/damage.ts";
import { OWN_MULTIARCH } from "../../scripts/debian.ts";

const SOURCE = `
const volatile int limit = 3;
volatile int hits;
int jumped(struct xdp_md *ctx);
struct { __uint(type, BPF_MAP_TYPE_PROG_ARRAY); __uint(max_entries, 2); __uint(key_size, 4); __array(values, int(void *)); } jumps SEC(".maps") = { .values = { [1] = (void *)&jumped } }; SEC("xdp") int jumped(struct xdp_md *ctx) { bpf_tail_call(ctx, &jumps, 1); return 2; }
volatile long total[2] = {1, 2};
struct inner { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 4); __type(key, __u32); __type(value, __u64[3]); } first SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH_OF_MAPS); __uint(max_entries, 8); __type(key, __u16); __array(values, struct inner); } outer SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); __uint(pinning, LIBBPF_PIN_BY_NAME); } events SEC(".maps");
SEC("xdp") int pass(struct xdp_md *ctx) { hits += limit; return 2; }
SEC("tp/sched/sched_switch") int first_switch(void *ctx) { total[1]++; return 0; }
SEC("tp/sched/sched_switch") int second_switch(void *ctx) { return 0; }
`;

/** The ELF header, each field of section and program headers and, in the sections that say much in little room, each word. */
const specialPlaces: Places = (bytes) => {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const little = bytes[5] === 1;
  const places = Array.from({ length: 64 }, (_, i) => i);
  const headers = Number(view.getBigUint64(40, little));
  for (let i = 0; i < view.getUint16(60, little); i++) {
    const header = headers + i * 64;
    for (let field = 0; field < 64; field += 4) places.push(header + field);
    const [offset, size] = [24, 32].map((field) => Number(view.getBigUint64(header + field, little))) as [
      number,
      number,
    ];
    const type = view.getUint32(header + 4, little);
    const isBtf = type === 1 && view.getUint16(offset, little) === 0xeb9f;
    if (isBtf || [2, 3, 11, 0x6fff_fffd, 0x6fff_ffff].includes(type)) {
      for (let at = offset; at < offset + Math.min(size, 2048); at += 4) places.push(at);
    }
  }
  return places;
};

let directory = "";
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "bpfman-fuzz-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe("damaged files", () => {
  test("objects", () => {
    const compiled = [[], ["-target", "bpfeb"]].map((flags) => compileBpf(SOURCE, flags));
    const bare = compileBpf(SOURCE.replaceAll(/^struct.*$/gm, ""), ["-g0"]);
    const shipped = `/usr/lib/${OWN_MULTIARCH}/bpf`;
    const others = existsSync(shipped) ? readdirSync(shipped).slice(0, 3) : [];
    const legacy = new Uint8Array(fixture("legacy"));
    const seeds = [
      ...[...compiled, bare, legacy, legacy],
      ...others.map((name) => new Uint8Array(readFileSync(join(shipped, name)))),
    ];
    const { accepted, refused } = storm({ seeds, places: specialPlaces }, (bytes) => {
      const object = readObject(bytes);
      const names = object.programs.map(({ name }) => name);
      // What is made of a sound object is no less sound.
      readObject(objectForLibbpf(bytes, object, names.slice(0, 1)).bytes);
      for (const name of names) {
        const twin = twinBytes(bytes, name, "xdp");
        if (twin !== null) expect(readObject(twin).programs).toEqual(object.programs);
      }
      const { bytes: changed, unusedMaps } = objectForLibbpf(bytes, object, [object.programs.at(-1)?.name ?? ""]);
      // What libbpf is given is what was looked at.
      if (changed !== bytes) expect(readObject(changed)).toEqual(object);
      expect(object.maps.map(({ name }) => name)).toEqual(expect.arrayContaining([...unusedMaps]));
      for (const { size, offset } of object.globals) {
        expect(Number.isSafeInteger(size) && size > 0 && Number.isSafeInteger(offset)).toBe(true);
      }
      for (const { keySize, valueSize, maxEntries, flags } of object.maps) {
        for (const number of [keySize, valueSize, maxEntries, flags]) expect(number ?? 0).toBeLessThan(2 ** 32);
      }
    });
    expect(accepted).toBeGreaterThan(ROUNDS / 20);
    expect(refused).toBeGreaterThan(ROUNDS / 20);
  });

  test("the lines of instructions", () => {
    const called = `static __attribute__((noinline)) int deep(int x) { return x * 3; }
      SEC("xdp") int calls(struct xdp_md *ctx) { return deep(ctx->data) + deep(ctx->data_end); }`;
    const seeds = [compileBpf(called), compileBpf(called, ["-g0"]), compileBpf(SOURCE)];
    const refuse = (reason: string) => new BpfmanError("INVALID_OBJECT", reason);
    const { accepted, refused } = storm({ seeds, places: specialPlaces }, (bytes) => {
      for (const program of ["calls", "pass"]) {
        const lineOf = sourceLines(bytes, program, refuse);
        for (const instruction of [0, 3, 9, 1_000_000]) {
          const line = lineOf(instruction);
          expect(line?.line ?? 1).toBeGreaterThan(0);
          expect(line?.instruction ?? instruction).toBe(instruction);
        }
      }
    });
    expect(accepted).toBeGreaterThan(ROUNDS / 20);
    expect(refused).toBeGreaterThan(ROUNDS / 20);
  });

  test("executables and libraries", () => {
    writeFileSync(
      join(directory, "main.c"),
      "int one(void) { return 1; }\nint two(int x) { return x; }\nint __attribute__((weak)) three(void) { return 3; }\n",
    );
    const build = (output: string, flags: readonly string[]) => {
      const result = Bun.spawnSync(["clang", "-nostdlib", ...flags, "main.c", "-o", output], { cwd: directory });
      expect(result.exitCode).toBe(0);
      return new Uint8Array(readFileSync(join(directory, output)));
    };
    writeFileSync(join(directory, "versions"), "V_1 { global: one; }; V_2 { global: two; } V_1;\n");
    const seeds = [
      build("fixed", ["-static", "-no-pie", "-Wl,-e,one"]),
      build("shared", ["-shared", "-fPIC", "-Wl,--version-script=versions"]),
    ];
    const { accepted, refused } = storm({ seeds, places: specialPlaces }, (bytes) => {
      for (const name of ["one", "two@@V_2", "three", "four"]) {
        for (const found of findSymbols(memorySource(bytes), name))
          expect(loadSegmentContains(memorySource(bytes), found.fileOffset)).toBe(true);
      }
      for (const name of symbolNames(memorySource(bytes))) expect(name).not.toBe("");
    });
    expect(accepted).toBeGreaterThan(ROUNDS / 20);
    expect(refused).toBeGreaterThan(ROUNDS / 20);
  });

  test.skipIf(Bun.which("go") === null)(
    "stripped Go programs (skipped where there is no Go)",
    () => {
      writeFileSync(join(directory, "main.go"), "package main\nfunc main() { println(1) }\n");
      const seeds = ["exe", "pie"].map((mode) => {
        const output = join(directory, mode);
        const flags = [`-buildmode=${mode}`, "-ldflags=-s -w", "-o", output];
        const made = Bun.spawnSync(["go", "build", ...flags, join(directory, "main.go")], { cwd: directory });
        expect(made.stderr.toString()).toBe("");
        return new Uint8Array(readFileSync(output));
      });
      /** Headers, and the beginnings of Go's table, of its module's data and of the relocations. */
      const places: Places = (bytes) => {
        const view = new DataView(bytes.buffer, bytes.byteOffset);
        const found = Array.from({ length: 16 }, (_, i) => i * 4);
        const headers = Number(view.getBigUint64(40, true));
        for (let i = 0; i < view.getUint16(60, true); i++) {
          for (let field = 0; field < 64; field += 4) found.push(headers + i * 64 + field);
          const offset = Number(view.getBigUint64(headers + i * 64 + 24, true));
          for (let at = offset; at < Math.min(offset + 256, bytes.length - 4); at += 4) found.push(at);
        }
        return found;
      };
      const { accepted } = storm({ seeds, places }, (bytes) => {
        for (const found of findSymbols(memorySource(bytes), "main.main")) {
          expect(loadSegmentContains(memorySource(bytes), found.fileOffset)).toBe(true);
        }
        expect(symbolNames(memorySource(bytes)).next().value).not.toBe("");
      });
      expect(accepted).toBeGreaterThan(ROUNDS / 20);
    },
    120_000,
  );

  test.skipIf(!existsSync("/etc/ld.so.cache"))("the linker's cache (skipped on a system that has none)", () => {
    const cache = new Uint8Array(readFileSync("/etc/ld.so.cache"));
    const everyFourth = () => Array.from({ length: 1024 }, (_, i) => i * 4);
    const read = (bytes: Uint8Array) => {
      for (const [soname, path] of parseLinkerCache(bytes)) expect(soname !== "" && path.startsWith("/")).toBe(true);
    };
    // A cache is never refused: what is damaged is left out.
    const some = storm({ seeds: [cache.subarray(0, 4096)], places: everyFourth }, read);
    expect(some).toEqual({ accepted: ROUNDS, refused: 0 });
  });

  test("random bytes behind the right first ones", () => {
    const random = randomFrom(SEED);
    const beginnings = ["\x7fELF\x02\x01\x01", "\x7fELF\x01\x02\x01", "glibc-ld.so.cache1.1", "ld.so-1.7.0\0", ""];
    const files = Array.from({ length: 200 }, (_, i) => {
      const bytes = Uint8Array.from({ length: random(2000) }, () => random(256));
      bytes.set(Buffer.from(beginnings[i % beginnings.length]!, "latin1").subarray(0, bytes.length));
      return bytes;
    });
    for (const file of files) {
      for (const read of [
        () => readObject(file),
        () => findSymbols(memorySource(file), "a"),
        () => parseLinkerCache(file),
      ]) {
        try {
          read();
        } catch (error) {
          if (!(error instanceof BpfmanError)) throw new Error(`seed ${SEED}: ${error}`, { cause: error });
        }
      }
    }
  });
});
