/** Functions of stripped Go programs, from the table of Go's runtime. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findSymbols, symbolNames } from "../../../src/object/symbols.ts";
import { memorySource } from "../../../src/object/fields.ts";
import { elfOf } from "../../objects/elf.ts";
import { fileSource } from "../../objects/file-source.ts";

const SOURCE = `package main
import "os"
type server struct{ n int }
//go:noinline
func (s *server) handle(x int) int { s.n += x; return s.n }
//go:noinline
func twice(x int) int { return x * 2 }
func main() { s := &server{}; os.Exit(twice(s.handle(0))) }
`;
const NAMES = ["main.main", "main.twice", "main.(*server).handle", "os.Exit"];
const go = Bun.which("go");

let directory = "";
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "bpfman-go-"));
  writeFileSync(join(directory, "main.go"), SOURCE);
  writeFileSync(join(directory, "go.mod"), "module example\ngo 1.18\n");
});
afterAll(() => rmSync(directory, { recursive: true }));

function run(environment: Record<string, string>, ...words: string[]): void {
  const caches = { GOFLAGS: "-mod=mod", GOTOOLCHAIN: "local", CGO_ENABLED: "0" };
  const env = { ...process.env, ...caches, ...environment };
  const { exitCode, stderr } = Bun.spawnSync(words, { cwd: directory, env });
  if (exitCode !== 0) throw new Error(`${words.join(" ")} failed: ${stderr}`);
}

describe.skipIf(go === null)("what Go made (skipped where there is no Go)", () => {
  const builds: readonly [string, Record<string, string>, readonly string[]][] = [
    ["an executable", {}, []],
    ["one that can be mapped anywhere", {}, ["-buildmode=pie"]],
    ["a 32-bit one", { GOARCH: "386" }, []],
    ["a big-endian one", { GOARCH: "s390x" }, []],
  ];
  test.each(builds)(
    "%s",
    (_, environment, flags) => {
      run(environment, "go", "build", ...flags, "-o", "whole", ".");
      // Go's own linker strips for every machine.
      run(environment, "go", "build", ...flags, "-ldflags=-s -w", "-o", "stripped", ".");
      const [whole, stripped] = [fileSource(join(directory, "whole")), fileSource(join(directory, "stripped"))];
      const code = (source: typeof whole, name: string) => {
        const [only, ...others] = findSymbols(source, name);
        expect([name, only === undefined, others]).toEqual([name, false, []]);
        return Buffer.from(source.read(only?.fileOffset ?? 0, 32)).toString("hex");
      };
      const kept = new Set(symbolNames(stripped));
      for (const name of NAMES) {
        if (name !== "os.Exit") expect(code(stripped, name).slice(0, 8)).toBe(code(whole, name).slice(0, 8));
        expect(kept.has(name)).toBe(true);
      }
      expect(findSymbols(stripped, "main.nothing")).toEqual([]);
      expect(findSymbols(stripped, "ain.main")).toEqual([]);
      whole.close();
      stripped.close();
    },
    120_000,
  );

  test("by strip(1), each function stands where the symbol table said", () => {
    run({}, "go", "build", "-o", "whole", ".");
    run({}, "strip", "-o", "bare", "whole");
    const [whole, bare] = [fileSource(join(directory, "whole")), fileSource(join(directory, "bare"))];
    for (const name of NAMES) {
      const [before, after] = [findSymbols(whole, name), findSymbols(bare, name)];
      expect(after.map(({ fileOffset }) => fileOffset)).toEqual(before.map(({ fileOffset }) => fileOffset));
      expect(after[0]?.size).toBeGreaterThanOrEqual(before[0]?.size ?? 0);
    }
    whole.close();
    bare.close();
  }, 120_000);
});

describe("tables made by hand", () => {
  const TEXT = 0x1000;
  /** The table with two functions, 16 bytes each, as that version of Go has it. */
  function table(magic: number, changes: { readonly count?: number; readonly namesAt?: number } = {}): Uint8Array {
    const old = magic === 0xffff_fffa;
    const names = Buffer.from("\0first\0second\0");
    const header = 8 + 8 * 8;
    const half = old ? 8 : 4;
    const functionsAt = header + 16;
    const bytes = Buffer.alloc(functionsAt + 5 * half + 2 * 32);
    bytes.writeUInt32LE(magic, 0);
    bytes[6] = 1;
    bytes[7] = 8;
    const word = (index: number, value: number) => bytes.writeBigUInt64LE(BigInt(value), 8 + index * 8);
    word(0, changes.count ?? 2);
    if (!old) word(2, TEXT);
    const shift = old ? 0 : 1;
    word(2 + shift, changes.namesAt ?? header);
    word(3 + shift, header + names.length);
    word(6 + shift, functionsAt);
    names.copy(bytes, header);
    const put = (at: number, value: number) =>
      old ? bytes.writeBigUInt64LE(BigInt(value), at) : bytes.writeUInt32LE(value, at);
    [0, 1, 2].forEach((index) => {
      put(functionsAt + 2 * index * half, (old ? TEXT : 0) + 16 * index);
      if (index === 2) return;
      const record = 5 * half + index * 32;
      put(functionsAt + (2 * index + 1) * half, record);
      put(functionsAt + record, (old ? TEXT : 0) + 16 * index);
      bytes.writeUInt32LE(index === 0 ? 1 : 7, functionsAt + record + half);
    });
    return bytes;
  }
  const program = (content: Uint8Array, section = ".gopclntab") =>
    memorySource(
      elfOf({
        machine: 62,
        type: 2,
        sections: [
          { name: ".note.go.buildid", type: 7, content: Buffer.from("x") },
          { name: section, type: 1, content },
        ],
        segments: [{ flags: 5, offset: 32n, address: BigInt(TEXT), size: 0x20n }],
      }),
    );

  test.each([
    ["1.16", 0xffff_fffa],
    ["1.18", 0xffff_fff0],
    ["1.20", 0xffff_fff1],
  ])("Go %s", (_, magic) => {
    for (const section of [".gopclntab", ".data.rel.ro.gopclntab", ".data.rel.ro"]) {
      const source = program(table(magic), section);
      expect(findSymbols(source, "first")).toMatchObject([{ name: "first", fileOffset: 32, size: 16 }]);
      expect(findSymbols(source, "second")).toMatchObject([{ name: "second", fileOffset: 48, size: 16 }]);
      for (const name of ["irst", "third", ""]) expect(findSymbols(source, name)).toEqual([]);
      expect([...symbolNames(source)]).toEqual(["first", "second"]);
    }
  });

  test("unknown layouts, and tables larger than their section, name nothing", () => {
    for (const content of [
      table(0xffff_fffb),
      table(0xffff_fff1, { count: 1000 }),
      table(0xffff_fff1, { count: 2 ** 48 }),
      table(0xffff_fff1, { namesAt: 2 ** 40 }),
      table(0xffff_fff1).subarray(0, 20),
      new Uint8Array(0),
    ]) {
      expect(findSymbols(program(content), "first")).toEqual([]);
      expect([...symbolNames(program(content))]).toEqual([]);
    }
  });

  test("files that Go did not build are not searched", () => {
    const content = table(0xffff_fff1);
    const file = elfOf({ machine: 62, type: 2, sections: [{ name: ".gopclntab", type: 1, content }] });
    expect(findSymbols(memorySource(file), "first")).toEqual([]);
  });
});
