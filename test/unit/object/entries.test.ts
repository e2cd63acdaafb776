import { describe, expect, test } from "bun:test";
import { BpfmanError } from "../../../src/errors/error.ts";
import { readObject } from "../../../src/object/object-file.ts";
import { compileBpf } from "../../objects/compile.ts";
import { type ElfDraft, type SymbolDraft, elfOf } from "../../objects/elf.ts";

const [OBJECT, FUNC] = [1, 2];
const [LOCAL, GLOBAL, WEAK] = [0, 1, 2];
const EXECUTABLE = 4n;
const CODE = new Uint8Array(64);

const object = (draft: Pick<ElfDraft, "sections" | "symbols">) =>
  readObject(elfOf({ machine: 247, type: 1, ...draft }));
const symbol = (name: string, over: Partial<SymbolDraft>): SymbolDraft => ({
  name,
  type: FUNC,
  binding: GLOBAL,
  section: 1,
  value: 0n,
  size: 8n,
  ...over,
});

function refusalOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof BpfmanError) return error.message.replace("cannot read the object file: ", "");
    throw error;
  }
  throw new Error("nothing was refused");
}

describe("what symbols stand for", () => {
  test("programs are functions, also static ones, in the order of sections and places", () => {
    const { programs } = object({
      sections: [
        { name: "xdp", type: 1, flags: EXECUTABLE, content: CODE },
        { name: "tc", type: 1, flags: EXECUTABLE, content: CODE },
        { name: "data", type: 1, content: CODE },
        { name: "fentry", type: 1, flags: EXECUTABLE, content: new Uint8Array(0) },
      ],
      symbols: [
        symbol("fourth", { section: 2, value: 8n }),
        symbol("second", { value: 32n, binding: WEAK }),
        symbol("first", { value: 8n }),
        symbol("third", { section: 2 }),
        symbol("static", { binding: LOCAL }),
        symbol("object", { type: OBJECT }),
        symbol(".hidden", {}),
        symbol("", {}),
        symbol("in_data", { section: 3 }),
        symbol("in_empty", { section: 4, size: 0n }),
        symbol("undefined", { section: 0 }),
        symbol("absolute", { section: 0xfff1 }),
        symbol("nowhere", { section: 999 }),
      ],
    });
    expect(programs.map(({ name }) => name)).toEqual(["static", "first", "second", "third", "fourth"]);
  });

  test("a static function in a section of programs, as clang writes it", () => {
    const source =
      '__attribute__((used)) static SEC("xdp") int quiet(void *ctx) { return 1; } SEC("xdp") int loud(void *ctx) { return 2; }';
    expect(readObject(compileBpf(source)).programs.map(({ name }) => name)).toEqual(["quiet", "loud"]);
  });

  test("variables are sized objects in data sections, in the order of sections and places", () => {
    const variable = (name: string, over: Partial<SymbolDraft>) => symbol(name, { type: OBJECT, ...over });
    const { globals } = object({
      sections: [
        { name: ".rodata", type: 1, content: CODE },
        { name: ".bss.own", type: 8, size: 64 },
        { name: ".rodata.str1.1", type: 1, content: CODE },
        { name: ".database", type: 1, content: CODE },
        { name: ".data", type: 7, content: CODE },
      ],
      symbols: [
        variable("last", { section: 2, value: 60n, size: 4n }),
        variable("f.static", { binding: LOCAL, value: 16n, size: 48n }),
        variable("first", { value: 0n, size: 16n }),
        variable("label", { size: 0n }),
        variable(".L.str", {}),
        variable("literal", { section: 3 }),
        variable("elsewhere", { section: 4 }),
        variable("note", { section: 5 }),
        symbol("function", {}),
      ],
    });
    expect(globals).toEqual([
      { name: "first", section: ".rodata", offset: 0, size: 16 },
      { name: "f.static", section: ".rodata", offset: 16, size: 48 },
      { name: "last", section: ".bss.own", offset: 60, size: 4 },
    ]);
  });

  test("symbols beyond their section", () => {
    const sections = [{ name: "xdp", type: 1, flags: EXECUTABLE, content: CODE }];
    const beyond = (value: bigint, size: bigint) =>
      refusalOf(() => object({ sections, symbols: [symbol("f", { value, size })] }));
    const reason = 'its symbol "f" reaches beyond section "xdp"';
    expect([beyond(64n, 1n), beyond(0n, 65n), beyond(2n ** 64n - 8n, 16n), beyond(8n, 2n ** 64n - 8n)]).toEqual(
      new Array(4).fill(reason),
    );
    expect(object({ sections, symbols: [symbol("f", { value: 56n })] }).programs.length).toBe(1);
  });

  test("names as long as may be, and longer", () => {
    const sections = [{ name: ".bss", type: 8, size: 64 }];
    const named = (name: string) => object({ sections, symbols: [symbol(name, { type: OBJECT })] });
    expect(named("v".repeat(512)).globals[0]?.name).toBe("v".repeat(512));
    expect(refusalOf(() => named("v".repeat(513)))).toBe("one of its symbol names does not end within 512 bytes");
  });

  test("too many, and two symbol tables", () => {
    const sections = [{ name: ".bss", type: 8, size: 64 }];
    const many = (count: number) => ({ sections, symbols: new Array(count).fill(symbol("v", { type: OBJECT })) });
    expect(object(many(16_384)).globals.length).toBe(16_384);
    expect(refusalOf(() => object(many(16_385)))).toBe("it has more than 16384 programs and global variables");
    expect(refusalOf(() => object({ sections: [{ name: ".other", type: 2 }] }))).toBe(
      "it has 2 symbol tables instead of one",
    );
  });
});

describe("the licence", () => {
  const licenseOf = (text: string) => {
    const content = Buffer.from(text);
    return object({ sections: [{ name: "license", type: 1, content }] }).license;
  };

  test("ends at its NUL byte, at the end of the section, or where libbpf cuts it off", () => {
    expect(licenseOf("Dual BSD/GPL\0junk")).toBe("Dual BSD/GPL");
    expect(licenseOf("GPL")).toBe("GPL");
    expect(licenseOf("\0")).toBe("");
    expect(licenseOf("x".repeat(100))).toBe("x".repeat(63));
  });

  test("is rejected if it has control characters, or no bytes in the file", () => {
    expect(refusalOf(() => licenseOf("GPL\x1b[2J\0"))).toBe('its licence has control characters: "GPL\\u001b[2J"');
    expect(refusalOf(() => object({ sections: [{ name: "license", type: 8, size: 4 }] }))).toBe(
      "it has no bytes for its licence",
    );
  });
});
