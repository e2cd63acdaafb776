import { BTF_INFO, GET_ID_ATTR, INFO_ATTR, PROG_INFO } from "../layout/generated.ts";
import { decode, encode } from "../layout/struct.ts";
import { addressOf, allocate, keepAlive, type Memory } from "../memory.ts";
import { bpf } from "./bpf.ts";
import { closeFd } from "./libc.ts";

/** struct bpf_func_info begins with the function's instruction and its type id. */
const FUNC_INFO = { typeId: 4, bytes: 8 } as const;
/** BTF_MAX_SIZE (include/linux/btf.h). */
const BTF_BYTES_MAX = 16 * 1024 * 1024;

function readInfo(fd: number, info: Memory): void {
  bpf("OBJ_GET_INFO_BY_FD", encode(INFO_ATTR, { bpf_fd: fd, info_len: info.length, info: addressOf(info) }));
  keepAlive(info);
}

/** The type id, in its BTF, of the function that the program behind `fd` begins with; null when it has none. Throws SysError. */
export function programFunction(fd: number): number | null {
  const counted = encode(PROG_INFO, {});
  readInfo(fd, counted);
  const info = decode(PROG_INFO, counted);
  const [count, size] = [info.u32("nr_func_info"), info.u32("func_info_rec_size")];
  if (count === 0 || size < FUNC_INFO.bytes) return null;
  // The kernel writes as many as there is room for, the program itself first.
  const record = allocate(size);
  const asked = encode(PROG_INFO, { nr_func_info: 1, func_info_rec_size: size, func_info: addressOf(record) });
  readInfo(fd, asked);
  keepAlive(record);
  return new DataView(record.buffer).getUint32(FUNC_INFO.typeId, true);
}

/** The bytes of a BTF object that the kernel has. Throws SysError: ENOENT when it has none of that id. */
export function btfBytes(id: number): Uint8Array {
  const fd = bpf("BTF_GET_FD_BY_ID", encode(GET_ID_ATTR, { start_id: id }));
  try {
    const counted = encode(BTF_INFO, {});
    readInfo(fd, counted);
    const bytes = allocate(Math.min(decode(BTF_INFO, counted).u32("btf_size"), BTF_BYTES_MAX));
    readInfo(fd, encode(BTF_INFO, { btf: addressOf(bytes), btf_size: bytes.length }));
    keepAlive(bytes);
    return bytes;
  } finally {
    closeFd(fd);
  }
}
