/** Which structs of kernel hooks libbpf gets to see, and that nothing it would copy lies outside of them. */
import { describe, expect, test } from "bun:test";
import { BpfmanError } from "../../../src/errors/error.ts";
import { type Btf, findDatasec, KIND, membersOf, typeOf } from "../../../src/object/btf.ts";
import { objectForLibbpf, readObject } from "../../../src/object/object-file.ts";
import { OpenObject } from "../../../src/object/open-object.ts";
import { compileBpf } from "../../objects/compile.ts";

const SOURCE = `struct one_ops { int (*first)(void); int (*second)(void); };
  SEC("struct_ops") int on_first(unsigned long long *ctx) { return 0; }
  SEC("struct_ops.s/second") int on_second(unsigned long long *ctx) { return 0; }
  SEC("struct_ops") int on_other(unsigned long long *ctx) { return 0; }
  SEC("struct_ops") static int hidden(unsigned long long *ctx) { return 0; }
  SEC("xdp") int pass(struct xdp_md *ctx) { return 2; }
  SEC("?.struct_ops.link") struct one_ops one = { .first = (void *)on_first, .second = (void *)on_second };
  SEC("?.struct_ops.link") struct one_ops two = { .first = (void *)on_first };
  SEC("?.struct_ops.link") struct one_ops three = { .first = (void *)on_other, .second = (void *)hidden };`;
const BYTES = compileBpf(SOURCE);

const open = (bytes: Uint8Array): OpenObject =>
  new OpenObject(bytes, (reason) => new BpfmanError("INVALID_OBJECT", reason));
const reduced = (bytes: Uint8Array, ...programs: string[]) => objectForLibbpf(bytes, readObject(bytes), programs);

/** The structs that libbpf makes maps of, each with the number of its members that are programs. */
function seen(bytes: Uint8Array): [string, number][] {
  const object = open(bytes);
  const section = object.sections.find(({ name, type }) => name === ".struct_ops" && type === 1);
  const btf = object.btf() as Btf;
  const datasec = section && findDatasec(btf, ".struct_ops");
  if (section === undefined || !datasec) return [];
  const places = object.references(section.index).map(({ at }) => at);
  return membersOf(datasec).map((at) => {
    const [id, offset, size] = [0, 4, 8].map((field) => btf.types.u32(at + field)) as [number, number, number];
    const filled = places.filter((place) => place >= offset && place < offset + size);
    return [btf.strings.name(typeOf(btf, id).nameAt), filled.length];
  });
}

describe("libbpf sees", () => {
  test("none, if no member is loaded", () => {
    const { bytes, structs } = reduced(BYTES, "pass");
    expect([seen(bytes), structs]).toEqual([[], new Map()]);
  });

  test("those with a member that is loaded, and their relocations alone", () => {
    const { bytes, structs } = reduced(BYTES, "on_second", "pass");
    expect(seen(bytes)).toEqual([["one", 2]]);
    expect(structs).toEqual(new Map([["one", { linked: true }]]));
    expect(seen(reduced(BYTES, "on_first").bytes)).toEqual([
      ["one", 2],
      ["two", 1],
    ]);
  });
});

/** The same with another number in the type "one_ops": its size, or the place of its second member. */
function changed(field: "size" | "member", value: number): Uint8Array {
  const bytes = new Uint8Array(BYTES);
  const btf = open(bytes).btf() as Btf;
  const { types, strings, places } = btf;
  const id = places.findIndex((at, each) => {
    if (each === 0 || at === undefined) return false;
    const { kind, nameAt } = typeOf(btf, each);
    return kind === KIND.struct && strings.name(nameAt) === "one_ops";
  });
  const at = types.bytes.byteOffset + (places[id] ?? 0) + (field === "size" ? 8 : 12 + 12 + 8);
  new DataView(bytes.buffer).setUint32(at, value, true);
  return bytes;
}

describe("refused is", () => {
  test.each([
    ["a member that libbpf would read beyond its struct", changed("member", 0x10_0000), "reaches beyond it"],
    ["a struct beyond its section", changed("size", 0x1000), "reaches beyond its section"],
    ["a struct whose end overflows", changed("size", 0xffff_fff0), "reaches beyond its section"],
  ])("%s", (_, bytes, reason) => {
    expect(() => reduced(bytes, "on_first")).toThrow(reason);
    expect(seen(reduced(bytes, "pass").bytes)).toEqual([]);
  });

  test("a struct with a static function, of which libbpf would take another one", () => {
    expect(() => reduced(BYTES, "on_other")).toThrow('its struct "three" has a static function as a member');
  });
});
