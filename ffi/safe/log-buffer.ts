import { type Pointer, toArrayBuffer } from "bun:ffi";
import { textUntilNul } from "../memory.ts";
import { seldomLibc, lastErrno } from "./libc.ts";
import { SysError } from "../sys-error.ts";

/** mmap(2), <bits/mman.h>. The values are identical on all architectures Bun supports. */
const PROT_READ_WRITE = 3;
const MAP_PRIVATE = 0x02;
const MAP_ANONYMOUS = 0x20;
const MAP_NORESERVE = 0x4000;

const SHORT_BYTES = 4096;

/**
 * Buffer for the verifier log, which few loads need: anonymous mmap pages, which cost nothing until they are written.
 * An ArrayBuffer of this size would be zeroed first, which takes several milliseconds.
 */
export class LogBuffer {
  readonly address: Pointer;
  readonly bytes: number;
  #freed = false;

  /** Throws SysError. */
  constructor(bytes: number) {
    const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    const address = Number(seldomLibc().mmap(null, bytes, PROT_READ_WRITE, flags, -1, 0));
    if (address === -1) throw new SysError("mmap", lastErrno());
    this.address = address as Pointer;
    this.bytes = bytes;
  }

  /** Empty if nothing was written. */
  text(): string {
    if (this.#freed) throw new Error("the log is freed");
    // A view costs time by its size, and most logs are short.
    const begin = new Uint8Array(toArrayBuffer(this.address, 0, Math.min(SHORT_BYTES, this.bytes)));
    if (begin.includes(0)) return textUntilNul(begin);
    return textUntilNul(new Uint8Array(toArrayBuffer(this.address, 0, this.bytes)));
  }

  /** Frees the memory; nothing may write to it afterwards. Idempotent. */
  free(): void {
    if (this.#freed) return;
    this.#freed = true;
    seldomLibc().munmap(this.address, this.bytes);
  }
}
