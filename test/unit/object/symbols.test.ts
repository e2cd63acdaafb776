import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { arch, tmpdir } from "node:os";
import { join } from "node:path";
import { BpfmanError } from "../../../src/errors/error.ts";
import type { ByteSource } from "../../../src/platform/files.ts";
import { memorySource } from "../../../src/object/fields.ts";
import { findSymbols, loadSegmentContains, symbolNames } from "../../../src/object/symbols.ts";
import { type ElfDraft, type SymbolDraft, elfOf } from "../../objects/elf.ts";
import { fileSource } from "../../objects/file-source.ts";
import { OWN_MULTIARCH } from "../../../scripts/debian.ts";

const SOURCE = `
__attribute__((noinline)) int exported(int x) { return x + 1; }
__attribute__((noinline, weak)) int weak_one(int x) { return x + 2; }
__attribute__((noinline)) static int hidden(int x) { return x + 3; }
__attribute__((noinline)) int my_exported(int x) { return x + 4; }
int variable = 5;
static int (*resolve(void))(int) { return hidden; }
int chosen(int) __attribute__((ifunc("resolve")));
extern int missing(int) __attribute__((weak));
int entry(int x) { return exported(x) + weak_one(x) + hidden(x) + my_exported(x) + variable + (missing ? missing(x) : 0); }
`;
/** A library with two versions of one function, the way glibc keeps old ones. */
const VERSIONED = `
__attribute__((noinline)) int old_answer(void) { return 1; }
__attribute__((noinline)) int new_answer(void) { return 2; }
__asm__(".symver old_answer, answer@V_1");
__asm__(".symver new_answer, answer@@V_2");
`;
/** Two files with a static function of the same name as another's global one. */
const OTHER = "__attribute__((noinline, used)) static int exported(int x) { return x + 9; }\n";

let directory = "";
const at = (name: string) => join(directory, name);

function compile(output: string, flags: readonly string[]): string {
  const { exitCode, stderr } = Bun.spawnSync(["clang", "-O1", "-nostdlib", ...flags, "-o", at(output)], {
    cwd: directory,
  });
  if (exitCode !== 0) throw new Error(`clang failed: ${stderr}`);
  return at(output);
}

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "bpfman-symbols-"));
  writeFileSync(at("main.c"), SOURCE);
  writeFileSync(at("versioned.c"), VERSIONED);
  writeFileSync(at("other.c"), OTHER);
  writeFileSync(at("versions"), "V_1 { global: answer; local: *; }; V_2 { global: answer; } V_1;\n");
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** File offset and size of a function according to readelf: its address moved by its section's place in the file. */
function byReadelf(path: string, name: string, table = "symtab"): { fileOffset: number; size: number }[] {
  const text = Bun.spawnSync(["readelf", "-SsW", path]).stdout.toString();
  const sections = [...text.matchAll(/^ *\[ *(\d+)\] \S+ +\S+ +([0-9a-f]+) ([0-9a-f]+)/gm)];
  const moved = new Map(
    sections.map(([, index, address, offset]) => [index, Number.parseInt(offset!, 16) - Number.parseInt(address!, 16)]),
  );
  const symbols = text.slice(text.indexOf(`Symbol table '.${table}'`)).split("\n\n", 1)[0]!;
  return [...symbols.matchAll(/: ([0-9a-f]+) +(\d+) I?FUNC +\w+ +\w+ +(\d+) (\S+)/g)]
    .filter(([, , , , symbol]) => symbol === name)
    .map(([, value, size, section]) => ({
      fileOffset: Number.parseInt(value!, 16) + moved.get(section)!,
      size: Number(size),
    }));
}

/** The only place of a function; null for none. */
function findIn(source: ByteSource, name: string): { fileOffset: number; size: number } | null {
  const [first, ...others] = findSymbols(source, name);
  expect({ name, others }).toEqual({ name, others: [] });
  return first === undefined ? null : { fileOffset: first.fileOffset, size: first.size };
}
const find = (path: string, name: string) => using(path, (source) => findIn(source, name));
const findAll = (path: string, name: string) => using(path, (source) => findSymbols(source, name));
const names = (path: string) => using(path, (source) => [...symbolNames(source)]);

function using<Answer>(path: string, action: (source: ReturnType<typeof fileSource>) => Answer): Answer {
  const source = fileSource(path);
  try {
    return action(source);
  } finally {
    source.close();
  }
}

/** Has the linker keep the headers out of the segment of the code, as it does on x86-64 without being told. */
const CODE_APART = "-Wl,-z,separate-code";

describe("functions in compiled files", () => {
  const layouts: readonly [string, readonly string[]][] = [
    ["an executable at a fixed place", ["-static", "-no-pie"]],
    ["a position-independent executable", ["-pie"]],
    ["a shared object", ["-shared", "-fPIC"]],
    [
      "an executable whose segments stand elsewhere than its addresses say",
      ["-static", "-no-pie", "-Wl,-Ttext=0x7000000"],
    ],
  ];
  test.each(layouts)("%s", (layout, flags) => {
    const path = compile(layout.replaceAll(/\W/g, "-"), ["main.c", "-Wl,-e,entry", ...flags]);
    for (const name of ["exported", "weak_one", "hidden", "my_exported", "entry", "chosen"]) {
      expect({ name, found: find(path, name)! }).toEqual({ name, found: byReadelf(path, name)[0]! });
    }
    for (const name of ["missing", "variable", "export", "xported", "", "@", "exported@V"])
      expect(find(path, name)).toBeNull();
    expect(names(path)).toEqual(
      expect.arrayContaining(["exported", "weak_one", "hidden", "my_exported", "entry", "chosen"]),
    );
    expect(names(path)).not.toContain("missing");
    expect(names(path)).not.toContain("variable");
  });

  test("the bytes at a function's offset are its instructions", () => {
    const path = compile("bytes", ["main.c", "-static", "-no-pie", "-Wl,-e,entry"]);
    const { fileOffset, size } = find(path, "exported")!;
    const code = readFileSync(path)
      .subarray(fileOffset, fileOffset + size)
      .toString("hex");
    const listing = Bun.spawnSync(["objdump", "-d", "--disassemble=exported", path]).stdout.toString();
    const lines = listing.matchAll(/^ +[0-9a-f]+:\t([0-9a-f ]+?) *(\t|$)/gm);
    // Bytes on x86-64, words on arm64, which are little-endian in the file.
    const words = [...lines].flatMap(([, bytes]) => bytes!.split(" "));
    expect(code).toBe(words.map((word) => Buffer.from(word, "hex").reverse().toString("hex")).join(""));
    expect(code.length).toBeGreaterThan(0);
  });

  test("a name that occurs twice in the file gives two places, with the source files of static functions", () => {
    const path = compile("both", ["other.c", "main.c", "-static", "-no-pie", "-Wl,-e,entry"]);
    const places = byReadelf(path, "exported").sort((a, b) => a.fileOffset - b.fileOffset);
    expect(places).toHaveLength(2);
    const found = findAll(path, "exported");
    expect(found.map(({ fileOffset, size }) => ({ fileOffset, size }))).toEqual(places);
    expect(found.map(({ source }) => source).sort()).toEqual([null, "other.c"].sort());
  });

  test("what a library exports wins over what it has inside", () => {
    const path = compile("both.so", ["other.c", "main.c", "-shared", "-fPIC"]);
    expect(byReadelf(path, "exported")).toHaveLength(2);
    expect(find(path, "exported")).toEqual(byReadelf(path, "exported", "dynsym")[0]!);
  });

  test("an indirect function is told from others: what bears its name is its resolver", () => {
    const path = compile("indirect", ["main.c", "-static", "-no-pie", "-Wl,-e,entry"]);
    expect(findAll(path, "chosen").map(({ indirect }) => indirect)).toEqual([true]);
    expect(findAll(path, "hidden").map(({ indirect }) => indirect)).toEqual([false]);
  });

  test("versions of a function", () => {
    const path = compile("versioned.so", ["versioned.c", "-shared", "-fPIC", "-Wl,--version-script=versions"]);
    const stripped = compile("stripped.so", ["versioned.c", "-shared", "-fPIC", "-Wl,--version-script=versions", "-s"]);
    const [old] = byReadelf(path, "answer@V_1", "dynsym");
    const [now] = byReadelf(path, "answer@@V_2", "dynsym");
    expect(old).not.toEqual(now!);
    for (const file of [path, stripped]) {
      expect(find(file, "answer")).toEqual(now!);
      expect(find(file, "answer@@V_2")).toEqual(now!);
      expect(find(file, "answer@V_2")).toEqual(now!);
      expect(find(file, "answer@V_1")).toEqual(old!);
      expect(find(file, "answer@V_3")).toBeNull();
    }
    expect(names(stripped)).toEqual(["answer"]);
  });

  test("a stripped executable has none", () => {
    const path = compile("stripped", ["main.c", "-static", "-no-pie", "-Wl,-e,entry", "-s"]);
    expect(find(path, "exported")).toBeNull();
    expect(names(path)).toEqual([]);
  });

  test.skipIf(arch() !== "x64")("a 32-bit executable (skipped on other machines than x86-64)", () => {
    const path = compile("narrow", ["main.c", "-m32", "-static", "-no-pie", "-fno-pic", "-Wl,-e,entry"]);
    for (const name of ["exported", "hidden", "chosen"]) expect(find(path, name)).toEqual(byReadelf(path, name)[0]!);
  });

  test("big-endian files of either word size", () => {
    writeFileSync(
      at("plain.c"),
      "int first(void) { return 1; } static int second(int x) { return x; } int (*keep)(int) = second;",
    );
    for (const target of ["s390x-linux-gnu", "powerpc-linux-gnu"]) {
      const path = compile(target, ["plain.c", "-c", "-target", target]);
      expect(names(path).sort()).toEqual(["first", "second"]);
      // What is not linked yet has no place in memory.
      expect(find(path, "first")).toBeNull();
    }
  });

  test("whether an offset lies in code", () => {
    const path = compile("segments", ["main.c", "-static", "-no-pie", "-Wl,-e,entry", CODE_APART]);
    const inCode = (offset: number) => using(path, (source) => loadSegmentContains(source, offset));
    const text = Bun.spawnSync(["readelf", "-lW", path]).stdout.toString();
    const [, start, size] = /LOAD +0x([0-9a-f]+) 0x[0-9a-f]+ 0x[0-9a-f]+ 0x([0-9a-f]+) 0x[0-9a-f]+ R E/.exec(text)!;
    const [first, end] = [Number.parseInt(start!, 16), Number.parseInt(start!, 16) + Number.parseInt(size!, 16)];
    expect([0, first - 1, first, end - 1, end].map(inCode)).toEqual([false, false, true, true, false]);
    expect(inCode(find(path, "exported")!.fileOffset)).toBe(true);
    expect(inCode(Number.MAX_SAFE_INTEGER)).toBe(false);
  });
});

describe("functions in libraries of this system", () => {
  const multiarch = `/lib/${OWN_MULTIARCH}`;
  const libc = join(multiarch, "libc.so.6");
  test.skipIf(!existsSync(libc))("every default function of libc (skipped where it stands elsewhere)", () => {
    const lines = Bun.spawnSync(["nm", "-D", "--defined-only", "-S", libc]).stdout.toString();
    const functions = [...lines.matchAll(/^([0-9a-f]+) ([0-9a-f]+) [TWi] (\w+)@@(\S+)$/gm)];
    expect(functions.length).toBeGreaterThan(1000);
    // In libc the code's segment stands in the file at the same place as in memory.
    const some = functions
      .filter((_, index) => index % 20 === 0)
      .concat(functions.filter(([, , , name]) => name === "malloc"));
    using(libc, (source) => {
      for (const [, address, size, name, version] of some) {
        const wanted = { fileOffset: Number.parseInt(address!, 16), size: Number.parseInt(size!, 16) };
        expect({ name, found: findIn(source, name!)! }).toEqual({ name, found: wanted });
        expect({ name, found: findIn(source, `${name}@@${version}`)! }).toEqual({ name, found: wanted });
      }
    });
    const listed = new Set(names(libc));
    expect(functions.filter(([, , , name]) => !listed.has(name!))).toEqual([]);
  });

  test.skipIf(arch() !== "x64" || !existsSync(libc))(
    "an old version of memcpy (skipped on other machines than x86-64)",
    () => {
      const text = Bun.spawnSync(["nm", "-D", libc]).stdout.toString();
      const address = (name: string) =>
        Number.parseInt(new RegExp(`^([0-9a-f]+) \\w ${name}$`, "m").exec(text)![1]!, 16);
      expect(find(libc, "memcpy")!.fileOffset).toBe(address("memcpy@@GLIBC_2.14"));
      expect(find(libc, "memcpy@GLIBC_2.2.5")!.fileOffset).toBe(address("memcpy@GLIBC_2.2.5"));
    },
  );

  test("a file of 100 MB is not read whole", () => {
    using(process.execPath, (source) => {
      expect(source.size).toBeGreaterThan(50_000_000);
      const [, name] = symbolNames(source);
      const before = source.bytesRead();
      expect(findIn(source, name!)).not.toBeNull();
      expect(source.bytesRead() - before).toBeLessThan(source.size / 20);
    });
  });
});

describe("files that cannot be searched", () => {
  function refusalOf(bytes: Uint8Array): string {
    const messages = [
      () => findSymbols(memorySource(bytes), "main"),
      () => [...symbolNames(memorySource(bytes))],
      () => loadSegmentContains(memorySource(bytes), 0),
    ].map((action) => {
      try {
        action();
      } catch (error) {
        if (!(error instanceof BpfmanError)) throw error;
        expect(error.code).toBe("INVALID_ATTACH");
        return error.message;
      }
      throw new Error("the file was accepted");
    });
    expect(new Set(messages).size).toBe(1);
    return messages[0]!;
  }

  test("a script, an empty file, a file that is cut short", () => {
    expect(refusalOf(Buffer.from("#!/bin/sh\n"))).toBe(
      'cannot read the target\'s symbols: it is not an ELF file: it begins with "#!/bin/s"',
    );
    expect(refusalOf(new Uint8Array(0))).toBe("cannot read the target's symbols: it is empty");
    const path = compile("cut", ["main.c", "-static", "-no-pie", "-Wl,-e,entry", CODE_APART]);
    expect(refusalOf(readFileSync(path).subarray(0, 100))).toMatch(
      /symbols: it is cut short: its (program|section) headers would end at byte \d+ of 100$/,
    );
    const [, start] = /LOAD +0x([0-9a-f]+) .* R E/.exec(Bun.spawnSync(["readelf", "-lW", path]).stdout.toString())!;
    const inCode = Number.parseInt(start!, 16) + 1;
    expect(refusalOf(readFileSync(path).subarray(0, inCode))).toMatch(
      /symbols: it is cut short: its code would end at byte /,
    );
  });

  test("a file that shrinks while it is read", () => {
    const bytes = readFileSync(compile("shrinks", ["main.c", "-static", "-no-pie", "-Wl,-e,entry"]));
    const source = {
      ...memorySource(bytes),
      read: (offset: number, length: number) => bytes.subarray(offset, offset + Math.min(length, 64)),
    };
    expect(() => findSymbols(source, "main")).toThrow("it became shorter while its");
  });

  test("a string table in which one name is everywhere", () => {
    const bytes = library({ symbols: [], sections: [] }, "a\0".repeat(1_100_000));
    expect(() => findSymbols(memorySource(bytes), "a")).toThrow('more than 1000000 of its names end in "a"');
    expect(findSymbols(memorySource(bytes), "b")).toEqual([]);
  });
});

describe("symbols that no linker writes", () => {
  const [GLOBAL, WEAK] = [1, 2];
  const symbol = (name: string, over: Partial<SymbolDraft>): SymbolDraft => ({
    name,
    type: 2,
    binding: GLOBAL,
    section: 1,
    value: 0x1000n,
    size: 1n,
    ...over,
  });
  const found = (symbols: readonly SymbolDraft[], name = "f") =>
    findIn(memorySource(library({ symbols, sections: [] })), name);

  test("a weak function yields to others, and functions at one place are one", () => {
    const [weak, first, second] = [
      symbol("f", { binding: WEAK }),
      symbol("f", { value: 0x1008n, size: 2n }),
      symbol("f", { value: 0x1010n }),
    ];
    expect(found([weak, first])).toEqual({ fileOffset: 40, size: 2 });
    expect(found([weak])).toEqual({ fileOffset: 32, size: 1 });
    expect(found([first, { ...first, binding: 0 }])).toEqual({ fileOffset: 40, size: 2 });
    const both = findSymbols(memorySource(library({ symbols: [weak, first, second], sections: [] })), "f");
    expect(both.map(({ fileOffset }) => fileOffset)).toEqual([40, 48]);
  });

  test("functions that are not in the file, or not in code", () => {
    expect(found([symbol("f", { section: 0 })])).toBeNull();
    expect(found([symbol("f", { section: 0xfff1 })])).toBeNull();
    expect(found([symbol("f", { type: 1 })])).toBeNull();
    expect(found([symbol("f", { value: 0x0fffn })])).toBeNull();
    expect(found([symbol("f", { value: 0x1020n })])).toBeNull();
    expect(found([symbol("f", { value: 0x3000n })])).toBeNull();
    expect(found([symbol("f", { value: 2n ** 54n })])).toBeNull();
  });

  test("a name across two pieces of a long string table", () => {
    const piece = 1024 * 1024;
    const long = Array.from({ length: 5000 }, (_, i) => `name_${i}_${"x".repeat(280)}`);
    for (const shift of [0, 1, 5, 12, 13, 14]) {
      // One byte stands before the first name; "across_pieces" has 13, and begins `shift` bytes before the boundary.
      const before = long.slice(0, 3000);
      const filler = piece - shift - 1 - before.join("\0").length - 2;
      const names = [...before, "y".repeat(filler), "across_pieces", ...long.slice(3000)];
      expect(
        found(
          names.map((name) => symbol(name, {})),
          "across_pieces",
        ),
      ).toEqual({ fileOffset: 32, size: 1 });
    }
  });

  test("names with control characters are not suggested", () => {
    const bytes = library({ symbols: [symbol("f\x1b[2J", {}), symbol("g", {})], sections: [] });
    expect([...symbolNames(memorySource(bytes))]).toEqual(["g"]);
  });
});

/** A shared object with code at 0x1000 from byte 32 on, data at 0x3000, and code where no program can be. */
function library(draft: Pick<ElfDraft, "sections" | "symbols">, strings = ""): Uint8Array {
  const sections =
    strings === ""
      ? draft.sections
      : [
          { name: ".symtab", type: 2 },
          { name: ".names", type: 3, content: Buffer.from(strings) },
        ];
  const bytes = elfOf({
    machine: 62,
    type: 3,
    symbols: draft.symbols ?? [],
    sections,
    segments: [
      { flags: 5, offset: 32n, address: 0x1000n, size: 0x20n },
      { flags: 6, offset: 32n, address: 0x3000n, size: 0x20n },
      { flags: 5, offset: 32n, address: 2n ** 54n, size: 0x20n },
    ],
  });
  // The first symbol table takes its names from the section behind it.
  if (strings !== "") new DataView(bytes.buffer).setUint32(64 + 3 * 56 + 64 + 40, 2, true);
  return bytes;
}
