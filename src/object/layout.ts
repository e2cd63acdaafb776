/** The memory layout of types, to compare types with different names or from different compilers. */
import { LAYOUT_PARTS_MAX } from "../domain/limits.ts";
import {
  arrayOf,
  type Btf,
  type BtfType,
  KIND,
  isWrapper,
  memberPosition,
  membersOf,
  sizeOfType,
  typeOf,
} from "./btf.ts";

const BYTE_BITS = 8;
/** Structs that the kernel recognises in values by name: bpf_spin_lock, bpf_timer. */
const OF_KERNEL = /^bpf_/;

/**
 * Returns the scalar parts of a value in order, each with kind, size in bytes and position: `number4 at byte 8`. Names and
 * signedness are ignored, and the first member stands for a union. Returns null if there are too many parts, or the type
 * has no size.
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

/** Returns false if it is unknown. */
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
  for (const member of membersOf(type).slice(0, type.kind === KIND.union ? 1 : type.count)) {
    const { at: offset, bits } = memberPosition(btf, type, member);
    if (bits > 0) parts.push(part(at + offset, `bits${bits}`));
    else if (!addParts(btf, btf.types.u32(member + 4), { at: at + offset, parts })) return false;
  }
  return true;
}
