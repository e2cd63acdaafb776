/**
 * Damaged object files, executables and linker caches: each is read or refused with a BpfmanError, and soon. The seed is
 * printed; BPFMAN_FUZZ_SEED=N runs the same again, BPFMAN_FUZZ_ROUNDS=N more rounds of it.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { arch, tmpdir } from "node:os";
import { join } from "node:path";
import { BpfmanError } from "../../src/errors/error.ts";
import { memorySource } from "../../src/object/fields.ts";
import { parseLinkerCache } from "../../src/object/linker-cache.ts";
import { readObject } from "../../src/object/object-file.ts";
import { findSymbol, loadSegmentContains, symbolNames } from "../../src/object/symbols.ts";
import { compileBpf } from "../fakes/compile.ts";

const SEED = Number(process.env.BPFMAN_FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 32));
const ROUNDS = Number(process.env.BPFMAN_FUZZ_ROUNDS ?? 4000);
/** Far above what any of these files takes, far below a hang. */
const TIME_MAX_MS = 10_000;

const SOURCE = `
const volatile int limit = 3;
volatile int hits;
volatile long total[2] = {1, 2};
struct inner { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 4); __type(key, __u32); __type(value, __u64[3]); } first SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH_OF_MAPS); __uint(max_entries, 8); __type(key, __u16); __array(values, struct inner); } outer SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); __uint(pinning, LIBBPF_PIN_BY_NAME); } events SEC(".maps");
SEC("xdp") int pass(struct xdp_md *ctx) { hits += limit; return 2; }
SEC("tp/sched/sched_switch") int first_switch(void *ctx) { total[1]++; return 0; }
SEC("tp/sched/sched_switch") int second_switch(void *ctx) { return 0; }
`;

/** Numbers at the edges of what fields hold. */
const EXTREMES = [
  0n,
  1n,
  0x7fn,
  0xffn,
  0xff00n,
  0xffffn,
  0x7fff_ffffn,
  0xffff_ffffn,
  2n ** 53n,
  2n ** 63n,
  2n ** 64n - 1n,
];

type Random = (below: number) => number;

/** mulberry32: small, and the same everywhere. */
function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % Math.max(1, below);
  };
}

/** One to four kinds of damage to a copy of a file. `special` are places where its structure is written down. */
function damage(original: Uint8Array, special: readonly number[], random: Random): Uint8Array {
  let bytes = original.slice();
  for (let times = 1 + random(4); times > 0 && bytes.length > 0; times--) {
    const place = random(4) > 0 ? special[random(special.length)]! + random(8) : random(bytes.length);
    const at = Math.min(place, bytes.length - 1);
    switch (random(7)) {
      case 0:
        bytes[at]! ^= 1 << random(8);
        break;
      case 1:
        bytes[at] = random(256);
        break;
      case 2:
        bytes = bytes.subarray(0, random(bytes.length));
        break;
      case 3: {
        const from = random(bytes.length);
        bytes.copyWithin(at, from, from + 1 + random(256));
        break;
      }
      case 4:
        bytes.fill(random(2) === 0 ? 0xff : random(256), at, at + 1 + random(64));
        break;
      default:
        writeExtreme(bytes, at, random);
    }
  }
  return bytes;
}

function writeExtreme(bytes: Uint8Array, at: number, random: Random): void {
  const width = [1, 2, 4, 8][random(4)]!;
  const start = at - (at % width);
  if (start + width > bytes.length) return;
  const chosen = random(4) === 0 ? BigInt(bytes.length - random(64)) : EXTREMES[random(EXTREMES.length)]!;
  const value = BigInt.asUintN(64, chosen - BigInt(random(3) === 0 ? random(4) : 0));
  for (let i = 0; i < width; i++) bytes[start + i] = Number((value >> BigInt(8 * i)) & 0xffn);
}

/** The ELF header, each field of section and program headers and, in the sections that say much in little room, each word. */
function specialPlaces(bytes: Uint8Array): number[] {
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
}

/** Runs `read` over damaged copies; answers how many were read and how many refused. */
function storm(seeds: readonly Uint8Array[], read: (bytes: Uint8Array) => void, places = specialPlaces) {
  const originals = seeds.map((bytes) => ({ bytes, special: places(bytes) }));
  let [accepted, refused, slowest] = [0, 0, 0];
  for (let round = 0; round < ROUNDS; round++) {
    const random = randomFrom(SEED + round);
    const { bytes, special } = originals[random(originals.length)]!;
    const file = damage(bytes, special, random);
    const start = performance.now();
    try {
      read(file);
      accepted++;
    } catch (error) {
      if (!(error instanceof BpfmanError)) throw new Error(`seed ${SEED}, round ${round}: ${error}`, { cause: error });
      refused++;
    }
    const took = performance.now() - start;
    if (took > TIME_MAX_MS) throw new Error(`seed ${SEED}, round ${round}: ${took} ms`);
    slowest = Math.max(slowest, took);
  }
  console.log(
    `fuzz: seed ${SEED}, ${ROUNDS} rounds, ${accepted} read, ${refused} refused, ${slowest.toFixed(1)} ms at most`,
  );
  return { accepted, refused };
}

const multiarch = `${arch() === "arm64" ? "aarch64" : "x86_64"}-linux-gnu`;
let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "bpfman-fuzz-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("damaged files", () => {
  test("objects", () => {
    const compiled = [[], ["-target", "bpfeb"]].map((flags) => compileBpf(SOURCE, flags));
    const bare = compileBpf(SOURCE.replaceAll(/^struct.*$/gm, ""), ["-g0"]);
    const shipped = `/usr/lib/${multiarch}/bpf`;
    const others = existsSync(shipped) ? readdirSync(shipped).slice(0, 3) : [];
    const seeds = [...compiled, bare, ...others.map((name) => new Uint8Array(readFileSync(join(shipped, name))))];
    const { accepted, refused } = storm(seeds, (bytes) => {
      const object = readObject(bytes);
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

  test("executables and libraries", () => {
    writeFileSync(
      join(folder, "main.c"),
      "int one(void) { return 1; }\nint two(int x) { return x; }\nint __attribute__((weak)) three(void) { return 3; }\n",
    );
    const build = (output: string, flags: readonly string[]) => {
      const result = Bun.spawnSync(["clang", "-nostdlib", ...flags, "main.c", "-o", output], { cwd: folder });
      expect(result.exitCode).toBe(0);
      return new Uint8Array(readFileSync(join(folder, output)));
    };
    writeFileSync(join(folder, "versions"), "V_1 { global: one; }; V_2 { global: two; } V_1;\n");
    const seeds = [
      build("fixed", ["-static", "-no-pie", "-Wl,-e,one"]),
      build("shared", ["-shared", "-fPIC", "-Wl,--version-script=versions"]),
    ];
    const { accepted, refused } = storm(seeds, (bytes) => {
      for (const name of ["one", "two@@V_2", "three", "four"]) {
        const found = findSymbol(memorySource(bytes), name);
        if (found !== null) expect(loadSegmentContains(memorySource(bytes), found.fileOffset)).toBe(true);
      }
      for (const name of symbolNames(memorySource(bytes))) expect(name).not.toBe("");
    });
    expect(accepted).toBeGreaterThan(ROUNDS / 20);
    expect(refused).toBeGreaterThan(ROUNDS / 20);
  });

  test.skipIf(!existsSync("/etc/ld.so.cache"))("the linker's cache (skipped on a system that has none)", () => {
    const cache = new Uint8Array(readFileSync("/etc/ld.so.cache"));
    const everyFourth = () => Array.from({ length: 1024 }, (_, i) => i * 4);
    const read = (bytes: Uint8Array) => {
      for (const [soname, path] of parseLinkerCache(bytes)) expect(soname !== "" && path.startsWith("/")).toBe(true);
    };
    // A cache is never refused: what is damaged is left out.
    const some = storm([cache.subarray(0, 4096)], read, everyFourth);
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
        () => findSymbol(memorySource(file), "a"),
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
