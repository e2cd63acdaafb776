/**
 * Checks that BTF can safely be passed to libbpf, which trusts it (1.1 to 1.7): it dereferences NULL for missing names
 * and types, recurses endlessly through types that contain themselves, and writes to the data of a type according to
 * the kind it expects.
 */
import { BTF_NESTING_MAX, KCONFIG_BYTES_MAX } from "../domain/limits.ts";
import {
  type Btf,
  type BtfType,
  KIND,
  bareType,
  isWrapper,
  memberPosition,
  membersOf,
  sizeOfType,
  typeOf,
} from "./btf.ts";

/** Kinds with members, parameters or enumerators. */
const WITH_MEMBERS: readonly number[] = [KIND.struct, KIND.union, KIND.enum, KIND.enum64, KIND.functionProto];
const KSYMS = ".ksyms";
const KCONFIG = ".kconfig";

/** Throws the error of `refuse` for the first problem. Returns how many variables its sections have. */
export function checkBtf(btf: Btf): number {
  const { strings, types, places } = btf;
  const { refuse } = types.format;
  if (strings.length === 0 || strings.u8(0) !== 0 || strings.u8(strings.length - 1) !== 0) {
    throw refuse("its BTF names do not begin and end with an empty one");
  }
  const walk = { heights: new Uint8Array(places.length), depth: 0 };
  let variables = 0;
  for (let id = 1; id < places.length; id++) {
    const type = typeOf(btf, id);
    checkName(btf, type.nameAt);
    checkReferences(btf, id, type);
    if (type.kind === KIND.datasec) variables += checkDatasec(btf, id, type);
    heightOf(btf, id, walk, type);
  }
  return variables;
}

function checkName(btf: Btf, at: number): void {
  if (at >= btf.strings.length) throw btf.types.format.refuse(`its BTF has a name at ${at}, past the end of its names`);
}

function checkType(btf: Btf, id: number): void {
  if (id >= btf.places.length) throw btf.types.format.refuse(`its BTF has no type ${id}`);
}

/** Kinds whose common header refers to another type. For a function it must be a prototype. */
const REFERRING: readonly number[] = [KIND.pointer, KIND.variable, KIND.declTag, KIND.functionProto];

function checkReferences(btf: Btf, id: number, type: BtfType): void {
  const { types } = btf;
  const { kind, count, sizeOrType, tail } = type;
  const bad = (reason: string) => types.format.refuse(`its BTF type ${id} ${reason}`);
  if (isWrapper(kind) || REFERRING.includes(kind)) checkType(btf, sizeOrType);
  if (kind === KIND.function) {
    if (typeOf(btf, sizeOrType).kind !== KIND.functionProto) throw bad("is a function without a prototype");
    // For a function, this is the linkage.
    return;
  }
  if (kind === KIND.array) for (const at of [0, 4]) checkType(btf, types.u32(tail + at));
  if (count === 0 || kind === KIND.datasec) return;
  if (!WITH_MEMBERS.includes(kind)) throw bad("has members, which its kind cannot have");
  for (const at of membersOf(type)) {
    checkName(btf, types.u32(at));
    if (kind === KIND.enum || kind === KIND.enum64) continue;
    checkType(btf, types.u32(at + 4));
    const bits = kind === KIND.functionProto ? 0 : memberPosition(btf, type, at).bits;
    if (bits > 0 && !isCounted(bareType(btf, types.u32(at + 4)))) throw bad("has a bit field that is not an integer");
  }
}

const isCounted = ({ kind, sizeOrType }: BtfType): boolean =>
  (kind === KIND.int || kind === KIND.enum || kind === KIND.enum64) && sizeOrType > 0;

/** Returns how many variables it has. */
function checkDatasec(btf: Btf, id: number, type: BtfType): number {
  const bad = (reason: string) => btf.types.format.refuse(`its BTF type ${id} ${reason}`);
  const name = btf.strings.text(type.nameAt, KCONFIG.length) ?? "";
  let bytes = 0;
  for (const at of membersOf(type)) {
    const member = typeOf(btf, btf.types.u32(at));
    const fits = member.kind === KIND.variable || (member.kind === KIND.function && name === KSYMS);
    if (!fits) throw bad("is a section that contains something other than variables");
    if (name === KCONFIG) bytes += sizeOfType(btf, member.sizeOrType) ?? 0;
  }
  // libbpf adds the sizes in 32 bits and allocates the sum.
  if (bytes > KCONFIG_BYTES_MAX)
    throw bad(`has ${bytes} bytes of kernel configuration, more than ${KCONFIG_BYTES_MAX}`);
  return type.count;
}

interface Walk {
  /** By type; 0 where it is not known yet. */
  readonly heights: Uint8Array;
  readonly depth: number;
}

/** Returns the nesting depth of a value of this type. libbpf follows it recursively, possibly without end. */
function heightOf(btf: Btf, id: number, walk: Walk, read: BtfType | null = null): number {
  const known = walk.heights[id] ?? 0;
  if (known > 0 || id === 0) return known;
  const type = read ?? typeOf(btf, id);
  const { kind, sizeOrType, tail } = type;
  let below = 0;
  if (walk.depth < BTF_NESTING_MAX) {
    const deeper = { heights: walk.heights, depth: walk.depth + 1 };
    if (isWrapper(kind) || kind === KIND.variable) below = heightOf(btf, sizeOrType, deeper);
    else if (kind === KIND.array) below = heightOf(btf, btf.types.u32(tail), deeper);
    else if (kind === KIND.struct || kind === KIND.union) {
      for (const at of membersOf(type)) below = Math.max(below, heightOf(btf, btf.types.u32(at + 4), deeper));
    }
  }
  if (walk.depth >= BTF_NESTING_MAX || below >= BTF_NESTING_MAX) {
    throw btf.types.format.refuse(`its BTF type ${id} contains more than ${BTF_NESTING_MAX} others, or itself`);
  }
  walk.heights[id] = below + 1;
  return below + 1;
}
