/** Reads the kernel's own BTF (Documentation/bpf/btf.rst), only as far as needed to find functions. */
import { closeSync, openSync, readFileSync, readSync } from "node:fs";

const KERNEL_BTF = "/sys/kernel/btf/vmlinux";
const MAGIC = 0xeb9f;
/** struct btf_header: offsets of the fields used. */
const HEADER = { length: 4, typesAt: 8, typesLength: 12, stringsAt: 16, stringsLength: 20, bytes: 24 } as const;
const TYPE_BYTES = 12;
const KIND_FUNC = 12;
const BTF_FUNC_GLOBAL = 1;

/** Bytes after a type's common header, by kind: a fixed number, and a number per member. */
const FOLLOWING: Readonly<Record<number, { readonly once?: number; readonly each?: number }>> = {
  1: { once: 4 }, // INT
  2: {}, // PTR
  3: { once: 12 }, // ARRAY
  4: { each: 12 }, // STRUCT
  5: { each: 12 }, // UNION
  6: { each: 8 }, // ENUM
  7: {}, // FWD
  8: {}, // TYPEDEF
  9: {}, // VOLATILE
  10: {}, // CONST
  11: {}, // RESTRICT
  12: {}, // FUNC
  13: { each: 8 }, // FUNC_PROTO
  14: { once: 4 }, // VAR
  15: { each: 12 }, // DATASEC
  16: {}, // FLOAT
  17: { once: 4 }, // DECL_TAG
  18: {}, // TYPE_TAG
  19: { each: 12 }, // ENUM64
};

/** Returns the offsets of those names that are in the string section. */
function nameOffsets(strings: Uint8Array, names: readonly string[]): Map<number, string> {
  const buffer = Buffer.from(strings.buffer, strings.byteOffset, strings.length);
  const found = names.map((name) => [buffer.indexOf(`\0${name}\0`, 0, "latin1") + 1, name] as const);
  return new Map(found.filter(([offset]) => offset > 0));
}

interface Type {
  readonly id: number;
  readonly kind: number;
  /** BTF_FUNC_*, if this is a function. */
  readonly linkage: number;
  /** Where its name stands among the strings. */
  readonly nameAt: number;
}

/** The types in little-endian BTF, up to one of a kind that is not known, and the strings. */
function open(btf: Uint8Array): { readonly types: Iterable<Type>; readonly strings: Uint8Array } | null {
  const view = new DataView(btf.buffer, btf.byteOffset, btf.byteLength);
  const u32 = (at: number) => view.getUint32(at, true);
  if (btf.length < HEADER.bytes || view.getUint16(0, true) !== MAGIC) return null;
  const start = u32(HEADER.length);
  const stringsAt = start + u32(HEADER.stringsAt);
  const typesAt = start + u32(HEADER.typesAt);
  const end = Math.min(typesAt + u32(HEADER.typesLength), btf.length);
  function* types(): Generator<Type> {
    // Type 0 is void and stands nowhere.
    for (let id = 1, at = typesAt; at + TYPE_BYTES <= end; id++) {
      const info = u32(at + 4);
      const kind = (info >>> 24) & 0x7f;
      const following = FOLLOWING[kind];
      if (following === undefined) return;
      yield { id, kind, linkage: info & 0xffff, nameAt: u32(at) };
      at += TYPE_BYTES + (following.once ?? 0) + (following.each ?? 0) * (info & 0xffffff);
    }
  }
  return { types: types(), strings: btf.subarray(stringsAt, stringsAt + u32(HEADER.stringsLength)) };
}

/** Returns the type IDs of functions by name, from little-endian BTF. Names that are not functions are omitted. */
export function functionIds(btf: Uint8Array, names: readonly string[]): Map<string, number> {
  const ids = new Map<string, number>();
  const opened = open(btf);
  const wanted = opened === null ? new Map<number, string>() : nameOffsets(opened.strings, names);
  if (opened === null || wanted.size === 0) return ids;
  for (const { id, kind, nameAt } of opened.types) {
    const name = kind === KIND_FUNC ? wanted.get(nameAt) : undefined;
    if (name !== undefined) ids.set(name, id);
    if (ids.size === wanted.size) break;
  }
  return ids;
}

/** The names of the global functions of a program, from little-endian BTF; those of static ones are omitted. */
export function globalFunctions(btf: Uint8Array): string[] {
  const opened = open(btf);
  if (opened === null) return [];
  const { strings } = opened;
  return [...opened.types].flatMap(({ kind, linkage, nameAt }) => {
    const end = strings.indexOf(0, nameAt);
    const isGlobal = kind === KIND_FUNC && linkage === BTF_FUNC_GLOBAL && end >= 0;
    return isGlobal ? new TextDecoder().decode(strings.subarray(nameAt, end)) : [];
  });
}

/** The name of a function by its type id in little-endian BTF; null when that is no function, or its name is not whole. */
export function functionName(btf: Uint8Array, typeId: number): string | null {
  const opened = open(btf);
  if (opened === null) return null;
  for (const { id, kind, nameAt } of opened.types) {
    if (id !== typeId) continue;
    const end = opened.strings.indexOf(0, nameAt);
    return kind === KIND_FUNC && end >= 0 ? new TextDecoder().decode(opened.strings.subarray(nameAt, end)) : null;
  }
  return null;
}

/** Returns the bytes, a few megabytes. Throws an error of node:fs. */
export const kernelBtf = (): Uint8Array => readFileSync(KERNEL_BTF);

/** Reports whether it starts like BTF, without reading all of it. Throws an error of node:fs. */
export function hasKernelBtf(): boolean {
  const file = openSync(KERNEL_BTF, "r");
  try {
    const start = Buffer.alloc(2);
    return readSync(file, start) === start.length && start.readUInt16LE() === MAGIC;
  } finally {
    closeSync(file);
  }
}
