/**
 * An object as libbpf is to see it. libbpf reads a part of what compilers and other loaders make, and stumbles over some
 * of what bpfman never loads; the object's bytes are changed where that lets it in. What is checked (sound.ts) and listed
 * is the changed object: nothing reaches libbpf that was not looked at in the very form in which it arrives there.
 */
import { KIND, openBtf, typeOf } from "./btf.ts";
import {
  type Elf,
  type NamedSection,
  namedSections,
  openElf,
  SHF_EXECINSTR,
  SHT,
  STB,
  STT,
  sectionFields,
  symbols,
} from "./elf.ts";
import { ElfDraft, joined } from "./elf-draft.ts";
import { memorySource, type Refuse } from "./fields.ts";
import { withModernMaps } from "./legacy-maps.ts";
import { RELOCATION_BYTES, relocationsOf, TEXT } from "./program-layout.ts";

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
 * declared, but libbpf rejects the whole object for one of them.
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

/**
 * The object without a need for names of the kernel that nobody of it uses: the symbols in `used` do. libbpf refuses the
 * whole object for one that this kernel does not have, unless it is weak; and for one of which BTF says nothing, which
 * another loader fills in, unless it is nobody's business.
 */
export function withOptionalExterns({ bytes, elf, sections }: Original, used: ReadonlySet<number>): Uint8Array {
  const table = sections.find(({ type }) => type === SHT.symtab);
  const strings = table && sections[table.link];
  if (table === undefined || strings?.type !== SHT.strtab) return bytes;
  const unused = [...symbols(elf, table)].filter(
    (symbol) =>
      symbol.undefined && symbol.type === STT.none && symbol.binding === STB.global && !used.has(symbol.index),
  );
  if (unused.length === 0) return bytes;
  const names = sectionFields(elf, strings, "symbol names");
  const described = describedNames(elf, sections);
  const draft = new ElfDraft(bytes, elf);
  const unknown = new Set<number>();
  for (const { index, nameAt } of unused) {
    const isKnown = described.has(names.name(nameAt));
    if (!isKnown) unknown.add(index);
    draft.file.u8(
      table.offset + index * SYMBOL_BYTES + SYMBOL_INFO_AT,
      ((isKnown ? STB.weak : STB.local) << 4) | STT.none,
    );
  }
  // libbpf looks at what all programs refer to, those that are not loaded included.
  for (const relocations of unknown.size === 0 ? [] : sections.filter(({ type }) => type === SHT.rel)) {
    dropRelocations({ draft, elf, table: relocations }, (_, symbol) => unknown.has(symbol));
  }
  return draft.finish();
}

interface Relocations {
  readonly draft: ElfDraft;
  readonly elf: Elf;
  readonly table: NamedSection;
}

/** Takes those relocations out of a table that `isGone` says, by their number in it and by that of their symbol. */
export function dropRelocations(
  { draft, elf, table }: Relocations,
  isGone: (index: number, symbol: number) => boolean,
): void {
  const { bytes } = sectionFields(elf, table, "relocations");
  const all = [...relocationsOf(elf, table)];
  const kept = all.flatMap(({ symbol }, index) => {
    const at = index * RELOCATION_BYTES;
    return isGone(index, symbol) ? [] : [bytes.subarray(at, at + RELOCATION_BYTES)];
  });
  if (kept.length === all.length) return;
  draft.replace(table.index, joined(kept));
  // No library has to know what to do with relocations that are none.
  if (kept.length === 0) draft.change(table.index, { type: SHT.strtab });
}

/** The functions and variables that BTF has. */
function describedNames(elf: Elf, sections: readonly NamedSection[]): ReadonlySet<string> {
  const section = sections.find(({ name, size }) => name === ".BTF" && size > 0);
  if (section === undefined) return new Set();
  const btf = openBtf(sectionFields(elf, section, "BTF"));
  const types = Array.from(btf.places.keys(), (id) => typeOf(btf, id));
  return new Set(
    types
      .filter(({ kind }) => kind === KIND.function || kind === KIND.variable)
      .map(({ nameAt }) => btf.strings.name(nameAt)),
  );
}
