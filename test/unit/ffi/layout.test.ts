import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { decode, encode } from "../../../ffi/layout/struct.ts";
import { generateLayouts, obstacle } from "../../../scripts/generate-layouts.ts";

const reason = obstacle();

test.skipIf(reason !== null)(
  `generated layouts are what the headers say${reason === null ? "" : ` (skipped: ${reason})`}`,
  () => {
    const kept = (name: string) => readFileSync(resolve(import.meta.dir, "../../../ffi/layout", name), "utf8");
    const made = generateLayouts();
    expect(Object.keys(made)).toEqual(["generated.ts", "generated-files.ts"]);
    for (const [name, text] of Object.entries(made)) expect(text).toBe(kept(name));
  },
);

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
