/** Replaces the contents of sections of a 64-bit object; everything else keeps its place. */
import type { Elf } from "./elf.ts";
import { Fields } from "./fields.ts";

/** Offsets in the ELF header and in the section headers of a 64-bit file. */
const SECTION_HEADERS_AT = 40;
const SECTION_HEADER_BYTES = 64;
const OFFSET_AT = 24;
const SIZE_AT = 32;
const ALIGNMENT = 8;

/** Returns a copy with new contents, by section index, appended at the end of the file. */
export function withSections(bytes: Uint8Array, elf: Elf, contents: ReadonlyMap<number, Uint8Array>): Uint8Array {
  const headersAt = new Fields(bytes, elf, "ELF header fields").u64(SECTION_HEADERS_AT);
  const aligned = (size: number): number => Math.ceil(size / ALIGNMENT) * ALIGNMENT;
  const total = [...contents.values()].reduce((sum, { length }) => sum + aligned(length), aligned(bytes.length));
  const copy = new Uint8Array(total);
  copy.set(bytes);
  const view = new DataView(copy.buffer);
  let end = aligned(bytes.length);
  for (const [index, content] of contents) {
    copy.set(content, end);
    const header = headersAt + index * SECTION_HEADER_BYTES;
    view.setBigUint64(header + OFFSET_AT, BigInt(end), elf.littleEndian);
    view.setBigUint64(header + SIZE_AT, BigInt(content.length), elf.littleEndian);
    end += aligned(content.length);
  }
  return copy;
}
