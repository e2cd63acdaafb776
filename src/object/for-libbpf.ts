/**
 * An object as libbpf is to see it. libbpf reads a part of what compilers and other loaders make, and stumbles over some
 * of what bpfman never loads; the object's bytes are changed where that lets it in. What is checked (sound.ts) and listed
 * is the changed object: nothing reaches libbpf that was not looked at in the very form in which it arrives there.
 */
import { type Elf, type NamedSection, namedSections, openElf, SHF_EXECINSTR, SHT, STB, STT, symbols } from "./elf.ts";
import { ElfDraft } from "./elf-draft.ts";
import { memorySource, type Refuse } from "./fields.ts";
import { withModernMaps } from "./legacy-maps.ts";
import { TEXT } from "./program-layout.ts";

const STRUCT_OPS = /^\??\.struct_ops(\.link)?$/;
/** In a symbol: its type and binding. */
const SYMBOL_BYTES = 24;
const SYMBOL_INFO_AT = 4;

/** An object that is being changed. */
export interface Original {
  readonly bytes: Uint8Array;
  readonly elf: Elf;
  readonly sections: readonly NamedSection[];
}

/** The changed object, or the bytes themselves where there is nothing to change. Throws what `refuse` makes. */
export function forLibbpf(bytes: Uint8Array, refuse: Refuse): Uint8Array {
  return [withoutStructOps, withPublicPrograms, withModernMaps].reduce((before, change) => {
    const elf = openElf(memorySource(before), refuse);
    return change({ bytes: before, elf, sections: namedSections(elf) });
  }, bytes);
}

/**
 * Structs of kernel hooks become sections of names, which libbpf passes over, and with them the relocations in them.
 * Otherwise it makes a map of each, whichever programs are asked for: before 1.4 from BTF of the kernel that it did not
 * read (NULL), and later ones fail where the kernel has no such struct. Names, places and BTF stay, so that all else is
 * found as before.
 */
function withoutStructOps({ bytes, elf, sections }: Original): Uint8Array {
  const isHidden = (index: number) => STRUCT_OPS.test(sections[index]?.name ?? "");
  const hidden = sections.filter(({ index, type, info }) => isHidden(index) || (type === SHT.rel && isHidden(info)));
  if (hidden.length === 0) return bytes;
  const draft = new ElfDraft(bytes, elf);
  for (const { index } of hidden) draft.change(index, { type: SHT.strtab });
  return draft.finish();
}

/**
 * Functions in sections of programs are programs, also those that C calls static: the kernel never learns how they were
 * declared, but libbpf refuses the whole object for one of them.
 */
function withPublicPrograms({ bytes, elf, sections }: Original): Uint8Array {
  const table = sections.find(({ type }) => type === SHT.symtab);
  if (table === undefined) return bytes;
  const isProgram = (index: number | null) => {
    const section = index === null ? undefined : sections[index];
    return section?.type === SHT.progbits && (section.flags & SHF_EXECINSTR) !== 0 && section.name !== TEXT;
  };
  let draft: ElfDraft | null = null;
  for (const { index, type, binding, section } of symbols(elf, table)) {
    if (type !== STT.func || binding !== STB.local || !isProgram(section)) continue;
    draft ??= new ElfDraft(bytes, elf);
    draft.file.u8(table.offset + index * SYMBOL_BYTES + SYMBOL_INFO_AT, (STB.global << 4) | STT.func);
  }
  return draft?.finish() ?? bytes;
}
