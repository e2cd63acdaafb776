/** Structs of kernel hooks (struct_ops), which bpfman does not load, in objects whose other programs it does. */
import type { BpfmanError } from "../errors/error.ts";
import { namedSections, openElf, SHT } from "./elf.ts";
import { Fields, memorySource } from "./fields.ts";

const STRUCT_OPS = /^\??\.struct_ops(\.link)?$/;
/** In the ELF header, and in a section header of a 64-bit file. */
const SECTION_HEADERS_AT = 40;
const SECTION_HEADER_BYTES = 64;
const TYPE_AT = 4;

/**
 * The object as libbpf is to see it: its structs of hooks become sections of names, which libbpf passes over, and with them
 * the relocations in them. Otherwise it makes a map of each, whichever programs are asked for: before 1.4 from BTF of the
 * kernel that it did not read (NULL), and later ones fail where the kernel has no such struct. Names, places and BTF stay,
 * so that all else is found as before. The bytes themselves where there is nothing to hide.
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
