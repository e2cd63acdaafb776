/**
 * Values of BTF types as JSON, both ways. A type is compiled once into functions that write its values as JSON text and
 * read them from parsed JSON.
 *
 * Integers and bit fields are numbers with all their digits, enumerators their names, structs objects and arrays lists; members
 * of unnamed structs and unions are members of what contains them, as in C. A char array is a string: what it holds up to its
 * trailing NULs, if that is UTF-8, else a list of numbers. `__be16`, `__be32` and `__be64` are in network byte order, and
 * `__be32`, `struct in_addr` and `struct in6_addr` addresses. Pointers are strings such as `"0xffff8880"`. What belongs to the
 * kernel (spin locks, timers, pointers to its objects) is shown by name, as in `"(bpf_timer)"`, and never written.
 */
import {
  BTF_DEPTH_MAX,
  BTF_NESTING_MAX,
  COMPILED_MEMBERS_MAX,
  LISTED_NAMES_MAX,
  VALUE_PARTS_MAX,
  WRONG_VALUE_CHARS_MAX,
} from "../domain/limits.ts";
import { BpfmanError } from "../errors/error.ts";
import { whatThereIs } from "../errors/suggest.ts";
import {
  arrayOf,
  bareType,
  type Btf,
  type BtfType,
  isWrapper,
  KIND,
  memberPosition,
  membersOf,
  sizeOfType,
  typeOf,
} from "./btf.ts";
import { ipv4Bytes, ipv6Bytes, ipv6Text } from "./ip-address.ts";
import { JsonText, quoted } from "./json-text.ts";

/** A type whose values can be read and written. */
export interface ValueType {
  /** As C spells it: `struct flow`, `__u64[4]`. */
  readonly name: string;
  readonly bytes: number;
  /** Appends the value at `at` as JSON. */
  write(from: DataView, at: number, out: JsonText): void;
  /**
   * Sets the value at `at` from parsed JSON. Integers may be numbers, bigints, or strings of digits (`"18"`, `"0x12"`).
   * Members that are not given stay as they are. Throws INVALID_VALUE, which begins with `path`.
   */
  read(value: unknown, into: DataView, at: number, path: string): void;
  /** Adds the numbers of a value to those of another, wrapping as in C. What is no number stays as it is. */
  add(from: DataView, into: DataView, at: number): void;
}

interface Compiled extends ValueType {
  /** How many values are in it, to bound the work. */
  readonly parts: number;
}

interface Member {
  readonly name: string;
  readonly at: number;
  readonly type: Compiled;
  /** It is a member of a union: others lie in the same place. */
  readonly shared?: boolean;
}

const BYTE_BITS = 8;
const POINTER_BYTES = 8;

/** BTF_INT_* (include/uapi/linux/btf.h). */
const INT_SIGNED = 1;
const INT_BOOL = 4;

/** Structs that the kernel finds in values by name and keeps for itself (enum btf_field_type). */
const OF_KERNEL = /^bpf_(spin_lock|res_spin_lock|timer|wq|task_work|list_head|list_node|rb_root|rb_node|refcount)$/;
/** Type tags of pointers that only programs may set. */
const KERNEL_POINTER_TAG = /^(kptr|kptr_untrusted|percpu_kptr|uptr)$/;

const encoder = new TextEncoder();
const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const COMMA = 0x2c;
const bytesAt = (view: DataView, at: number, length: number): Uint8Array =>
  new Uint8Array(view.buffer, view.byteOffset + at, length);

/** A value as an error quotes it. */
export function shown(value: unknown): string {
  if (typeof value === "bigint") return cut(String(value));
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "an object";
  return cut(JSON.stringify(value) ?? String(value));
}

const cut = (text: string): string =>
  text.length > WRONG_VALUE_CHARS_MAX ? `${text.slice(0, WRONG_VALUE_CHARS_MAX)}…` : text;

/** A value that does not fit; `path` names it, as in `value.flow.port`. */
export const wrongValue = (path: string, problem: string, hint: string | null = null): BpfmanError =>
  new BpfmanError("INVALID_VALUE", `invalid ${path}: ${problem}`, { details: { path }, hint });

const mismatch = (path: string, wanted: string, value: unknown): BpfmanError =>
  wrongValue(path, `must be ${wanted}, not ${shown(value)}`);

/** Parses an integer; null if it is none. */
function integerOf(value: unknown): bigint | null {
  if (typeof value === "bigint") return value;
  if (typeof value === "number") return Number.isSafeInteger(value) ? BigInt(value) : null;
  if (typeof value !== "string" || value.length > WRONG_VALUE_CHARS_MAX) return null;
  return /^([-+]?\d+|0[xX][0-9a-fA-F]+)$/.test(value) ? BigInt(value.replace("+", "")) : null;
}

/** Parses an integer of that many bits. Throws INVALID_VALUE. */
function integerIn(value: unknown, bits: number, signed: boolean, path: string): bigint {
  const found = integerOf(value);
  if (found === null) throw mismatch(path, "a whole number", value);
  const least = signed ? -(1n << BigInt(bits - 1)) : 0n;
  const most = (1n << BigInt(signed ? bits - 1 : bits)) - 1n;
  if (found < least || found > most) throw mismatch(path, `from ${least} to ${most}`, found);
  return found;
}

/** Bits of a value: a whole number of bytes for all but bit fields. */
interface Bits {
  readonly bits: number;
  /** From the start of its bytes. */
  readonly skip: number;
  readonly little: boolean;
}

const spanOf = ({ bits, skip }: Bits): number => Math.ceil((skip + bits) / BYTE_BITS);
const shiftOf = ({ bits, skip, little }: Bits, span: number): bigint =>
  BigInt(little ? skip : span * BYTE_BITS - skip - bits);

function loadBytes(view: DataView, at: number, span: number, little: boolean): bigint {
  let value = 0n;
  for (let i = 0; i < span; i++) value = (value << 8n) | BigInt(view.getUint8(at + (little ? span - 1 - i : i)));
  return value;
}

function loadBits(view: DataView, at: number, place: Bits, signed: boolean): bigint {
  const span = spanOf(place);
  const value = loadBytes(view, at, span, place.little) >> shiftOf(place, span);
  return signed ? BigInt.asIntN(place.bits, value) : BigInt.asUintN(place.bits, value);
}

function storeBits(view: DataView, at: number, place: Bits, value: bigint): void {
  const span = spanOf(place);
  const shift = shiftOf(place, span);
  const mask = ((1n << BigInt(place.bits)) - 1n) << shift;
  let whole = (loadBytes(view, at, span, place.little) & ~mask) | ((value << shift) & mask);
  for (let i = 0; i < span; i++) {
    view.setUint8(at + (place.little ? i : span - 1 - i), Number(whole & 0xffn));
    whole >>= 8n;
  }
}

/** How a number is written and read, beyond its bits. */
interface Words {
  /** JSON for some numbers: `true` and `false`, or the names of enumerators. */
  readonly words?: ReadonlyMap<bigint, Uint8Array>;
  readonly number?: (value: unknown, path: string) => bigint | null;
}

interface NumberFacts extends Words {
  readonly name: string;
  readonly bytes: number;
  readonly place: Bits;
  readonly signed: boolean;
}

/** A number of any size at any bit. */
function numberType({ name, bytes, place, signed, words, number }: NumberFacts): Compiled {
  return {
    name,
    bytes,
    parts: 1,
    write: (from, at, out) => {
      const value = loadBits(from, at, place, signed);
      const word = words?.get(value);
      if (word === undefined) out.bigInteger(value);
      else out.raw(word);
    },
    read: (value, into, at, path) =>
      storeBits(into, at, place, number?.(value, path) ?? integerIn(value, place.bits, signed, path)),
    add: (from, into, at) => {
      if (words !== undefined) return;
      storeBits(into, at, place, loadBits(into, at, place, signed) + loadBits(from, at, place, signed));
    },
  };
}

const TWO_TO_32 = 0x1_0000_0000;
/** The upper half of numbers that a double holds exactly. */
const UPPER_EXACT_MAX = 0x1f_ffff;

type Getter = (from: DataView, at: number) => number;

/** Reads an integer that needs no bigint. */
function smallGetter(bytes: number, signed: boolean, little: boolean): Getter | null {
  switch (`${signed ? "s" : "u"}${bytes}`) {
    case "u1":
      return (from, at) => from.getUint8(at);
    case "s1":
      return (from, at) => from.getInt8(at);
    case "u2":
      return (from, at) => from.getUint16(at, little);
    case "s2":
      return (from, at) => from.getInt16(at, little);
    case "u4":
      return (from, at) => from.getUint32(at, little);
    case "s4":
      return (from, at) => from.getInt32(at, little);
    default:
      return null;
  }
}

/** Writes an integer of 64 bits, with a bigint only if a double does not hold it exactly. */
function wideWriter(signed: boolean, little: boolean): ValueType["write"] {
  const [upperAt, lowerAt] = little ? [4, 0] : [0, 4];
  return (from, at, out) => {
    const upper = from.getUint32(at + upperAt, little);
    if (upper <= UPPER_EXACT_MAX) out.integer(upper * TWO_TO_32 + from.getUint32(at + lowerAt, little));
    else out.bigInteger(signed ? from.getBigInt64(at, little) : from.getBigUint64(at, little));
  };
}

/** An integer of whole bytes. */
export function integerType(name: string, bytes: number, signed: boolean, little = true): ValueType {
  return wholeNumber(name, bytes, signed, little);
}

function wholeNumber(name: string, bytes: number, signed: boolean, little: boolean, words: Words = {}): Compiled {
  const place = { bits: bytes * BYTE_BITS, skip: 0, little };
  const type = numberType({ name, bytes, place, signed, ...words });
  const get = smallGetter(bytes, signed, little);
  if (get === null)
    return bytes === 8 && words.words === undefined ? { ...type, write: wideWriter(signed, little) } : type;
  if (words.words === undefined) return { ...type, write: (from, at, out) => out.integer(get(from, at)) };
  const known = new Map([...words.words].map(([value, word]) => [Number(value), word]));
  return {
    ...type,
    write: (from, at, out) => {
      const value = get(from, at);
      const word = known.get(value);
      if (word === undefined) out.integer(value);
      else out.raw(word);
    },
  };
}

const BOOL_WORDS: Words = {
  // A bool that a program has filled with another number shows it.
  words: new Map([
    [0n, encoder.encode("false")],
    [1n, encoder.encode("true")],
  ]),
  number: (value, path) => {
    if (typeof value === "boolean") return value ? 1n : 0n;
    if (value === "true" || value === "false") return value === "true" ? 1n : 0n;
    if (integerOf(value) === null) throw mismatch(path, "true or false", value);
    return null;
  },
};

function enumWords(btf: Btf, type: BtfType): Words & { readonly signed: boolean } {
  const isWide = type.kind === KIND.enum64;
  const bits = type.sizeOrType * BYTE_BITS;
  const values = membersOf(type).map((at) => {
    const low = BigInt(btf.types.u32(at + 4));
    return {
      name: btf.strings.name(btf.types.u32(at)),
      value: isWide ? low | (BigInt(btf.types.u32(at + 8)) << 32n) : low,
    };
  });
  // Compilers before kind_flag meant that did not say that an enum is signed.
  const signed = type.hasBitfields || (!isWide && values.some(({ value }) => value >> 31n === 1n && bits === 32));
  const own = (value: bigint): bigint => (signed ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value));
  const words = new Map(values.toReversed().map(({ name, value }) => [own(value), encoder.encode(quoted(name))]));
  const numbers = new Map(values.map(({ name, value }) => [name, own(value)]));
  return {
    signed,
    words,
    number: (value, path) => {
      if (typeof value !== "string") return null;
      const found = numbers.get(value);
      if (found !== undefined) return found;
      if (integerOf(value) !== null) return null;
      const hint = whatThereIs(value.slice(0, WRONG_VALUE_CHARS_MAX), [...numbers.keys()], {
        there: "it has",
        none: "it has no names",
      });
      throw wrongValue(path, `no enumerator ${shown(value)}`, hint);
    },
  };
}

/** Names for numbers that JSON does not have. */
const NOT_NUMBERS: readonly string[] = ["NaN", "Infinity", "-Infinity"];

function floatType(name: string, bytes: number, little: boolean): Compiled {
  if (bytes !== 4 && bytes !== 8) return bytesType(name, bytes);
  const get = (view: DataView, at: number): number =>
    bytes === 4 ? view.getFloat32(at, little) : view.getFloat64(at, little);
  const set = (view: DataView, at: number, value: number): void =>
    bytes === 4 ? view.setFloat32(at, value, little) : view.setFloat64(at, value, little);
  return {
    name,
    bytes,
    parts: 1,
    write: (from, at, out) => {
      const value = get(from, at);
      out.json(Number.isFinite(value) ? (Object.is(value, -0) ? "-0" : String(value)) : `"${value}"`);
    },
    read: (value, into, at, path) => {
      const isText =
        typeof value === "string" && (NOT_NUMBERS.includes(value) || /^-?\d+(\.\d+)?(e[-+]?\d+)?$/i.test(value));
      if (!isText && typeof value !== "number" && typeof value !== "bigint") throw mismatch(path, "a number", value);
      set(into, at, Number(value));
    },
    add: (from, into, at) => set(into, at, get(into, at) + get(from, at)),
  };
}

/** A value that is only known by its bytes, as a string of two hex digits for each. */
export const bytesType = (name: string, bytes: number): Compiled => ({
  name,
  bytes,
  parts: 1,
  write: (from, at, out) => out.json(`"${bytesAt(from, at, bytes).toHex()}"`),
  read: (value, into, at, path) => bytesAt(into, at, bytes).set(hexBytes(value, bytes, path)),
  add: () => {},
});

/** Parses two hex digits for each byte; `0x` before them, and blanks and colons between them, are allowed. */
function hexBytes(value: unknown, bytes: number, path: string): Uint8Array {
  // A word of digits is JSON for a number.
  const text = typeof value === "number" || typeof value === "bigint" ? String(value) : value;
  const wanted = `${bytes} bytes in hex, as in "${"0a".repeat(Math.min(bytes, 4))}${bytes > 4 ? "…" : ""}"`;
  if (typeof text !== "string") throw mismatch(path, wanted, value);
  const digits = text.replace(/^0[xX]/, "").replaceAll(/[\s:]/g, "");
  if (!/^([0-9a-fA-F]{2})*$/.test(digits)) throw mismatch(path, wanted, value);
  const given = digits.length / 2;
  if (given !== bytes) throw wrongValue(path, `must be ${wanted}, not ${given} ${given === 1 ? "byte" : "bytes"}`);
  return Uint8Array.fromHex(digits);
}

/** An address that is a string. */
function addressType(name: string, bytes: 4 | 16): Compiled {
  const parse = bytes === 4 ? ipv4Bytes : ipv6Bytes;
  return {
    name,
    bytes,
    parts: 1,
    write: (from, at, out) => {
      if (bytes === 4) out.ipv4(from, at);
      else out.json(`"${ipv6Text(bytesAt(from, at, bytes))}"`);
    },
    read: (value, into, at, path) => {
      const wanted = bytes === 4 ? 'an IPv4 address, as in "10.0.0.1"' : 'an IPv6 address, as in "2001:db8::1"';
      const found = typeof value === "string" ? parse(value) : null;
      const number = found === null && bytes === 4 ? integerOf(value) : null;
      if (number !== null) into.setUint32(at, Number(integerIn(number, 32, false, path)));
      else if (found !== null) bytesAt(into, at, bytes).set(found);
      else throw mismatch(path, wanted, value);
    },
    add: () => {},
  };
}

/** What belongs to the kernel. It may be given as it is shown, so that what was dumped can be written. */
function kernelType(name: string, bytes: number): Compiled {
  const word = `(${name})`;
  const json = encoder.encode(quoted(word));
  return {
    name,
    bytes,
    parts: 1,
    write: (_from, _at, out) => out.raw(json),
    read: (value, _into, _at, path) => {
      if (value !== word && value !== null)
        throw wrongValue(path, "it belongs to the kernel, and cannot be set", "leave it out");
    },
    add: () => {},
  };
}

function pointerType(name: string, little: boolean): Compiled {
  const place = { bits: POINTER_BYTES * BYTE_BITS, skip: 0, little };
  return {
    ...wholeNumber(name, POINTER_BYTES, false, little),
    write: (from, at, out) => out.json(`"0x${loadBits(from, at, place, false).toString(16)}"`),
    add: () => {},
  };
}

/** A char array as text; null if it is not UTF-8. NULs at its end are not part of it. */
function textIn(bytes: Uint8Array): string | null {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  try {
    return strictDecoder.decode(bytes.subarray(0, end));
  } catch {
    return null;
  }
}

function textType(name: string, bytes: number, numbers: Compiled): Compiled {
  return {
    name,
    bytes,
    parts: Math.max(1, Math.ceil(bytes / BYTE_BITS)),
    write: (from, at, out) => {
      if (out.plainText(from, at, bytes)) return;
      const text = textIn(bytesAt(from, at, bytes));
      if (text === null) numbers.write(from, at, out);
      else out.string(text);
    },
    read: (value, into, at, path) => {
      if (Array.isArray(value)) return numbers.read(value, into, at, path);
      if (typeof value !== "string") {
        const isNumber = typeof value === "number" || typeof value === "bigint";
        throw isNumber
          ? wrongValue(path, `must be text, not ${shown(value)}`, `write it with quotes: '"${value}"'`)
          : mismatch(path, "text", value);
      }
      if (!value.isWellFormed()) throw wrongValue(path, "half of a surrogate pair is not a character");
      const text = encoder.encode(value);
      if (text.length > bytes) throw wrongValue(path, `has ${text.length} bytes, and there is room for ${bytes}`);
      bytesAt(into, at, bytes).fill(0).set(text);
    },
    add: () => {},
  };
}

function listType(name: string, count: number, element: Compiled): Compiled {
  // Elements without size would be endless.
  const length = element.bytes === 0 ? 0 : count;
  return {
    name,
    bytes: element.bytes * count,
    parts: 1 + length * element.parts,
    write: (from, at, out) => {
      out.byte(0x5b);
      for (let i = 0; i < length; i++) {
        if (i > 0) out.byte(COMMA);
        element.write(from, at + i * element.bytes, out);
      }
      out.byte(0x5d);
    },
    read: (value, into, at, path) => {
      if (!Array.isArray(value)) throw mismatch(path, `a list of ${length}`, value);
      if (value.length !== length) throw wrongValue(path, `must be a list of ${length}, not of ${value.length}`);
      for (const [i, each] of value.entries()) element.read(each, into, at + i * element.bytes, `${path}[${i}]`);
    },
    add: (from, into, at) => {
      for (let i = 0; i < length; i++) element.add(from, into, at + i * element.bytes);
    },
  };
}

interface Layout {
  readonly name: string;
  readonly bytes: number;
  /** Those of unnamed structs and unions in it are among them; unnamed bit fields are padding. */
  readonly members: readonly Member[];
}

function objectType({ name, bytes, members }: Layout): Compiled & { readonly layout: Layout } {
  const overlaps = members.some(({ shared }) => shared);
  const heads = members.map((member, i) => encoder.encode(`${i === 0 ? "{" : ","}${quoted(member.name)}:`));
  const byName = new Map(members.map((member) => [member.name, member]));
  const memberOf = (key: string, path: string): Member => {
    const member = byName.get(key);
    if (member !== undefined) return member;
    const hint = whatThereIs(key, [...byName.keys()], { there: "it has", none: "it has none" });
    throw wrongValue(`${path}.${key}`, `${name} has no such member`, hint);
  };
  return {
    name,
    bytes,
    parts: members.reduce((sum, { type }) => sum + type.parts, 1),
    layout: { name, bytes, members },
    write: (from, at, out) => {
      if (members.length === 0) out.byte(0x7b);
      for (let i = 0; i < members.length; i++) {
        const member = members[i] as Member;
        out.raw(heads[i] as Uint8Array);
        member.type.write(from, at + member.at, out);
      }
      out.byte(0x7d);
    },
    read: (value, into, at, path) => {
      if (typeof value !== "object" || value === null || Array.isArray(value)) {
        const names = members.slice(0, LISTED_NAMES_MAX).map((member) => member.name);
        throw wrongValue(path, `must be an object, not ${shown(value)}`, `${name} has: ${names.join(", ")}`);
      }
      const given = Object.entries(value).map(([key, each]) => ({
        ...memberOf(key, path),
        each,
        path: `${path}.${key}`,
      }));
      if (!overlaps) {
        for (const member of given) member.type.read(member.each, into, at + member.at, member.path);
        return;
      }
      // The largest member of a union first; the others may only say the same again.
      given.sort((a, b) => b.type.bytes - a.type.bytes);
      const alone = given.map((member) => {
        const bytes = new DataView(bytesAt(into, at + member.at, member.type.bytes).slice().buffer);
        member.type.read(member.each, bytes, 0, member.path);
        return jsonOf(member.type, bytes, 0);
      });
      for (const member of given) member.type.read(member.each, into, at + member.at, member.path);
      const other = given.find((member, i) => jsonOf(member.type, into, at + member.at) !== alone[i]);
      if (other === undefined) return;
      throw wrongValue(other.path, "another member of the same union says otherwise", "give only one of them");
    },
    add: (from, into, at) => {
      // What a union holds is not known.
      for (const member of members) if (!member.shared) member.type.add(from, into, at + member.at);
    },
  };
}

/** A struct of which no BTF is at hand. */
export const recordType = (
  name: string,
  bytes: number,
  members: readonly { readonly name: string; readonly at: number; readonly type: ValueType }[],
): ValueType =>
  objectType({
    name,
    bytes,
    members: members.map((each) => ({ ...each, type: { ...each.type, parts: 1 } })),
  });

function jsonOf(type: ValueType, from: DataView, at: number): string {
  const out = new JsonText();
  type.write(from, at, out);
  return out.toString();
}

/** The type as C spells it. */
export function typeName(btf: Btf, id: number): string {
  let suffix = "";
  let type = typeOf(btf, id);
  for (let depth = 0; depth < BTF_DEPTH_MAX; depth++) {
    const name = btf.strings.name(type.nameAt);
    switch (type.kind) {
      case KIND.array: {
        const { type: element, elements } = arrayOf(btf, type);
        suffix += `[${elements}]`;
        type = typeOf(btf, element);
        break;
      }
      case KIND.pointer:
        suffix = ` *${suffix}`;
        type = typeOf(btf, type.sizeOrType);
        break;
      case KIND.volatile:
      case KIND.const:
      case KIND.restrict:
      case KIND.typeTag:
        type = typeOf(btf, type.sizeOrType);
        break;
      case KIND.struct:
      case KIND.union:
      case KIND.enum:
      case KIND.enum64:
        return `${KEYWORDS[type.kind]}${name === "" ? "" : ` ${name}`}${suffix}`;
      default:
        return `${type.kind === 0 ? "void" : name}${suffix}`;
    }
  }
  return "…";
}

const KEYWORDS: Readonly<Record<number, string>> = {
  [KIND.struct]: "struct",
  [KIND.union]: "union",
  [KIND.enum]: "enum",
  [KIND.enum64]: "enum",
};

/** Typedefs of the kernel for numbers in network byte order. */
const BIG_ENDIAN = /^__be(16|32|64)$/;

/**
 * Compiles types of `btf`, each once. The function returns null for a type that has no size (void, functions), or too many
 * parts for {@link VALUE_PARTS_MAX}, and throws the error of the BTF's `refuse` for types that contradict themselves.
 */
export function valueTypes(btf: Btf): (id: number) => ValueType | null {
  const done = new Map<number, Compiled | null>();
  const little = btf.types.format.littleEndian;
  const bad = (id: number, reason: string) => btf.types.format.refuse(`its BTF type ${id} ${reason}`);

  /** Counts what was compiled: types within types can multiply. */
  let spent = 0;
  const spend = (id: number, count: number): void => {
    spent += count;
    if (spent > COMPILED_MEMBERS_MAX) throw bad(id, `has, with others, more than ${COMPILED_MEMBERS_MAX} members`);
  };

  const compile = (id: number, depth: number): Compiled | null => {
    const known = done.get(id);
    if (known !== undefined) return known;
    if (depth > BTF_NESTING_MAX) throw bad(id, `goes through more than ${BTF_NESTING_MAX} others, or in a circle`);
    const compiled = compileNew(id, typeOf(btf, id), depth);
    const kept = compiled === null || compiled.parts > VALUE_PARTS_MAX ? null : compiled;
    done.set(id, kept);
    return kept;
  };

  const compileNew = (id: number, type: BtfType, depth: number): Compiled | null => {
    const name = typeName(btf, id);
    const bytes = type.sizeOrType;
    switch (type.kind) {
      case KIND.int:
        return intType(name, type);
      case KIND.enum:
      case KIND.enum64: {
        if (![1, 2, 4, 8].includes(bytes)) throw bad(id, `is an enum of ${bytes} bytes`);
        spend(id, type.count);
        const words = enumWords(btf, type);
        return wholeNumber(name, bytes, words.signed, little, words);
      }
      case KIND.float:
        return floatType(name, bytes, little);
      case KIND.pointer: {
        const target = typeOf(btf, type.sizeOrType);
        const isKernels = target.kind === KIND.typeTag && KERNEL_POINTER_TAG.test(btf.strings.name(target.nameAt));
        return isKernels ? kernelType(name, POINTER_BYTES) : pointerType(name, little);
      }
      case KIND.array:
        return arrayType(name, type, depth);
      case KIND.struct:
      case KIND.union:
        return structType(id, type, depth);
      case KIND.datasec:
        return sectionType(id, type, depth);
      case KIND.variable:
        return compile(type.sizeOrType, depth + 1);
      default: {
        if (!isWrapper(type.kind)) return null;
        const network = type.kind === KIND.typedef ? BIG_ENDIAN.exec(btf.strings.name(type.nameAt))?.[1] : undefined;
        if (network !== undefined && sizeOfType(btf, id) === Number(network) / BYTE_BITS) {
          return network === "32" ? addressType(name, 4) : wholeNumber(name, Number(network) / BYTE_BITS, false, false);
        }
        const bare = compile(type.sizeOrType, depth + 1);
        return bare === null || type.kind !== KIND.typedef ? bare : { ...bare, name };
      }
    }
  };

  const intType = (name: string, { sizeOrType: bytes, tail }: BtfType): Compiled => {
    const data = btf.types.u32(tail);
    const [encoding, skip, bits] = [(data >>> 24) & 0xf, (data >>> 16) & 0xff, data & 0xff];
    if (![1, 2, 4, 8, 16].includes(bytes) || bits === 0 || skip + bits > bytes * BYTE_BITS)
      return bytesType(name, bytes);
    const signed = (encoding & INT_SIGNED) !== 0;
    const words = (encoding & INT_BOOL) !== 0 ? BOOL_WORDS : {};
    if (bits === bytes * BYTE_BITS) return wholeNumber(name, bytes, signed, little, words);
    return numberType({ name, bytes, place: { bits, skip, little }, signed, ...words });
  };

  const isChar = (id: number): boolean => {
    const type = bareType(btf, id);
    return type.kind === KIND.int && type.sizeOrType === 1 && btf.strings.name(type.nameAt) === "char";
  };

  const arrayType = (name: string, type: BtfType, depth: number): Compiled | null => {
    const { type: of, elements } = arrayOf(btf, type);
    const element = compile(of, depth + 1);
    if (element === null) return null;
    const list = listType(name, elements, element);
    return isChar(of) ? textType(name, list.bytes, list) : list;
  };

  const structType = (id: number, type: BtfType, depth: number): Compiled | null => {
    const own = btf.strings.name(type.nameAt);
    const name = typeName(btf, id);
    const size = type.sizeOrType;
    if (OF_KERNEL.test(own)) return kernelType(own, size);
    if ((own === "in_addr" && size === 4) || (own === "in6_addr" && size === 16)) return addressType(name, size);
    const members: Member[] = [];
    const shared = type.kind === KIND.union;
    spend(id, type.count);
    for (const at of membersOf(type)) {
      const member = memberAt(id, type, at, depth);
      if (member === null) return null;
      if (member.at + member.type.bytes > size) throw bad(id, `has a member behind its end, of ${size} bytes`);
      const inside = member.name === "" && "layout" in member.type ? (member.type.layout as Layout) : null;
      if (inside !== null) {
        spend(id, inside.members.length);
        for (const each of inside.members)
          members.push({ ...each, at: member.at + each.at, shared: shared || each.shared === true });
      } else if (member.name !== "") members.push({ ...member, shared });
    }
    return objectType({ name, bytes: size, members });
  };

  const memberAt = (id: number, type: BtfType, at: number, depth: number): Member | null => {
    const name = btf.strings.name(btf.types.u32(at));
    const typeId = btf.types.u32(at + 4);
    const { at: place, bits } = memberPosition(btf, type, at);
    const compiled = compile(typeId, depth + 1);
    if (compiled === null) return null;
    const skip = place % BYTE_BITS;
    if (bits === 0 && skip === 0) return { name, at: place / BYTE_BITS, type: compiled };
    const bare = bareType(btf, typeId);
    // Before kind_flag, an int of its own said where its bits are.
    const width = bits === 0 && bare.kind === KIND.int ? btf.types.u32(bare.tail) & 0xff : bits;
    if (bare.kind === KIND.enum || bare.kind === KIND.enum64) spend(id, bare.count);
    if (width === 0 || width > compiled.bytes * BYTE_BITS) throw bad(id, "has a bit field that is wider than its type");
    return {
      name,
      at: Math.floor(place / BYTE_BITS),
      type: bitField(compiled.name, bare, { bits: width, skip, little }),
    };
  };

  const bitField = (name: string, bare: BtfType, place: Bits): Compiled => {
    const facts = { name, bytes: spanOf(place), place };
    if (bare.kind === KIND.enum || bare.kind === KIND.enum64) return numberType({ ...facts, ...enumWords(btf, bare) });
    const encoding = bare.kind === KIND.int ? (btf.types.u32(bare.tail) >>> 24) & 0xf : 0;
    const words = (encoding & INT_BOOL) !== 0 ? BOOL_WORDS : {};
    return numberType({ ...facts, signed: (encoding & INT_SIGNED) !== 0, ...words });
  };

  /** The variables of an ELF section, which are the value of a map of globals. */
  const sectionType = (id: number, type: BtfType, depth: number): Compiled | null => {
    const members: Member[] = [];
    spend(id, type.count);
    for (const at of membersOf(type)) {
      const variable = typeOf(btf, btf.types.u32(at));
      const compiled = compile(btf.types.u32(at), depth + 1);
      const name = btf.strings.name(variable.nameAt);
      if (compiled === null || variable.kind !== KIND.variable || name === "") continue;
      const place = btf.types.u32(at + 4);
      // In an object file, the sizes and places of sections are not set yet.
      if (place + compiled.bytes > type.sizeOrType) return null;
      members.push({ name, at: place, type: compiled });
    }
    return objectType({ name: typeName(btf, id), bytes: type.sizeOrType, members });
  };

  return (id) => (id === 0 ? null : compile(id, 0));
}
