/** Function prototypes in BTF, which the kernel compares with the prototype of a dispatcher's slot. */
import type { ChainedKind } from "../domain/kinds.ts";
import { type Btf, KIND, openBtf, typeOf } from "./btf.ts";
import type { Fields } from "./fields.ts";

/** A slot's argument is a pointer to this struct, which the kernel recognises by name. */
const CONTEXT = { xdp: "xdp_md", tc: "__sk_buff" } as const satisfies Record<ChainedKind, string>;

const MAGIC = 0xeb9f;
const VERSION = 1;
const HEADER_BYTES = 24;
const SIGNED_32_BITS = 0x0100_0020;
const KIND_SHIFT = 24;
/** BTF_FUNC_GLOBAL and BTF_FUNC_EXTERN (include/uapi/linux/btf.h), where other kinds have their member count. */
const GLOBAL = 1;
const EXTERN = 2;

/** Returns the ID of a function that the object defines; null if BTF does not describe it. */
function functionId(btf: Btf, name: string): number | null {
  for (let id = 1; id < btf.places.length; id++) {
    const { kind, count, nameAt } = typeOf(btf, id);
    if (kind === KIND.function && count !== EXTERN && btf.strings.text(nameAt, name.length) === name) return id;
  }
  return null;
}

/**
 * Returns BTF in which the function `name` is `int name(struct CONTEXT *)`, like a slot, however it was declared: returning
 * an enum, taking `void *` or nothing, static. The code is the same in all these cases. Type IDs do not change. Returns null
 * if BTF does not describe the function.
 */
export function withSlotPrototype(fields: Fields, name: string, hook: ChainedKind): Uint8Array | null {
  const btf = openBtf(fields);
  const id = functionId(btf, name);
  if (id === null) return null;
  const { littleEndian } = fields.format;
  const names = new TextEncoder().encode(`int\0${CONTEXT[hook]}\0ctx\0`);
  const intAt = btf.strings.length;
  const contextAt = intAt + "int\0".length;
  const argumentAt = contextAt + CONTEXT[hook].length + 1;
  const int = btf.places.length;
  const kindWord = (kind: number, count = 0): number => kind * 2 ** KIND_SHIFT + count;
  const added = [
    ...[intAt, kindWord(KIND.int), 4, SIGNED_32_BITS],
    ...[contextAt, kindWord(KIND.struct), 4],
    ...[0, kindWord(KIND.pointer), int + 1],
    ...[0, kindWord(KIND.functionProto, 1), int, argumentAt, int + 2],
  ];
  const typeBytes = btf.types.length + added.length * 4;
  const bytes = new Uint8Array(HEADER_BYTES + typeBytes + btf.strings.length + names.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, MAGIC, littleEndian);
  view.setUint8(2, VERSION);
  for (const [at, value] of [
    [4, HEADER_BYTES],
    [12, typeBytes],
    [16, typeBytes],
    [20, btf.strings.length + names.length],
  ] as const) {
    view.setUint32(at, value, littleEndian);
  }
  bytes.set(btf.types.bytes, HEADER_BYTES);
  for (const [index, word] of added.entries()) {
    view.setUint32(HEADER_BYTES + btf.types.length + index * 4, word, littleEndian);
  }
  bytes.set(btf.strings.bytes, HEADER_BYTES + typeBytes);
  bytes.set(names, HEADER_BYTES + typeBytes + btf.strings.length);
  const functionAt = HEADER_BYTES + (btf.places[id] as number);
  view.setUint32(functionAt + 4, kindWord(KIND.function, GLOBAL), littleEndian);
  view.setUint32(functionAt + 8, int + 3, littleEndian);
  return bytes;
}
