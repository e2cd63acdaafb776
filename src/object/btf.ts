/** Reads the parts of BTF (Documentation/bpf/btf.rst) that bpfman needs. */
import { BTF_DEPTH_MAX } from "../domain/limits.ts";
import { Fields, type Refuse } from "./fields.ts";

export const KIND = {
  int: 1,
  pointer: 2,
  array: 3,
  struct: 4,
  union: 5,
  enum: 6,
  forward: 7,
  typedef: 8,
  volatile: 9,
  const: 10,
  restrict: 11,
  function: 12,
  functionProto: 13,
  variable: 14,
  datasec: 15,
  float: 16,
  declTag: 17,
  typeTag: 18,
  enum64: 19,
} as const;

export const BTF_MAGIC = 0xeb9f;
export const BTF_VERSION = 1;
/** Up to and including the first two tables; a header may be larger. */
export const BTF_HEADER_BYTES = 24;
const BITFIELD_SHIFT = 24;
const TYPE_BYTES = 12;
const POINTER_BYTES = 8;

/** Bytes after a type's common header, by kind (`KIND`): a fixed number, and one for each of its `count` members. */
const FIXED_BYTES: readonly number[] = [0, 4, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 4, 0, 0];
export const MEMBER_BYTES: readonly number[] = [0, 0, 0, 0, 12, 12, 8, 0, 0, 0, 0, 0, 0, 8, 0, 12, 0, 0, 0, 12];

export interface Btf {
  readonly types: Fields;
  /** The same as numbers of 32 bits. */
  readonly words: Uint32Array;
  readonly strings: Fields;
  /** Offset of each type in `types`. Type 0 is void and has none. */
  readonly places: Uint32Array;
}

export interface BtfType {
  readonly nameAt: number;
  readonly kind: number;
  /** Number of members, parameters or variables. */
  readonly count: number;
  /** Member offsets include a bit-field size (kind_flag). */
  readonly hasBitfields: boolean;
  /** Size in bytes or ID of another type, depending on the kind. */
  readonly sizeOrType: number;
  /** Offset in `types` of the data after the common header. */
  readonly tail: number;
}

const VOID: BtfType = { nameAt: 0, kind: 0, count: 0, hasBitfields: false, sizeOrType: 0, tail: 0 };

/** Indexes the types in the bytes of section .BTF. */
export function openBtf(fields: Fields): Btf {
  const { refuse } = fields.format;
  const start = btfHeaderBytes(fields, "BTF");
  const types = fields.part(start + fields.u32(8), fields.u32(12), "BTF types");
  const strings = fields.part(start + fields.u32(16), fields.u32(20), "BTF names");

  const words = types.words();
  const places = new Uint32Array(1 + Math.floor(types.length / TYPE_BYTES));
  let id = 1;
  for (let at = 0; at < types.length; id++) {
    places[id] = at;
    const info = words[(at + 4) >>> 2] ?? 0;
    const kind = (info >>> 24) & 0x1f;
    const end = at + TYPE_BYTES + (FIXED_BYTES[kind] ?? 0) + (MEMBER_BYTES[kind] ?? 0) * (info & 0xffff);
    if (at + TYPE_BYTES > types.length) throw refuse(`it is cut short in its BTF type ${id}`);
    if (kind === 0 || kind > KIND.enum64) throw refuse(`its BTF type ${id} has the unknown kind ${kind}`);
    if (end > types.length) throw refuse(`it is cut short in its BTF type ${id}`);
    at = end;
  }
  return { types, words, strings, places: places.subarray(0, id) };
}

/** Checks the header that BTF and BTF.ext have in common, and returns its size. */
export function btfHeaderBytes(fields: Fields, what: "BTF" | "BTF.ext"): number {
  const { refuse } = fields.format;
  if (fields.u16(0) !== BTF_MAGIC)
    throw refuse(`its ${what} does not begin with the magic number of BTF in its byte order`);
  if (fields.u8(2) !== BTF_VERSION)
    throw refuse(`its ${what} has version ${fields.u8(2)}; only ${BTF_VERSION} is known`);
  const bytes = fields.u32(4);
  if (bytes < BTF_HEADER_BYTES) throw refuse(`its ${what} header has ${bytes} bytes instead of ${BTF_HEADER_BYTES}`);
  return bytes;
}

const kindOf = (info: number) => (info >>> 24) & 0x1f;
const countOf = (info: number) => info & 0xffff;

/** Opens BTF that is by itself, as the kernel gives it, in this machine's byte order. Throws the error of `refuse`. */
export const btfOf = (bytes: Uint8Array, refuse: Refuse): Btf =>
  openBtf(new Fields(bytes, { littleEndian: true, wide: true, refuse }, "BTF"));

export function typeOf(btf: Btf, id: number): BtfType {
  if (id === 0) return VOID;
  const at = btf.places[id];
  if (at === undefined) throw btf.types.format.refuse(`its BTF has no type ${id}`);
  const { words } = btf;
  const word = at >>> 2;
  const info = words[word + 1] as number;
  return {
    nameAt: words[word] as number,
    kind: kindOf(info),
    count: countOf(info),
    hasBitfields: info >>> 31 === 1,
    sizeOrType: words[word + 2] as number,
    tail: at + TYPE_BYTES,
  };
}

/** Returns the offsets in `types` of a type's members, parameters, enumerators or variables. */
export function membersOf({ kind, count, tail }: BtfType): readonly number[] {
  const bytes = MEMBER_BYTES[kind] ?? 0;
  const places: number[] = [];
  for (let at = tail; places.length < count; at += bytes) places.push(at);
  return places;
}

/** Returns the position of a struct's or union's member in bits, and its size if it is a bit field, otherwise 0. */
export function memberPosition(btf: Btf, { hasBitfields }: BtfType, member: number): { at: number; bits: number } {
  const offset = btf.types.u32(member + 8);
  return hasBitfields
    ? { at: offset & (2 ** BITFIELD_SHIFT - 1), bits: offset >>> BITFIELD_SHIFT }
    : { at: offset, bits: 0 };
}

/** Returns the ID of the DATASEC with that name, which lists the variables of an ELF section. */
export function datasecId(btf: Btf, name: string): number | null {
  const { places, words } = btf;
  for (let id = 1; id < places.length; id++) {
    const word = (places[id] as number) >>> 2;
    const isDatasec = kindOf(words[word + 1] as number) === KIND.datasec;
    if (isDatasec && btf.strings.text(words[word] as number, name.length) === name) return id;
  }
  return null;
}

/** Returns that of {@link datasecId}. */
export function findDatasec(btf: Btf, name: string): BtfType | null {
  const id = datasecId(btf, name);
  return id === null ? null : typeOf(btf, id);
}

/** Resolves typedefs and modifiers to the underlying type. */
export function bareType(btf: Btf, id: number): BtfType {
  let type = typeOf(btf, id);
  for (let depth = 0; depth < BTF_DEPTH_MAX; depth++) {
    if (!isWrapper(type.kind)) return type;
    type = typeOf(btf, type.sizeOrType);
  }
  throw tooDeep(btf, id);
}

/** Returns the size of a type in bytes; null for void, functions and forward declarations. */
export function sizeOfType(btf: Btf, id: number): number | null {
  let elements = 1;
  let type = typeOf(btf, id);
  for (let depth = 0; depth < BTF_DEPTH_MAX; depth++) {
    switch (type.kind) {
      case KIND.int:
      case KIND.float:
      case KIND.struct:
      case KIND.union:
      case KIND.enum:
      case KIND.enum64:
        return elements * type.sizeOrType;
      case KIND.pointer:
        return elements * POINTER_BYTES;
      case KIND.array: {
        const array = arrayOf(btf, type);
        elements *= array.elements;
        type = typeOf(btf, array.type);
        break;
      }
      default:
        if (!isWrapper(type.kind)) return null;
        type = typeOf(btf, type.sizeOrType);
    }
  }
  throw tooDeep(btf, id);
}

/** Returns the element type and the length of an array. */
export const arrayOf = (btf: Btf, array: BtfType) => ({
  type: btf.types.u32(array.tail),
  elements: btf.types.u32(array.tail + 8),
});

/** Reports whether a kind only refers to another type: typedefs, modifiers and type tags. */
export const isWrapper = (kind: number) => (kind >= KIND.typedef && kind <= KIND.restrict) || kind === KIND.typeTag;

const tooDeep = (btf: Btf, id: number) =>
  btf.types.format.refuse(`its BTF type ${id} leads through more than ${BTF_DEPTH_MAX} others, or back to itself`);
