/**
 * Adapts objects for libbpf, which does not support everything that compilers produce and other loaders accept, and fails
 * on some parts that bpfman never loads. The adapted object is the one that is checked (sound.ts) and listed, so the
 * checks see exactly the bytes that libbpf gets.
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
/** Offset of a symbol's type and binding. */
const SYMBOL_BYTES = 24;
const SYMBOL_INFO_AT = 4;

/** An object to adapt. */
export interface Original {
  readonly bytes: Uint8Array;
  readonly elf: Elf;
  readonly sections: readonly NamedSection[];
}

/** Returns the adapted object, or the same bytes if nothing needs to change. Throws the error of `refuse`. */
export function forLibbpf(bytes: Uint8Array, refuse: Refuse): Uint8Array {
  return [withoutStructOps, withPublicPrograms, withModernMaps].reduce((before, change) => {
    const elf = openElf(memorySource(before), refuse);
    return change({ bytes: before, elf, sections: namedSections(elf) });
  }, bytes);
}

/**
 * Turns struct_ops sections into string tables, which libbpf skips together with their relocations. Otherwise it creates a
 * map for each struct, whichever programs are requested: versions before 1.4 use kernel BTF that they have not loaded
 * (NULL), and later versions fail if the kernel lacks the struct. Names, offsets and BTF are kept, so that everything else
 * is found as before.
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
 * Makes static functions in program sections global. They are programs too, and the kernel never sees how they were
 * declared, but libbpf rejects a whole object that has one.
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
 * Makes kernel symbols optional unless they are in `used`. libbpf rejects a whole object if this kernel lacks a symbol that
 * is not weak, or if BTF does not describe a symbol, as with those that another loader fills in.
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
  // libbpf checks the references of all programs, including those that it does not load.
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

/** Removes from a table the relocations that `isGone` selects by their index and their symbol's index. */
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
  // No library should have to handle an empty relocation table.
  if (kept.length === 0) draft.change(table.index, { type: SHT.strtab });
}

/** Returns the names of the functions and variables in BTF. */
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
