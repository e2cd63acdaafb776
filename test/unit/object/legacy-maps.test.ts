import { describe, expect, test } from "bun:test";
import type { ObjectMap } from "../../../src/domain/object-file.ts";
import { BpfmanError } from "../../../src/errors/error.ts";
import { openForLibbpf, readObject } from "../../../src/object/object-file.ts";
import { compileBpf } from "../../objects/compile.ts";

const AYA = "struct record { unsigned type, key_size, value_size, max_entries, map_flags, id, pinning; };";
const SHORT = "struct record { unsigned type, key_size, value_size, max_entries; };";
const USES = 'SEC("xdp") int main_program(void *ctx) { __u32 k = 0; return bpf_map_lookup_elem(&MAP, &k) != 0; }';

const map = (name: string, shape: Partial<ObjectMap>): ObjectMap => ({
  name,
  type: 2,
  keySize: 4,
  valueSize: 8,
  maxEntries: 2,
  flags: 0,
  extra: 0,
  pinByName: false,
  inner: null,
  ...shape,
});

const mapsOf = (source: string, ...flags: string[]) => readObject(compileBpf(source, flags)).maps;

function refusalOf(source: string): BpfmanError {
  try {
    mapsOf(source);
  } catch (error) {
    if (error instanceof BpfmanError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

describe("maps in section maps", () => {
  const source = `${AYA}
    struct record first SEC("maps") = { 2, 4, 8, 2 };
    struct record second SEC("maps") = { 1, 16, 0x1234, 0xfffffff0, 0x80000001, 7, 1 };
    struct record third SEC("maps/third") = { 27, 0, 0, 4096 };
    ${USES.replace("MAP", "second")}`;

  test.each([[["-g"]], [["-g0"]], [["-g", "-target", "bpfeb"]], [["-g0", "-target", "bpfeb"]]])("with %s", (flags) => {
    expect(mapsOf(source, ...flags)).toEqual([
      map("first", {}),
      map("second", {
        type: 1,
        keySize: 16,
        valueSize: 0x1234,
        maxEntries: 0xffff_fff0,
        flags: 0x8000_0001,
        pinByName: true,
      }),
      map("third", { type: 27, keySize: 0, valueSize: 0, maxEntries: 4096 }),
    ]);
  });

  test("records of older structs, and beside maps of section .maps", () => {
    const both = `${SHORT}
      struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 3); __type(key, __u16); __type(value, char[5]); } modern SEC(".maps");
      struct record old SEC("maps") = { 2, 4, 8, 2 };
      ${USES.replace("MAP", "old")}`;
    expect(mapsOf(both)).toEqual([map("modern", { type: 1, keySize: 2, valueSize: 5, maxEntries: 3 }), map("old", {})]);
  });

  test("what libbpf is given is read as the same again", () => {
    const bytes = compileBpf(source);
    const changed = openForLibbpf(bytes).bytes;
    expect(changed).not.toBe(bytes);
    expect(readObject(changed)).toEqual(readObject(bytes));
    expect(openForLibbpf(changed).bytes).toBe(changed);
  });

  test("a Buffer of bytes stays as it was", () => {
    const buffer = Buffer.from(compileBpf(source));
    const before = Buffer.copyBytesFrom(buffer);
    openForLibbpf(buffer);
    expect(buffer.equals(before)).toBe(true);
  });
});

describe("invalid definitions", () => {
  test.each([
    ["too short", 'unsigned odd[3] SEC("maps") = { 2, 4, 8 };', /its map "odd" has 12 bytes at 0 of section "maps"/],
    ["no words", 'char odd[30] SEC("maps") = { 2 };', /its map "odd" has 30 bytes/],
    [
      "fields that nobody knows",
      'unsigned odd[9] SEC("maps") = { 12, 4, 4, 1, 0, 0, 0, 5, 0 };',
      /its map "odd" has the value 5 at byte 28 of its definition/,
    ],
    [
      "another pinning",
      'unsigned odd[7] SEC("maps") = { 2, 4, 4, 1, 0, 0, 2 };',
      /its map "odd" has pinning 2, which belongs to another loader/,
    ],
  ])("%s", (_, definition, message) => {
    const { code, message: said } = refusalOf(`${definition}\n${USES.replace("MAP", "odd")}`);
    expect(code).toBe("INVALID_OBJECT");
    expect(said).toMatch(message);
  });
});
