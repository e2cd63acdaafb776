import { expect, test } from "bun:test";
import { errnoName, errnoNumber, errnoText, ERRNO } from "../../../ffi/errno.ts";
import { addressOf, allocate, copyOf, cString, textUntilNul } from "../../../ffi/memory.ts";

test("memory stays where it is, whatever its size and however it is looked at", () => {
  for (let bytes = 1; bytes <= 4096; bytes = bytes * 2 + 1) {
    for (let time = 0; time < 50; time++) {
      const memory = allocate(bytes);
      const before = addressOf(memory);
      new DataView(memory.buffer).setUint8(0, time);
      memory.slice(0, 1);
      if (time % 10 === 0) Bun.gc(true);
      expect(addressOf(memory)).toBe(before);
      expect(memory[0]).toBe(time);
    }
  }
});

test("memory is zeroed, and of a size that makes sense", () => {
  expect(allocate(1000).every((byte) => byte === 0)).toBe(true);
  for (const bytes of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(() => allocate(bytes)).toThrow(RangeError);
  }
});

test("a copy does not share the original, also when that is empty", () => {
  const original = new Uint8Array([1, 2, 3]);
  const copy = copyOf(original);
  original[0] = 9;
  expect([...copy]).toEqual([1, 2, 3]);
  expect(copyOf(new Uint8Array(0)).length).toBe(1);
});

test("strings end with NUL and hold none", () => {
  expect([...cString("aé")]).toEqual([0x61, 0xc3, 0xa9, 0]);
  expect(() => cString("a\0b")).toThrow(RangeError);
  expect(textUntilNul(new Uint8Array([0x61, 0, 0x62]))).toBe("a");
  expect(textUntilNul(new Uint8Array([0x61, 0x62]))).toBe("ab");
});

test("errno numbers have the names and texts of the C library", () => {
  expect([errnoName(2), errnoText(2), errnoNumber("ENOENT")]).toEqual(["ENOENT", "No such file or directory", 2]);
  expect([errnoName(524), errnoName(4001), errnoName(9999)]).toEqual([
    "ENOTSUPP",
    "LIBBPF_ERRNO__FORMAT",
    "errno 9999",
  ]);
  expect(errnoText(9999)).toBe("Unknown error 9999");
  expect(errnoNumber("ENOSUCH")).toBeNull();
  for (const [name, number] of Object.entries(ERRNO)) expect(errnoNumber(name)).toBe(number);
});
