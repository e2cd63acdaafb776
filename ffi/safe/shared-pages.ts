/** Memory that the kernel shares with whoever reads from it. */
import { type Pointer, toArrayBuffer } from "bun:ffi";
import { SysError } from "../sys-error.ts";
import { closeSync, constants, openSync, readAtSync } from "./file-system.ts";
import { lastErrno, seldomLibc } from "./libc.ts";

const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;

export interface SharedPages {
  /** Must not be touched after `unmap`. */
  readonly memory: ArrayBuffer;
  unmap(): void;
}

/** Maps pages of a descriptor (mmap(2)). Throws SysError. */
export function mapPages(
  fd: number,
  { offset, bytes, writable }: { readonly offset: number; readonly bytes: number; readonly writable: boolean },
): SharedPages {
  const protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
  const address = Number(seldomLibc().mmap(null, bytes, protection, MAP_SHARED, fd, offset));
  if (address === -1) throw new SysError("mmap", lastErrno());
  return {
    memory: toArrayBuffer(address as Pointer, 0, bytes),
    unmap: () => void seldomLibc().munmap(address as Pointer, bytes),
  };
}

/** AT_PAGESZ (include/uapi/linux/auxvec.h), in a list of pairs of 64-bit numbers. */
const AT_PAGESZ = 6;
const AUXV_BYTES_MAX = 4096;

/** The size of a page of memory in bytes (getauxval(3)). */
export function pageBytes(): number {
  const fd = openSync("/proc/self/auxv", constants.O_RDONLY);
  try {
    const bytes = readAtSync(fd, 0, AUXV_BYTES_MAX);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at + 16 <= bytes.length; at += 16)
      if (view.getUint32(at, true) === AT_PAGESZ) return view.getUint32(at + 8, true);
    throw new Error("/proc/self/auxv does not have the size of a page");
  } finally {
    closeSync(fd);
  }
}
