import { describe, expect, test } from "bun:test";
import type { ObjectMap } from "../../../src/domain/object-file.ts";
import { BpfmanError } from "../../../src/errors/error.ts";
import { KIND, openBtf, sizeOfType } from "../../../src/object/btf.ts";
import { Fields } from "../../../src/object/fields.ts";
import { readMaps } from "../../../src/object/maps.ts";
import { readObject } from "../../../src/object/object-file.ts";
import { compileBpf } from "../../objects/compile.ts";

const map = (name: string, shape: Partial<ObjectMap>): ObjectMap => ({
  name,
  type: 0,
  keySize: null,
  valueSize: null,
  maxEntries: null,
  flags: 0,
  extra: 0,
  pinByName: false,
  inner: null,
  ...shape,
});

describe("definitions of maps, as clang writes them", () => {
  const mapsOf = (source: string) => readObject(compileBpf(source)).maps;
  const both = (source: string) => {
    const maps = mapsOf(source);
    expect(readObject(compileBpf(source, ["-target", "bpfeb"])).maps).toEqual(maps);
    return maps;
  };

  test("sizes by type, through typedefs, qualifiers, arrays, structs, unions, enums and pointers", () => {
    const maps = both(`
      enum colour { RED, GREEN };
      typedef struct { __u8 address[16]; __u16 port; } endpoint;
      typedef const volatile endpoint key_type;
      union any { __u64 wide; char text[24]; };
      struct { __uint(type, BPF_MAP_TYPE_LRU_HASH); __uint(max_entries, 10000); __type(key, key_type); __type(value, union any); } lru SEC(".maps");
      struct { __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); __uint(max_entries, 1); __type(key, enum colour); __type(value, endpoint[3][2]); } percpu SEC(".maps");
      struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 2); __type(key, void *); __type(value, long double[2]); } pointers SEC(".maps");
    `);
    expect(maps).toEqual([
      map("lru", { type: 9, keySize: 18, valueSize: 24, maxEntries: 10_000 }),
      map("percpu", { type: 6, keySize: 4, valueSize: 108, maxEntries: 1 }),
      map("pointers", { type: 1, keySize: 8, valueSize: 16, maxEntries: 2 }),
    ]);
  });

  test("sizes by number, flags, and pinning by name", () => {
    const maps = both(`
      struct {
        __uint(type, BPF_MAP_TYPE_LPM_TRIE); __uint(max_entries, 255); __uint(key_size, 8); __uint(value_size, 20);
        __uint(map_flags, BPF_F_NO_PREALLOC); __uint(pinning, LIBBPF_PIN_BY_NAME);
      } routes SEC(".maps");
      struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, int); __type(value, int); __uint(pinning, LIBBPF_PIN_NONE); } plain SEC(".maps");
    `);
    expect(maps).toEqual([
      map("routes", { type: 11, keySize: 8, valueSize: 20, maxEntries: 255, flags: 1, pinByName: true }),
      map("plain", { type: 2, keySize: 4, valueSize: 4, maxEntries: 1 }),
    ]);
  });

  test("a pinning type of another loader is an error that names the map", () => {
    const source =
      'struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, int); __type(value, int); __uint(pinning, 16); } calls SEC(".maps");';
    expect(() => mapsOf(source)).toThrow(
      expect.objectContaining({
        code: "INVALID_OBJECT",
        message: expect.stringContaining('its map "calls" has pinning 16, which belongs to another loader'),
        hint: expect.stringContaining("--map calls=PIN"),
      }),
    );
  });

  test("maps without sizes", () => {
    const maps = both(`
      struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } events SEC(".maps");
      struct { __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY); __uint(key_size, 4); __uint(value_size, 4); } samples SEC(".maps");
      struct { __uint(type, BPF_MAP_TYPE_QUEUE); __uint(max_entries, 8); __type(value, __u64); } queue SEC(".maps");
    `);
    expect(maps).toEqual([
      map("events", { type: 27, maxEntries: 4096 }),
      map("samples", { type: 4, keySize: 4, valueSize: 4 }),
      map("queue", { type: 22, valueSize: 8, maxEntries: 8 }),
    ]);
  });

  test("maps in maps, and programs in maps", () => {
    const maps = both(`
      struct inner { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 4); __type(key, __u32); __type(value, __u64); } first SEC(".maps");
      struct { __uint(type, BPF_MAP_TYPE_HASH_OF_MAPS); __uint(max_entries, 8); __type(key, __u16); __array(values, struct inner); } by_port SEC(".maps") = { .values = { [0] = &first } };
      struct {
        __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS); __uint(max_entries, 2); __uint(key_size, 4);
        __array(values, struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 1); __uint(key_size, 6); __uint(value_size, 7); });
      } by_index SEC(".maps");
      struct { __uint(type, BPF_MAP_TYPE_PROG_ARRAY); __uint(max_entries, 3); __uint(key_size, 4); __array(values, int (void *)); } calls SEC(".maps");
    `);
    expect(maps).toEqual([
      map("first", { type: 2, keySize: 4, valueSize: 8, maxEntries: 4 }),
      map("by_port", {
        type: 13,
        keySize: 2,
        valueSize: 4,
        maxEntries: 8,
        inner: map("by_port.inner", { type: 2, keySize: 4, valueSize: 8, maxEntries: 4 }),
      }),
      map("by_index", {
        type: 12,
        keySize: 4,
        valueSize: 4,
        maxEntries: 2,
        inner: map("by_index.inner", { type: 1, keySize: 6, valueSize: 7, maxEntries: 1 }),
      }),
      map("calls", { type: 3, keySize: 4, valueSize: 4, maxEntries: 3 }),
    ]);
  });

  test.each([
    ["struct { __uint(max_entries, 1); } m", 'its map "m" has no type'],
    ["struct { int type; } m", 'its map "m" has a field "type" that was not made with __uint'],
    ["int m", 'its map "m" is not defined by a struct'],
    [
      "struct gone; struct { __uint(type, 1); __type(key, struct gone); } m",
      'its map "m" has a key whose type has no size',
    ],
    ["struct { __uint(type, 1); __type(value, void); } m", 'its map "m" has a value whose type has no size'],
    [
      "struct { __uint(type, 1); __type(value, long[0x40000000]); } m",
      'its map "m" has a value whose type has no size',
    ],
    // As libbpf makes them of section .struct_ops only: it died of this one.
    ["struct { __uint(type, 26); } m", 'its map "m" is of type STRUCT_OPS, which cannot be defined in section ".maps"'],
    ["struct { __uint(type, 12); int *values[2]; } m", 'its map "m" has values that are neither maps nor programs'],
    [
      "struct { __uint(type, 12); __array(values, struct { __uint(type, 12); __array(values, struct { __uint(type, 1); }); }); } m",
      'its map "m.inner" is inside a map and contains maps itself, but only two levels are possible',
    ],
    [
      `struct { ${Array.from({ length: 33 }, (_, i) => `int f${i};`).join(" ")} } m`,
      'its map "m" has 33 fields, more than 32',
    ],
  ])("refused: %s", (source, reason) => {
    expect(refusalOf(() => mapsOf(`${source} SEC(".maps");`))).toBe(`cannot read the object file: ${reason}`);
  });
});

describe("BTF made by hand", () => {
  const refuse = (reason: string) => new BpfmanError("INVALID_OBJECT", reason);

  /** BTF of `types`, each [name, kind, member count, size or type, …rest], names being offsets in `names`. */
  function btfOf(types: readonly (readonly number[])[], names = "\0.maps\0m\0type\0values\0"): Fields {
    const words = types.flatMap(([name = 0, kind = 0, count = 0, sizeOrType = 0, ...rest]) => [
      name,
      kind * 2 ** 24 + count,
      sizeOrType,
      ...rest,
    ]);
    const header = [0x0001_eb9f, 24, 0, words.length * 4, words.length * 4, names.length];
    const bytes = new Uint8Array([
      ...new Uint8Array(Uint32Array.from([...header, ...words]).buffer),
      ...Buffer.from(names),
    ]);
    return new Fields(bytes, { littleEndian: true, wide: true, refuse }, "BTF");
  }
  const [DATASEC_NAME, MAP_NAME, TYPE_NAME, VALUES_NAME] = [1, 7, 9, 14];
  const mapsOf = (types: readonly (readonly number[])[]) => refusalOf(() => readMaps(openBtf(btfOf(types))));

  test("types that lead back to themselves, or through too many others", () => {
    const wrappers = [KIND.typedef, KIND.volatile, KIND.const, KIND.restrict, KIND.typeTag];
    const circle = wrappers.map((kind, i) => [0, kind, 0, ((i + 1) % wrappers.length) + 1]);
    expect(refusalOf(() => sizeOfType(openBtf(btfOf(circle)), 1))).toBe(
      "its BTF type 1 leads through more than 32 others, or back to itself",
    );
    const itself = [[0, KIND.array, 0, 0, 1, 1, 2]];
    expect(refusalOf(() => sizeOfType(openBtf(btfOf(itself)), 1))).toMatch(/back to itself$/);
    expect(
      mapsOf([
        [MAP_NAME, KIND.variable, 0, 2, 0],
        [0, KIND.typedef, 0, 2],
        [DATASEC_NAME, KIND.datasec, 1, 0, 1, 0, 8],
      ]),
    ).toBe("its BTF type 2 leads through more than 32 others, or back to itself");
  });

  test("a map whose inner map is itself", () => {
    const types = [
      [MAP_NAME, KIND.variable, 0, 2, 0],
      [0, KIND.struct, 2, 8, TYPE_NAME, 3, 0, VALUES_NAME, 5, 64],
      [0, KIND.pointer, 0, 4],
      [0, KIND.array, 0, 0, 0, 0, 12],
      [0, KIND.array, 0, 0, 6, 0, 0],
      [0, KIND.pointer, 0, 2],
      [DATASEC_NAME, KIND.datasec, 1, 0, 1, 0, 8],
    ];
    expect(mapsOf(types)).toBe(
      'its map "m.inner" is inside a map and contains maps itself, but only two levels are possible',
    );
  });

  test("ids, kinds, counts and headers out of range", () => {
    expect(mapsOf([[DATASEC_NAME, KIND.datasec, 1, 0, 99, 0, 8]])).toBe("its BTF has no type 99");
    expect(mapsOf([[DATASEC_NAME, KIND.datasec, 1, 0, 0, 0, 8]])).toBe("its map number 1 is not a named variable");
    expect(mapsOf([[DATASEC_NAME, KIND.datasec, 2000, 0, 0, 0, 8]])).toBe("it is cut short in its BTF type 1");
    expect(mapsOf([[DATASEC_NAME, KIND.datasec, 1025, 0, ...new Array(1025 * 3).fill(0)]])).toBe(
      "it has 1025 maps, more than 1024",
    );
    expect(mapsOf([[0, 20, 0, 0]])).toBe("its BTF type 1 has the unknown kind 20");
    expect(mapsOf([[0, 0, 0, 0]])).toBe("its BTF type 1 has the unknown kind 0");
    expect(mapsOf([])).toBe('its BTF does not describe section ".maps"');

    const header = (at: number, value: number) => {
      const fields = btfOf([]);
      new DataView(fields.bytes.buffer).setUint32(at, value, true);
      return refusalOf(() => openBtf(fields));
    };
    expect(header(0, 0x0001_9feb)).toBe("its BTF does not begin with the magic number of BTF in its byte order");
    expect(header(0, 0x0002_eb9f)).toBe("its BTF has version 2; only 1 is known");
    expect(header(4, 16)).toBe("its BTF header has 16 bytes instead of 24");
    for (const at of [4, 8, 12, 16, 20])
      expect(header(at, 0xffff_ffff)).toMatch(/^it is cut short in its BTF, of \d+ bytes$/);
    expect(refusalOf(() => openBtf(btfOf([]).part(0, 10, "BTF")))).toMatch(/^it is cut short in its BTF/);
  });
});

function refusalOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (!(error instanceof BpfmanError)) throw error;
    expect(error.code).toBe("INVALID_OBJECT");
    return error.message;
  }
  throw new Error("nothing was refused");
}
