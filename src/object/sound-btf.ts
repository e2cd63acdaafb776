/**
 * Checks that BTF can safely be passed to libbpf, which trusts it (1.1 to 1.7): it dereferences NULL for missing names
 * and types, recurses endlessly through types that contain themselves, and writes to the data of a type according to
 * the kind it expects.
 */
import { BTF_NESTING_MAX, KCONFIG_BYTES_MAX } from "../domain/limits.ts";
import { type Btf, type BtfType, KIND, bareType, isWrapper, sizeOfType, typeOf } from "./btf.ts";

/** Size of each member, parameter, enumerator or variable, by kind. */
const MEMBER_BYTES: ReadonlyMap<number, number> = new Map([
  [KIND.struct, 12],
  [KIND.union, 12],
  [KIND.datasec, 12],
  [KIND.enum64, 12],
  [KIND.enum, 8],
  [KIND.functionProto, 8],
]);
const KSYMS = ".ksyms";
const KCONFIG = ".kconfig";
const BITFIELD_SHIFT = 24;

/** Throws the error of `refuse` for the first problem. Returns how many variables its sections have. */
export function checkBtf(btf: Btf): number {
  const { strings, types, places } = btf;
  const { refuse } = types.format;
  if (strings.length === 0 || strings.u8(0) !== 0 || strings.u8(strings.length - 1) !== 0) {
    throw refuse("its BTF names do not begin and end with an empty one");
  }
  const heights = new Uint8Array(places.length);
  let variables = 0;
  for (let id = 1; id < places.length; id++) {
    const type = typeOf(btf, id);
    checkName(btf, type.nameAt);
    checkReferences(btf, id, type);
    if (type.kind === KIND.datasec) variables += checkDatasec(btf, id, type);
    heightOf(btf, id, { heights, depth: 0 });
  }
  return variables;
}

function checkName(btf: Btf, at: number): void {
  if (at >= btf.strings.length)
    throw btf.types.format.refuse(`its BTF has a name at ${at}, behind the end of its names`);
}

function checkType(btf: Btf, id: number): void {
  if (id >= btf.places.length) throw btf.types.format.refuse(`its BTF has no type ${id}`);
}

/** Kinds whose common header refers to another type. For a function it must be a prototype. */
const REFERRING: readonly number[] = [KIND.pointer, KIND.variable, KIND.declTag, KIND.functionProto];

function checkReferences(btf: Btf, id: number, { kind, count, sizeOrType, tail, hasBitfields }: BtfType): void {
  const { types } = btf;
  const bad = (reason: string) => types.format.refuse(`its BTF type ${id} ${reason}`);
  if (isWrapper(kind) || REFERRING.includes(kind)) checkType(btf, sizeOrType);
  if (kind === KIND.function) {
    if (typeOf(btf, sizeOrType).kind !== KIND.functionProto) throw bad("is a function without a prototype");
    // For a function, this is the linkage.
    return;
  }
  if (kind === KIND.array) for (const at of [0, 4]) checkType(btf, types.u32(tail + at));
  if (count === 0 || kind === KIND.datasec) return;
  const memberBytes = MEMBER_BYTES.get(kind);
  if (memberBytes === undefined) throw bad("has members, as its kind has not");
  for (let at = tail; at < tail + count * memberBytes; at += memberBytes) {
    checkName(btf, types.u32(at));
    if (kind === KIND.enum || kind === KIND.enum64) continue;
    checkType(btf, types.u32(at + 4));
    const bits = hasBitfields && memberBytes === 12 ? types.u32(at + 8) >>> BITFIELD_SHIFT : 0;
    if (bits > 0 && !isCounted(bareType(btf, types.u32(at + 4)))) throw bad("has a bit field that is not a number");
  }
}

const isCounted = ({ kind, sizeOrType }: BtfType): boolean =>
  (kind === KIND.int || kind === KIND.enum || kind === KIND.enum64) && sizeOrType > 0;

/** Returns how many variables it has. */
function checkDatasec(btf: Btf, id: number, type: BtfType): number {
  const bad = (reason: string) => btf.types.format.refuse(`its BTF type ${id} ${reason}`);
  const name = btf.strings.text(type.nameAt, KCONFIG.length) ?? "";
  let bytes = 0;
  for (let i = 0; i < type.count; i++) {
    const member = typeOf(btf, btf.types.u32(type.tail + i * 12));
    const fits = member.kind === KIND.variable || (member.kind === KIND.function && name === KSYMS);
    if (!fits) throw bad("is a section with something else than variables");
    if (name === KCONFIG) bytes += sizeOfType(btf, member.sizeOrType) ?? 0;
  }
  // libbpf adds the sizes in 32 bits and allocates the sum.
  if (bytes > KCONFIG_BYTES_MAX)
    throw bad(`has ${bytes} bytes of kernel configuration, more than ${KCONFIG_BYTES_MAX}`);
  return type.count;
}

/** Returns the nesting depth of a value of this type. libbpf follows it recursively, possibly without end. */
function heightOf(btf: Btf, id: number, walk: { readonly heights: Uint8Array; readonly depth: number }): number {
  const known = walk.heights[id] ?? 0;
  if (known > 0 || id === 0) return known;
  const { kind, count, sizeOrType, tail } = typeOf(btf, id);
  let below = 0;
  if (walk.depth < BTF_NESTING_MAX) {
    const deeper = { heights: walk.heights, depth: walk.depth + 1 };
    if (isWrapper(kind) || kind === KIND.variable) below = heightOf(btf, sizeOrType, deeper);
    else if (kind === KIND.array) below = heightOf(btf, btf.types.u32(tail), deeper);
    else if (kind === KIND.struct || kind === KIND.union) {
      for (let at = tail; at < tail + count * 12; at += 12) {
        below = Math.max(below, heightOf(btf, btf.types.u32(at + 4), deeper));
      }
    }
  }
  if (walk.depth >= BTF_NESTING_MAX || below >= BTF_NESTING_MAX) {
    throw btf.types.format.refuse(`its BTF type ${id} has more than ${BTF_NESTING_MAX} others in it, or itself`);
  }
  walk.heights[id] = below + 1;
  return below + 1;
}
