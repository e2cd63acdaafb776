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
  MEMBER_BYTES,
  membersOf,
  sizeOfType,
  typeOf,
} from "./btf.ts";

const KSYMS = ".ksyms";
const KCONFIG = ".kconfig";

/** Words before the members. */
const HEAD_WORDS = 3;

/**
 * Throws the error of `refuse` for the first problem. Returns how many variables its sections have. Reads words rather than types:
 * each is read once, by code that is not compiled.
 */
export function checkBtf(btf: Btf): number {
  const { strings, types, words, places } = btf;
  const [nameBytes, count] = [strings.length, places.length];
  const { refuse } = types.format;
  if (strings.length === 0 || strings.u8(0) !== 0 || strings.u8(strings.length - 1) !== 0) {
    throw refuse("its BTF names do not begin and end with an empty one");
  }
  const heights = new Uint8Array(count);
  let variables = 0;
  for (let id = 1; id < count; id++) {
    const at = (places[id] as number) >>> 2;
    const other = words[at + 2] as number;
    if ((words[at] as number) >= nameBytes) throw noName(btf, words[at] as number);
    const info = words[at + 1] as number;
    const kind = (info >>> 24) & 0x1f;
    switch (kind) {
      case KIND.function:
        if (other >= count) throw noType(btf, other);
        if (kindAt(btf, other) !== KIND.functionProto) throw bad(btf, id, "is a function without a prototype");
        // Its number of members is its linkage.
        continue;
      case KIND.functionProto:
      case KIND.pointer:
      case KIND.declTag:
        if (other >= count) throw noType(btf, other);
        break;
      case KIND.datasec:
        variables += checkDatasec(btf, id, typeOf(btf, id));
        continue;
      case KIND.array:
        checkType(btf, words[at + HEAD_WORDS] as number);
        checkType(btf, words[at + HEAD_WORDS + 1] as number);
        heightOf(btf, id, heights, 0);
        break;
      case KIND.struct:
      case KIND.union:
        heightOf(btf, id, heights, 0);
        break;
      default:
        if (kind !== KIND.variable && !isWrapper(kind)) break;
        checkType(btf, other);
        heightOf(btf, id, heights, 0);
    }
    if ((info & 0xffff) > 0) checkMembers(btf, id, at, count);
  }
  return variables;
}

const bad = (btf: Btf, id: number, reason: string) => btf.types.format.refuse(`its BTF type ${id} ${reason}`);

/** Returns the kind of an existing type; 0 for void. */
const kindAt = ({ words, places }: Btf, id: number): number =>
  id === 0 ? 0 : ((words[((places[id] as number) >>> 2) + 1] as number) >>> 24) & 0x1f;

const noName = (btf: Btf, at: number) =>
  btf.types.format.refuse(`its BTF has a name at ${at}, past the end of its names`);
const noType = (btf: Btf, id: number) => btf.types.format.refuse(`its BTF has no type ${id}`);

function checkType(btf: Btf, id: number): void {
  if (id >= btf.places.length) throw noType(btf, id);
}

/** Checks the members of the type whose words begin at `at`; there are that many types. */
function checkMembers(btf: Btf, id: number, at: number, types: number): void {
  const { words, strings } = btf;
  const info = words[at + 1] as number;
  const kind = (info >>> 24) & 0x1f;
  const hasBitfields = info >>> 31 === 1;
  const count = info & 0xffff;
  const each = (MEMBER_BYTES[kind] ?? 0) >>> 2;
  if (each === 0) throw bad(btf, id, "has members, which its kind cannot have");
  for (let i = 0, member = at + HEAD_WORDS; i < count; i++, member += each) {
    if ((words[member] as number) >= strings.length) throw noName(btf, words[member] as number);
    if (kind === KIND.enum || kind === KIND.enum64) continue;
    const type = words[member + 1] as number;
    if (type >= types) throw noType(btf, type);
    const isBitfield = hasBitfields && kind !== KIND.functionProto && (words[member + 2] as number) >>> 24 > 0;
    if (isBitfield && !isCounted(bareType(btf, type))) throw bad(btf, id, "has a bit field that is not an integer");
  }
}

const isCounted = ({ kind, sizeOrType }: BtfType): boolean =>
  (kind === KIND.int || kind === KIND.enum || kind === KIND.enum64) && sizeOrType > 0;

/** Returns how many variables it has. */
function checkDatasec(btf: Btf, id: number, type: BtfType): number {
  const name = btf.strings.text(type.nameAt, KCONFIG.length) ?? "";
  let bytes = 0;
  for (const at of membersOf(type)) {
    const member = typeOf(btf, btf.types.u32(at));
    const fits = member.kind === KIND.variable || (member.kind === KIND.function && name === KSYMS);
    if (!fits) throw bad(btf, id, "is a section that contains something other than variables");
    if (name === KCONFIG) bytes += sizeOfType(btf, member.sizeOrType) ?? 0;
  }
  // libbpf adds the sizes in 32 bits and allocates the sum.
  if (bytes > KCONFIG_BYTES_MAX)
    throw bad(btf, id, `has ${bytes} bytes of kernel configuration, more than ${KCONFIG_BYTES_MAX}`);
  return type.count;
}

/**
 * Returns the nesting depth of a value of this type, at this depth in others. libbpf follows it recursively, possibly without end.
 * `heights`: by type; 0 where it is not known yet.
 */
function heightOf(btf: Btf, id: number, heights: Uint8Array, depth: number): number {
  checkType(btf, id);
  const known = heights[id] ?? 0;
  if (known > 0 || id === 0) return known;
  const { words } = btf;
  const at = (btf.places[id] as number) >>> 2;
  const kind = kindAt(btf, id);
  let below = 0;
  if (depth < BTF_NESTING_MAX) {
    if (isWrapper(kind) || kind === KIND.variable) below = heightOf(btf, words[at + 2] as number, heights, depth + 1);
    else if (kind === KIND.array) below = heightOf(btf, words[at + HEAD_WORDS] as number, heights, depth + 1);
    else if (kind === KIND.struct || kind === KIND.union) {
      const end = at + HEAD_WORDS + 3 * ((words[at + 1] as number) & 0xffff);
      for (let member = at + HEAD_WORDS; member < end; member += 3)
        below = Math.max(below, heightOf(btf, words[member + 1] as number, heights, depth + 1));
    }
  }
  if (depth >= BTF_NESTING_MAX || below >= BTF_NESTING_MAX)
    throw bad(btf, id, `contains more than ${BTF_NESTING_MAX} others, or itself`);
  heights[id] = below + 1;
  return below + 1;
}
