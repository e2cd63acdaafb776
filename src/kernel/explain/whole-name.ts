/** Whole names of programs: the kernel cuts them at 15 characters, and BTF has that of the function. */
import { withObject } from "../../../ffi/safe/bpf.ts";
import { programFunction } from "../../../ffi/safe/object-info.ts";
import { NAME_CHARS_MAX } from "../../domain/limits.ts";
import { sysFailure } from "../../errors/sys-failure.ts";
import type { KernelProgram } from "../../platform/kernel.ts";
import { readBtf } from "../read-info.ts";
import { functionName } from "./kernel-btf.ts";

/** BPF_OBJ_NAME_LEN without its NUL: a name of this length may be longer. */
const CUT_AT = 15;

/** The BTF read last: programs of one object follow each other, and have one. */
let last: { readonly id: number; readonly bytes: Uint8Array | null } | null = null;

/** The program's name as its source has it, where its BTF says so, and what the kernel kept of it otherwise. */
export function wholeName({ id, name, btfId }: Pick<KernelProgram, "id" | "name" | "btfId">): string {
  if (Buffer.byteLength(name) < CUT_AT || btfId === 0) return name;
  try {
    const typeId = withObject("program", id, programFunction);
    if (typeId === null) return name;
    if (last?.id !== btfId) last = { id: btfId, bytes: readBtf(btfId) };
    const whole = last.bytes && functionName(last.bytes, typeId);
    // A program may be given another name than its function's.
    return whole !== null && whole.length <= NAME_CHARS_MAX && whole.startsWith(name) ? whole : name;
  } catch (thrown) {
    // It has gone in the meantime, or may not be read: the short name is right as well.
    if (sysFailure(thrown) !== null) return name;
    throw thrown;
  }
}
