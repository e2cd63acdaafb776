import type { Pointer } from "bun:ffi";
import { cString } from "../memory.ts";
import { lastErrno } from "./libc.ts";
import { checkedLibbpf, rareLibbpf, libbpfError } from "./libbpf.ts";

/** include/uapi/linux/btf.h */
const BTF_KIND_FUNC = 12;

/**
 * Returns the IDs of functions in a BTF object loaded in the kernel, in the order of `names`. Throws SysError: ENOENT
 * if one of them does not exist.
 */
export function btfFunctionIds(btfId: number, names: readonly string[]): number[] {
  const library = rareLibbpf();
  const loaded = library.btf__load_from_kernel_by_id(btfId);
  if (loaded === null) throw libbpfError("btf__load_from_kernel_by_id", lastErrno());
  const btf = Number(loaded) as Pointer;
  try {
    return names.map((name) =>
      checkedLibbpf("btf__find_by_name_kind", library.btf__find_by_name_kind(btf, cString(name), BTF_KIND_FUNC)),
    );
  } finally {
    library.btf__free(btf);
  }
}
