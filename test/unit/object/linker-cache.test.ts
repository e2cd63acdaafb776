import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { parseLinkerCache } from "../../../src/object/linker-cache.ts";

interface Entry {
  readonly flags: number;
  readonly soname: string;
  readonly path: string;
  readonly hwcap?: bigint;
}

const X64 = 0x0303;
const ARM64 = 0x0a03;
const I386 = 0x0003;

/** A cache as ldconfig writes it. */
function cacheOf(entries: readonly Entry[], behind = 0): Uint8Array {
  const strings: number[] = [];
  const start = 48 + entries.length * 24;
  const put = (text: string) => {
    const at = start + strings.length;
    strings.push(...Buffer.from(text), 0);
    return at;
  };
  const bytes = new Uint8Array(start);
  const view = new DataView(bytes.buffer);
  bytes.set(Buffer.from("glibc-ld.so.cache1.1"));
  view.setUint32(20, entries.length, true);
  entries.forEach(({ flags, soname, path, hwcap = 0n }, index) => {
    const at = 48 + index * 24;
    view.setUint32(at, flags, true);
    view.setUint32(at + 4, put(soname), true);
    view.setUint32(at + 8, put(path), true);
    view.setBigUint64(at + 16, hwcap, true);
  });
  view.setUint32(24, strings.length, true);
  return new Uint8Array([...oldCache(behind), ...bytes, ...strings]);
}

/** The format of glibc 2.1 with `count` entries, filled up to 8 bytes; nothing for 0. */
function oldCache(count: number): Uint8Array {
  if (count === 0) return new Uint8Array(0);
  const bytes = new Uint8Array(Math.ceil((16 + count * 12) / 8) * 8);
  bytes.set(Buffer.from("ld.so-1.7.0"));
  new DataView(bytes.buffer).setUint32(12, count, true);
  return bytes;
}

const LIBC = { flags: X64, soname: "libc.so.6", path: "/lib/x86_64-linux-gnu/libc.so.6" };
const parse = (bytes: Uint8Array, arch = "x64") => Object.fromEntries(parseLinkerCache(bytes, arch));

describe("the dynamic linker's cache", () => {
  test.skipIf(!existsSync("/etc/ld.so.cache") || !Bun.which("ldconfig"))(
    "this system's, as ldconfig prints it (skipped without ldconfig)",
    () => {
      const printed = Bun.spawnSync(["ldconfig", "-p"]).stdout.toString();
      const lines = [...printed.matchAll(/^\t(\S+) \(libc6,(?:x86-64|AArch64)\) => (\S+)$/gm)];
      expect(lines.length).toBeGreaterThan(10);
      const wanted = new Map<string, string>();
      for (const [, soname, path] of lines) if (!wanted.has(soname!)) wanted.set(soname!, path!);
      const found = parseLinkerCache(new Uint8Array(readFileSync("/etc/ld.so.cache")));
      for (const [soname, path] of wanted) expect({ soname, path: found.get(soname) }).toEqual({ soname, path });
      expect(found.get("libc.so.6")).toMatch(/^\/.*libc\.so\.6$/);
    },
  );

  test("behind the older format", () => {
    for (const behind of [0, 1, 2, 5]) expect(parse(cacheOf([LIBC], behind))).toEqual({ "libc.so.6": LIBC.path });
  });

  test("libraries for the machine come first, then plain builds, then the first", () => {
    const entries = [
      { flags: I386, soname: "a.so", path: "/lib32/a.so" },
      { flags: X64, soname: "a.so", path: "/hwcaps/a.so", hwcap: 1n << 62n },
      { flags: X64, soname: "a.so", path: "/lib/a.so" },
      { flags: X64, soname: "a.so", path: "/later/a.so" },
      { flags: I386, soname: "b.so", path: "/lib32/b.so" },
      { flags: ARM64, soname: "a.so", path: "/arm/a.so" },
    ];
    expect(parse(cacheOf(entries))).toEqual({ "a.so": "/lib/a.so", "b.so": "/lib32/b.so" });
    expect(parse(cacheOf(entries), "arm64")["a.so"]).toBe("/arm/a.so");
  });

  test("no more libraries than any system has", () => {
    const entries = Array.from({ length: 32_769 }, (_, i) => ({ ...LIBC, soname: `lib${i}.so` }));
    expect(parseLinkerCache(cacheOf(entries), "x64").size).toBe(32_768);
  });

  test("a damaged cache answers what is sound in it", () => {
    const sound = cacheOf([LIBC]);
    const with32 = (at: number, value: number) => {
      const bytes = sound.slice();
      new DataView(bytes.buffer).setUint32(at, value, true);
      return parse(bytes);
    };
    expect(with32(20, 0xffff_ffff)["libc.so.6"]).toBe(LIBC.path);
    expect(with32(48 + 4, 0xffff_ffff)).toEqual({});
    expect(with32(48 + 8, sound.length)).toEqual({});
    expect(with32(48 + 8, 0)).toEqual({});
    expect(
      parse(
        cacheOf([
          { ...LIBC, path: "relative/libc.so.6" },
          { ...LIBC, soname: "" },
        ]),
      ),
    ).toEqual({});
    for (let length = 0; length < sound.length; length++) {
      expect(Object.keys(parse(sound.subarray(0, length)))).toEqual([]);
    }
    expect(parse(Buffer.from("ld.so-1.7.0\0\xff\xff\xff\xff", "latin1"))).toEqual({});
    expect(parse(Buffer.from("no cache at all"))).toEqual({});
  });
});
