import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import type { ByteSource } from "../../src/platform/files.ts";

/** A file as a source that counts the bytes read from it. */
export function fileSource(path: string): ByteSource & { readonly bytesRead: () => number } {
  const fd = openSync(path, "r");
  let total = 0;
  return {
    size: fstatSync(fd).size,
    read: (offset, length) => {
      const bytes = new Uint8Array(length);
      const got = readSync(fd, bytes, 0, length, offset);
      total += got;
      return bytes.subarray(0, got);
    },
    close: () => closeSync(fd),
    bytesRead: () => total,
  };
}
