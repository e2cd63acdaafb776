import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { ERRNO } from "../../../ffi/errno.ts";
import { ID_INFO, LINK_INFO, MAP_INFO, PROG_INFO } from "../../../ffi/layout/generated-objects.ts";
import { decode, encode } from "../../../ffi/layout/struct.ts";
import { OPEN_FLAGS, SYSTEM_CALLS } from "../../../ffi/raw/processors.ts";
import { constants } from "../../../ffi/safe/file-system.ts";
import { compilerObstacle, constantsOf, generateLayouts, obstacle } from "../../../scripts/generate-layouts.ts";

const FFI = resolve(import.meta.dir, "../../../ffi");

const HEADERS = [
  "#define _GNU_SOURCE",
  ...["dlfcn", "errno", "fcntl", "poll", "sched", "signal", "time", "unistd"].map((name) => `#include <${name}.h>`),
  ...["file", "ioctl", "mman", "mount", "prctl", "socket", "stat", "syscall"].map((name) => `#include <sys/${name}.h>`),
  ...["if_link", "netlink", "pkt_cls", "rtnetlink", "sockios"].map((name) => `#include <linux/${name}.h>`),
].join("\n");

const PROCESSORS = ["x64", "arm64"] as const;

for (const processor of PROCESSORS) {
  const reason = obstacle(processor);
  test.skipIf(reason !== null)(
    `generated layouts are what the headers say for ${processor}${reason === null ? "" : ` (skipped: ${reason})`}`,
    () => {
      const kept = (name: string) => readFileSync(resolve(FFI, "layout", name), "utf8");
      const made = generateLayouts(processor);
      expect(Object.keys(made)).toEqual(["generated.ts", "generated-objects.ts", "generated-files.ts"]);
      for (const [name, text] of Object.entries(made)) expect(text).toBe(kept(name));
    },
  );

  const missing = compilerObstacle(processor);
  test.skipIf(missing !== null)(
    `constants are what the headers say for ${processor}${missing === null ? "" : ` (skipped: ${missing})`}`,
    () => {
      const wanted: readonly (readonly [string, number])[] = [
        ...Object.entries(SYSTEM_CALLS[processor] ?? {}).map(([name, number]) => [`__NR_${name}`, number] as const),
        ...Object.entries(OPEN_FLAGS[processor]),
        ...Object.entries(constants).filter(([name]) => !Object.hasOwn(OPEN_FLAGS[processor], name)),
        ...Object.entries(ERRNO).filter(([name]) => name !== "ENOTSUPP"),
        ...macrosInSources(processor),
      ];
      const names = wanted.map(([name]) => name);
      const values = constantsOf(processor, HEADERS, names);
      expect(names.map((name, index) => [name, values[index]])).toEqual(wanted.map(([...pair]) => pair));
      const [sigaction = 0, word] = constantsOf(processor, HEADERS, ["sizeof(struct sigaction)", "sizeof(long)"]);
      expect([sigaction <= 256, word]).toEqual([true, 8]);
    },
  );
}

test("programs, maps and links have their ID in the same place", () => {
  for (const { fields } of [PROG_INFO, MAP_INFO, LINK_INFO]) expect(fields.id).toEqual(ID_INFO.fields.id);
});

/** Constants of ffi that C has as macros of the same name: those that could differ between processors are among them. */
function macrosInSources(processor: (typeof PROCESSORS)[number]): [string, number][] {
  const found = new Map<string, number>();
  for (const file of new Bun.Glob("safe/*.ts").scanSync({ cwd: FFI, absolute: true })) {
    const text = readFileSync(file, "utf8");
    for (const [, name = "", value = ""] of text.matchAll(
      /^(?:export )?const ([A-Z][A-Z0-9_]+) = (0?[xo]?[0-9a-f_]+)n?;$/gm,
    ))
      found.set(name, Number(value.replaceAll("_", "")));
  }
  const names = [...found.keys()];
  const known = constantsOf(
    processor,
    HEADERS,
    names.map((name) => `\n#ifdef ${name}\n1\n#else\n0\n#endif\n`),
  );
  const macros = [...found].filter((_, index) => known[index] === 1);
  expect(macros.map(([name]) => name)).toEqual(
    expect.arrayContaining(["TIOCGWINSZ", "MAP_ANONYMOUS", "O_CLOEXEC", "CLONE_NEWNET"]),
  );
  return macros;
}

const SAMPLE = {
  fields: {
    small: { offset: 0, size: 4 },
    large: { offset: 8, size: 8 },
    name: { offset: 16, size: 4 },
  },
  size: 20,
} as const;

test("a struct is written where its layout says, and zero elsewhere", () => {
  const memory = encode(SAMPLE, { small: 0xffff_ffff, large: 0x0102_0304_0506_0708n });
  expect(Buffer.from(memory).toString("hex")).toBe("ffffffff00000000080706050403020100000000");
  expect(decode(SAMPLE, memory).u32("small")).toBe(0xffff_ffff);
  expect(decode(SAMPLE, memory).u64("large")).toBe(0x0102_0304_0506_0708n);
  memory.set(new TextEncoder().encode("ab"), 16);
  memory[7] = 0b100;
  expect(decode(SAMPLE, memory).text("name")).toBe("ab");
  expect([...decode(SAMPLE, memory).bytes("name")]).toEqual([0x61, 0x62, 0, 0]);
  expect(decode(SAMPLE, memory).bit({ offset: 7, mask: 0b100 })).toBe(true);
  expect(decode(SAMPLE, memory).bit({ offset: 7, mask: 0b1000 })).toBe(false);
});

test("numbers of either kind are written alike, and into their field alone", () => {
  const pairs: readonly [small: number | bigint, large: number | bigint][] = [
    [7, 2 ** 40],
    [7n, 1n << 40n],
  ];
  for (const [small, large] of pairs) {
    const memory = encode(SAMPLE, { small, large });
    expect(Buffer.from(memory).toString("hex")).toBe("0700000000000000000000000001000000000000");
  }
  const neighbours = { fields: { a: { offset: 0, size: 4 }, b: { offset: 4, size: 4 } }, size: 8 } as const;
  expect([...encode(neighbours, { b: 9, a: 7n })]).toEqual([7, 0, 0, 0, 9, 0, 0, 0]);
  expect([...encode({ fields: { c: { offset: 0, size: 8 } }, size: 8 } as const, { c: 9 })]).toEqual([
    9, 0, 0, 0, 0, 0, 0, 0,
  ]);
});

test("numbers that do not fit are rejected instead of truncated", () => {
  for (const small of [-1, 2 ** 32, 1.5, Number.NaN, -1n, 1n << 32n]) {
    expect(() => encode(SAMPLE, { small })).toThrow(RangeError);
  }
  for (const large of [-1n, 1n << 64n]) expect(() => encode(SAMPLE, { large })).toThrow(RangeError);
  expect(() => encode(SAMPLE, { large: (1n << 64n) - 1n })).not.toThrow();
});
