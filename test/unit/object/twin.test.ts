import { expect, test } from "bun:test";
import { BpfmanError } from "../../../src/errors/error.ts";
import { KIND, openBtf, typeOf } from "../../../src/object/btf.ts";
import { namedSections, openElf, SHT, STB, sectionFields, symbols } from "../../../src/object/elf.ts";
import { memorySource } from "../../../src/object/fields.ts";
import { objectForLibbpf, openForLibbpf, readObject, twinBytes } from "../../../src/object/object-file.ts";
import { compileBpf } from "../../objects/compile.ts";

const refuse = (reason: string) => new BpfmanError("INVALID_OBJECT", reason);
function sectionsOf(bytes: Uint8Array) {
  const elf = openElf(memorySource(bytes), refuse);
  return { elf, sections: namedSections(elf) };
}
const sizeOf = (bytes: Uint8Array, name: string): number | undefined =>
  sectionsOf(bytes).sections.find((section) => section.name === name)?.size;

/** The prototype of a function: what it answers, and what its argument points at. */
function prototypeOf(bytes: Uint8Array, name: string) {
  const { elf, sections } = sectionsOf(bytes);
  const btf = openBtf(sectionFields(elf, sections.find((section) => section.name === ".BTF")!, "BTF"));
  const nameOf = (id: number) => btf.strings.name(typeOf(btf, id).nameAt);
  for (let id = 1; id < btf.places.length; id++) {
    const type = typeOf(btf, id);
    if (type.kind !== KIND.function || nameOf(id) !== name) continue;
    const prototype = typeOf(btf, type.sizeOrType);
    const pointer = typeOf(btf, btf.types.u32(prototype.tail + 4));
    return [type.count, nameOf(prototype.sizeOrType), prototype.count, nameOf(pointer.sizeOrType)];
  }
  return null;
}

const MAPS = `
  int a(struct xdp_md *c); int b(struct xdp_md *c); int c(struct xdp_md *c); int other(struct xdp_md *c);
  #define JUMPS(name, ...) struct { __uint(type, BPF_MAP_TYPE_PROG_ARRAY); __uint(max_entries, 4); __uint(key_size, 4); \\
    __array(values, int(void *)); } name SEC(".maps") = { .values = { __VA_ARGS__ } };
  JUMPS(first, [0] = (void *)&b)
  JUMPS(second, [1] = (void *)&c, [2] = (void *)&a)
  JUMPS(unused, [0] = (void *)&other)
  static __attribute__((noinline)) int jump(struct xdp_md *ctx) { bpf_tail_call(ctx, &second, 1); return 2; }
  SEC("xdp") int a(struct xdp_md *ctx) { bpf_tail_call(ctx, &first, 0); return 2; }
  SEC("xdp") int b(struct xdp_md *ctx) { return jump(ctx); }
  SEC("xdp") int c(struct xdp_md *ctx) { return 1; }
  SEC("xdp") int other(struct xdp_md *ctx) { bpf_tail_call(ctx, &unused, 0); return 1; }
`;

const adapted = (bytes: Uint8Array, ...programs: string[]) => objectForLibbpf(bytes, readObject(bytes), programs);

test("the programs in a program's arrays are loaded along, and those in their arrays; unused arrays add nothing", () => {
  const bytes = compileBpf(MAPS);
  const along = adapted(bytes, "a", "c");
  expect(along.along).toEqual(
    new Map([
      ["a", ["b", "c"]],
      ["c", []],
    ]),
  );
  // Three of four values are of arrays in use.
  expect([sizeOf(bytes, ".rel.maps"), sizeOf(along.bytes, ".rel.maps")]).toEqual([64, 48]);
  expect(readObject(along.bytes)).toEqual(readObject(bytes));
  expect(adapted(bytes, "c").along).toEqual(new Map([["c", []]]));
  expect(sizeOf(adapted(bytes, "c").bytes, ".rel.maps")).toBe(0);
  const all = adapted(bytes, "a", "other");
  expect(all.bytes).toBe(bytes);
  expect(all.along.get("other")).toEqual([]);
});

test("an object without such arrays stays as it is", () => {
  const bytes = compileBpf('SEC("xdp") int a(struct xdp_md *ctx) { return 2; }');
  expect(adapted(bytes, "a")).toEqual({
    bytes,
    unusedMaps: new Set(),
    structs: new Map(),
    along: new Map([["a", []]]),
  });
});

test.each(["xdp", "tc"] as const)("a twin of %s has the type of a slot, whatever the program has", (hook) => {
  const context = hook === "xdp" ? "xdp_md" : "__sk_buff";
  const source = [
    `enum e { ONE = 1 }; SEC("${hook}") enum e an_enum(struct ${context} *ctx) { return ONE; }`,
    `SEC("${hook}") int anything(void *ctx) { return 0; }`,
    `SEC("${hook}") int nothing(void) { return 0; }`,
    `SEC("${hook}") long two(struct ${context} *ctx, int more) { return 0; }`,
  ].join("\n");
  const bytes = compileBpf(source);
  for (const name of ["an_enum", "anything", "nothing", "two"]) {
    const twin = twinBytes(bytes, name, hook) as Uint8Array;
    expect(prototypeOf(twin, name)).toEqual([1, "int", 1, context]);
    expect(readObject(twin).programs).toEqual(readObject(bytes).programs);
    expect(openForLibbpf(twin).bytes).toBe(twin);
  }
});

test("a twin has no initial values of maps, and there is none without BTF", () => {
  expect(sizeOf(twinBytes(compileBpf(MAPS), "a", "xdp") as Uint8Array, ".rel.maps")).toBe(0);
  expect(twinBytes(compileBpf('SEC("xdp") int a(void *ctx) { return 2; }', ["-g0"]), "a", "xdp")).toBeNull();
  expect(twinBytes(compileBpf('SEC("xdp") int a(void *ctx) { return 2; }'), "b", "xdp")).toBeNull();
});

test("a twin needs no kernel function or variable that only other programs of its object use", () => {
  const bytes = compileBpf(`extern int for_another(void) __attribute__((section(".ksyms")));
    extern int for_it(void) __attribute__((section(".ksyms")));
    SEC("xdp") int a(struct xdp_md *ctx) { return for_it(); }
    SEC("xdp") int b(struct xdp_md *ctx) { return for_another(); }`);
  const { elf, sections } = sectionsOf(twinBytes(bytes, "a", "xdp") as Uint8Array);
  const table = sections.find(({ type }) => type === SHT.symtab)!;
  const names = sectionFields(elf, sections[table.link]!, "symbol names");
  const externs = [...symbols(elf, table)].filter((symbol) => symbol.undefined && symbol.nameAt !== 0);
  expect(new Map(externs.map(({ nameAt, binding }) => [names.name(nameAt), binding]))).toEqual(
    new Map([
      ["for_another", STB.weak],
      ["for_it", STB.global],
    ]),
  );
});
