/** How values of a type lie in memory, to compare two types that have other names, or come from other compilers. */
import { LAYOUT_PARTS_MAX } from "../domain/limits.ts";
import { arrayOf, type Btf, type BtfType, KIND, isWrapper, openBtf, sizeOfType, typeOf } from "./btf.ts";
import { Fields, type Refuse } from "./fields.ts";

const MEMBER_BYTES = 12;
const BITFIELD_SHIFT = 24;
const BYTE_BITS = 8;
/** Structs that the kernel knows by their names, and looks for in values: bpf_spin_lock, bpf_timer. */
const OF_KERNEL = /^bpf_/;

/** The BTF in these bytes, in the byte order of this machine. Throws what `refuse` makes. */
export const btfIn = (bytes: Uint8Array, refuse: Refuse, littleEndian: boolean): Btf =>
  openBtf(new Fields(bytes, { littleEndian, wide: true, refuse }, "BTF"));

/**
 * The numbers, pointers and so on of a value in their order, each with its kind, its size in bytes and its place: `number4 at
 * byte 8`. Names do not count, nor does whether a number has a sign. A union is described by its first member. Null when it has
 * too many parts, or no size.
 */
export function layoutOf(btf: Btf, id: number): readonly string[] | null {
  const parts: string[] = [];
  return sizeOfType(btf, id) !== null && addParts(btf, id, { at: 0, parts }) ? parts : null;
}

const part = (at: number, what: string): string =>
  at % BYTE_BITS === 0 ? `${what} at byte ${at / BYTE_BITS}` : `${what} at bit ${at}`;

interface Walk {
  /** In bits. */
  readonly at: number;
  readonly parts: string[];
}

/** False when it cannot be told. */
function addParts(btf: Btf, id: number, { at, parts }: Walk): boolean {
  if (parts.length > LAYOUT_PARTS_MAX) return false;
  const type = typeOf(btf, id);
  if (isWrapper(type.kind)) return addParts(btf, type.sizeOrType, { at, parts });
  switch (type.kind) {
    case KIND.int:
    case KIND.enum:
    case KIND.enum64:
      parts.push(part(at, `number${type.sizeOrType}`));
      return true;
    case KIND.float:
      parts.push(part(at, `float${type.sizeOrType}`));
      return true;
    case KIND.pointer:
      parts.push(part(at, "pointer"));
      return true;
    case KIND.array:
      return addElements(btf, type, { at, parts });
    case KIND.struct:
    case KIND.union:
      return addMembers(btf, type, { at, parts });
    default:
      return false;
  }
}

function addElements(btf: Btf, type: BtfType, { at, parts }: Walk): boolean {
  const array = arrayOf(btf, type);
  const bytes = sizeOfType(btf, array.type);
  if (bytes === null) return false;
  const before = parts.length;
  for (let i = 0; i < array.elements && (i === 0 || parts.length > before); i++) {
    if (!addParts(btf, array.type, { at: at + i * bytes * BYTE_BITS, parts })) return false;
  }
  return true;
}

function addMembers(btf: Btf, type: BtfType, { at, parts }: Walk): boolean {
  const name = btf.strings.name(type.nameAt);
  if (OF_KERNEL.test(name)) {
    parts.push(part(at, name));
    return true;
  }
  const count = type.kind === KIND.union ? Math.min(type.count, 1) : type.count;
  for (let i = 0; i < count; i++) {
    const member = type.tail + i * MEMBER_BYTES;
    const offset = btf.types.u32(member + 8);
    const bits = type.hasBitfields ? offset >>> BITFIELD_SHIFT : 0;
    const place = at + (type.hasBitfields ? offset & (2 ** BITFIELD_SHIFT - 1) : offset);
    if (bits > 0) parts.push(part(place, `bits${bits}`));
    else if (!addParts(btf, btf.types.u32(member + 4), { at: place, parts })) return false;
  }
  return true;
}
