import { describe, expect, test } from "bun:test";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { LAYER_ENTRIES_MAX } from "../../../src/domain/limits.ts";
import { readTar } from "../../../src/image/tar.ts";
import { bytesOf, tarEntry, tarOf, withSum } from "../../objects/image.ts";
import { temporaryDirectory } from "../../labs/temporary-directory.ts";

const directory = temporaryDirectory();
const refuse = (reason: string) => new Error(reason);
const read = (archive: Uint8Array) =>
  readTar(archive, refuse).map(({ name, bytes }) => [name, new TextDecoder().decode(bytes)]);

describe("what tar(1) writes", () => {
  test.each(["gnu", "oldgnu", "pax", "posix", "ustar", "v7"])("%s", (format) => {
    const long = `${"long-directory-name/".repeat(4)}file`;
    mkdirSync(directory.path(`in/${long.slice(0, -5)}`), { recursive: true });
    writeFileSync(directory.path(`in/${long}`), "deep");
    writeFileSync(directory.path("in/program.o"), "x".repeat(1000));
    writeFileSync(directory.path("in/empty"), "");
    const args = ["tar", `--format=${format}`, "--sort=name", "-C", directory.path("in"), "-cf", "-", "."];
    const made = Bun.spawnSync(args);
    expect(made.stderr.toString()).toBe("");
    expect(read(made.stdout)).toEqual([
      ["empty", ""],
      [long, "deep"],
      ["program.o", "x".repeat(1000)],
    ]);
  });

  test.each(["gnu", "pax"])("names of more than 100 characters, and in other scripts (%s)", (format) => {
    const name = `${"ü".repeat(100)}.o`;
    writeFileSync(directory.path(name), "content");
    const { stdout } = Bun.spawnSync(["tar", `--format=${format}`, "-C", directory.path(), "-cf", "-", name]);
    expect(read(stdout)).toEqual([[name, "content"]]);
  });

  test("links and FIFOs are rejected by name", () => {
    writeFileSync(directory.path("a"), "a");
    symlinkSync("/etc/passwd", directory.path("soft"));
    Bun.spawnSync(["ln", directory.path("a"), directory.path("hard")]);
    Bun.spawnSync(["mkfifo", directory.path("fifo")]);
    const pack = (...names: string[]) => Bun.spawnSync(["tar", "-C", directory.path(), "-cf", "-", ...names]).stdout;
    expect(() => read(pack("soft"))).toThrow('"soft" is a symbolic link');
    expect(() => read(pack("a", "hard"))).toThrow('"hard" is a hard link');
    expect(() => read(pack("fifo"))).toThrow('"fifo" is a FIFO');
  });

  test("a sparse file is rejected", () => {
    const pack = (...args: string[]) => {
      Bun.spawnSync(["truncate", "-s", "10M", directory.path("hole")]);
      return Bun.spawnSync(["tar", "-S", ...args, "-C", directory.path(), "-cf", "-", "hole"]).stdout;
    };
    expect(() => read(pack("--format=gnu"))).toThrow("sparse");
    expect(() => read(pack("--format=pax"))).toThrow("sparse");
  });
});

describe("names", () => {
  test.each(["./a", "/a", "././a", "//a", "/./a", "a"])("%s is a", (name) => {
    expect(read(tarOf([{ name, bytes: bytesOf("x") }]))).toEqual([["a", "x"]]);
  });
  test.each(["..", "../a", "a/../b", "a/..", "./../a", "/../a"])("%s leads out", (name) => {
    expect(() => read(tarOf([{ name }]))).toThrow("points outside of it");
  });
  test("a pax name cannot lead out either", () => {
    const record = "20 path=../../evil.o\n";
    const archive = tarOf([{ name: "pax", type: "x", bytes: bytesOf(record.replace("20", "21")) }, { name: "a" }]);
    expect(() => read(archive)).toThrow("points outside of it");
  });
  test("a pax header is for the entry that follows, and no other", () => {
    const archive = tarOf([
      { name: "pax", type: "x", bytes: bytesOf("14 path=one.o\n") },
      { name: "a", bytes: bytesOf("1") },
      { name: "b", bytes: bytesOf("2") },
    ]);
    expect(read(archive)).toEqual([
      ["one.o", "1"],
      ["b", "2"],
    ]);
  });
  test("a global pax header changes nothing", () => {
    const archive = tarOf([{ name: "g", type: "g", bytes: bytesOf("14 path=one.o\n") }, { name: "a" }]);
    expect(read(archive)).toEqual([["a", ""]]);
  });
});

describe("devices and unknown types of entries", () => {
  test.each([
    ["3", "a character device"],
    ["4", "a block device"],
    ["1", "a hard link"],
    ["2", "a symbolic link"],
    ["V", "unknown type"],
  ])("type %s", (type, reason) => {
    expect(() => read(tarOf([{ name: "a", type, link: "/etc/passwd" }]))).toThrow(reason);
  });
});

describe("malformed archives", () => {
  const entry = Buffer.from(tarEntry({ name: "a", bytes: bytesOf("content") }));
  const withSize = (size: string | Uint8Array) => {
    const header = Buffer.from(entry.subarray(0, 512));
    header.fill(0, 124, 136);
    if (typeof size === "string") header.write(size, 124);
    else header.set(size, 124);
    return Buffer.concat([withSum(header), Buffer.alloc(1024)]);
  };

  test("a wrong checksum, and files that are not archives", () => {
    const damaged = Buffer.from(entry);
    damaged[0] = 0x62;
    expect(() => read(damaged)).toThrow("not a tar archive");
    expect(() => read(Buffer.alloc(512, 0x7f))).toThrow("not a tar archive");
    expect(() => read(new Uint8Array(0))).toThrow("empty");
  });

  test("one that ends too early", () => {
    expect(() => read(entry.subarray(0, 515))).toThrow("middle of a file");
    expect(() => read(withSize("00001000000"))).toThrow("middle of a file");
    expect(read(entry.subarray(0, 519))).toEqual([["a", "content"]]);
  });

  test.each(["", "-0000000001", "9", "0x10", "00000000 1"])("size %j", (size) => {
    expect(() => read(withSize(size))).toThrow("no valid size");
  });
  test("sizes in binary", () => {
    expect(() => read(withSize(new Uint8Array(12).fill(0xff)))).toThrow("no valid size");
  });
  test.each(["99999999999999999999", "-1", "1e3", ""])("pax size %j", (size) => {
    const record = ` size=${size}\n`;
    const bytes = bytesOf(`${record.length + (record.length > 7 ? 2 : 1)}${record}`);
    expect(() => read(tarOf([{ name: "x", type: "x", bytes }, { name: "a" }]))).toThrow("no valid size");
  });
  test.each(["5 a=\n", "99 path=a\n", "7 path=a\n", "11 path=a", "\n", "x path=a\n", "0 a=b\n", "6 a=b\n5 "])(
    "pax records %j",
    (records) => {
      const archive = tarOf([{ name: "x", type: "x", bytes: bytesOf(records) }, { name: "a" }]);
      if (records === "5 a=\n") expect(read(archive)).toEqual([["a", ""]]);
      else expect(() => read(archive)).toThrow("pax header that cannot be read");
    },
  );
  test("a name of a megabyte", () => {
    const bytes = new Uint8Array(1024 * 1024).fill(0x61);
    for (const type of ["L", "x", "K", "g"]) {
      expect(() => read(tarOf([{ name: "x", type, bytes }, { name: "a" }]))).toThrow("overlong name");
    }
  });

  test("a million entries are not looked at", () => {
    const one = tarEntry({ name: "a" });
    const archive = new Uint8Array(one.length * 50_000);
    for (let at = 0; at < archive.length; at += one.length) archive.set(one, at);
    expect(() => read(archive)).toThrow(`more than ${LAYER_ENTRIES_MAX} entries`);
    const enough = archive.subarray(0, one.length * LAYER_ENTRIES_MAX);
    expect(read(enough)).toHaveLength(LAYER_ENTRIES_MAX);
  });
});
