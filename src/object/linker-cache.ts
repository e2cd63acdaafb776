/**
 * The dynamic linker's cache, /etc/ld.so.cache, as written by glibc 2.2 and newer (sysdeps/generic/dl-cache.h): a
 * header, an entry per library, then the strings. It may follow a cache in the older format.
 */
import { LINKER_CACHE_ENTRIES_MAX, NAME_CHARS_MAX } from "../domain/limits.ts";

const OLD_MAGIC = "ld.so-1.7.0\0";
const OLD_ENTRY_BYTES = 12;
const MAGIC = "glibc-ld.so.cache1.1";
const HEADER_BYTES = 48;
const ENTRY_BYTES = 24;
const PATH_BYTES_MAX = 4095;

/** FLAG_ELF_LIBC6 and the architecture's flag (sysdeps/generic/ldconfig.h), by `process.arch`. */
const ENTRY_FLAGS: Readonly<Record<string, number>> = {
  x64: 0x0303,
  s390x: 0x0403,
  ppc64: 0x0503,
  arm64: 0x0a03,
  riscv64: 0x1003,
  loong64: 0x1203,
};

/**
 * Returns the paths of shared libraries by soname. Libraries for `arch` take precedence over others, and generic builds
 * over those for newer processors (glibc-hwcaps). For a damaged or unknown cache, returns what could be read, possibly
 * nothing: the cache only saves a search.
 */
export function parseLinkerCache(bytes: Uint8Array, arch: string = process.arch): ReadonlyMap<string, string> {
  const start = headerOffset(bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset + start, bytes.byteLength - start);
  const paths = new Map<string, string>();
  if (view.byteLength < HEADER_BYTES || !startsWith(bytes, { at: start, text: MAGIC })) return paths;

  const room = Math.floor((view.byteLength - HEADER_BYTES) / ENTRY_BYTES);
  const count = Math.min(view.getUint32(20, true), room, LINKER_CACHE_ENTRIES_MAX);
  const ranks = new Map<string, number>();
  for (let at = HEADER_BYTES; at < HEADER_BYTES + count * ENTRY_BYTES; at += ENTRY_BYTES) {
    const soname = textAt(bytes, { at: start + view.getUint32(at + 4, true), bytesMax: NAME_CHARS_MAX });
    const path = textAt(bytes, { at: start + view.getUint32(at + 8, true), bytesMax: PATH_BYTES_MAX });
    if (soname === null || path === null || soname === "" || !path.startsWith("/")) continue;
    const native = view.getUint32(at, true) === ENTRY_FLAGS[arch];
    const plain = view.getBigUint64(at + 16, true) === 0n;
    const rank = (native ? 2 : 0) + (plain ? 1 : 0);
    if (rank <= (ranks.get(soname) ?? -1)) continue;
    ranks.set(soname, rank);
    paths.set(soname, path);
  }
  return paths;
}

/** Returns the offset of the new format: after the old one, aligned to 8 bytes, or 0. */
function headerOffset(bytes: Uint8Array): number {
  if (bytes.length < 16 || !startsWith(bytes, { at: 0, text: OLD_MAGIC })) return 0;
  const count = new DataView(bytes.buffer, bytes.byteOffset).getUint32(OLD_MAGIC.length, true);
  const end = OLD_MAGIC.length + 4 + count * OLD_ENTRY_BYTES;
  return Math.min(Math.ceil(end / 8) * 8, bytes.length);
}

const startsWith = (bytes: Uint8Array, { at, text }: { at: number; text: string }) =>
  String.fromCharCode(...bytes.subarray(at, at + text.length)) === text;

function textAt(bytes: Uint8Array, { at, bytesMax }: { at: number; bytesMax: number }): string | null {
  const part = bytes.subarray(at, at + bytesMax + 1);
  const end = part.indexOf(0);
  return end < 0 ? null : new TextDecoder().decode(part.subarray(0, end));
}
