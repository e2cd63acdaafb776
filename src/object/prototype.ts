/** Function prototypes in BTF, which the kernel compares with the prototype of a dispatcher's slot. */
import type { ChainedKind } from "../domain/kinds.ts";
import { BtfDraft } from "./btf-draft.ts";
import { type Btf, KIND, typeOf } from "./btf.ts";

/** A slot's argument is a pointer to this struct, which the kernel recognises by name. */
const CONTEXT = { xdp: "xdp_md", tc: "__sk_buff" } as const satisfies Record<ChainedKind, string>;

const SIGNED_32_BITS = 0x0100_0020;
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
export function withSlotPrototype(btf: Btf, name: string, hook: ChainedKind): Uint8Array | null {
  const id = functionId(btf, name);
  if (id === null) return null;
  const draft = new BtfDraft(btf, btf.types.format.littleEndian);
  const int = draft.add(draft.name("int"), [KIND.int], 4, SIGNED_32_BITS);
  const context = draft.add(draft.name(CONTEXT[hook]), [KIND.struct], 4);
  const pointer = draft.add(0, [KIND.pointer], context);
  const prototype = draft.add(0, [KIND.functionProto, 1], int, draft.name("ctx"), pointer);
  draft.replace(id, typeOf(btf, id).nameAt, [KIND.function, GLOBAL], prototype);
  return draft.finish();
}
