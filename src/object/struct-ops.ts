/** Hides structs of kernel hooks (struct_ops), which bpfman does not load, in objects whose other programs it loads. */
import type { BpfmanError } from "../errors/error.ts";
import { namedSections, openElf, SHT } from "./elf.ts";
import { Fields, memorySource } from "./fields.ts";

const STRUCT_OPS = /^\??\.struct_ops(\.link)?$/;
/** Offsets in the ELF header, and in a section header of a 64-bit file. */
const SECTION_HEADERS_AT = 40;
const SECTION_HEADER_BYTES = 64;
const TYPE_AT = 4;

/**
 * Returns the object as libbpf should see it: sections of struct_ops and their relocations are retyped as string
 * tables, which libbpf skips. Otherwise libbpf creates a map for each, whichever programs are requested: before 1.4
 * using kernel BTF it did not load (NULL), and newer ones fail if the kernel lacks the struct. Names, offsets and BTF
 * are unchanged, so everything else is found as before. Returns the same bytes if there is nothing to hide.
 */
export function withoutStructOps(bytes: Uint8Array, refuse: (reason: string) => BpfmanError): Uint8Array {
  const elf = openElf(memorySource(bytes), refuse);
  const sections = namedSections(elf);
  const isHidden = (index: number) => STRUCT_OPS.test(sections[index]?.name ?? "");
  const hidden = sections.filter(({ index, type, info }) => isHidden(index) || (type === SHT.rel && isHidden(info)));
  if (hidden.length === 0) return bytes;
  const copy = bytes.slice();
  const view = new DataView(copy.buffer);
  const headersAt = new Fields(bytes, elf, "ELF header fields").u64(SECTION_HEADERS_AT);
  for (const { index } of hidden) {
    view.setUint32(headersAt + index * SECTION_HEADER_BYTES + TYPE_AT, SHT.strtab, elf.littleEndian);
  }
  return copy;
}
