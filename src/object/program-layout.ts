/**
 * Computes where each function is in a program as libbpf passes it to the kernel: the program's own instructions first,
 * then each called function of .text in the order of the calls, each immediately followed by the functions it calls
 * (bpf_object__reloc_code in libbpf's src/libbpf.c). Nothing else changes the number of instructions.
 */
import { PROGRAM_INSTRUCTIONS_MAX, SUBPROGRAMS_MAX } from "../domain/limits.ts";
import { type Elf, type ElfSymbol, type NamedSection, SHF_EXECINSTR, SHT, STT, sectionFields, symbols } from "./elf.ts";
import type { Fields } from "./fields.ts";

export const INSTRUCTION_BYTES = 8;
export const TEXT = ".text";

/** Instruction format and pseudo calls: Documentation/bpf/standardization/instruction-set.rst. */
export const CALL = 0x85;
export const LOAD_IMMEDIATE_64 = 0x18;
export const PSEUDO_CALL = 1;

export const RELOCATION_BYTES = 16;
const SYMBOL_SHIFT = 2 ** 32;

/** An entry of a relocation section (SHT_REL). */
export interface Relocation {
  /** Bytes from the start of the section that it applies to. */
  readonly at: number;
  /** Index of the symbol that it refers to. */
  readonly symbol: number;
}

export function* relocationsOf(elf: Elf, table: NamedSection): Generator<Relocation> {
  const entries = sectionFields(elf, table, "relocations");
  for (let at = 0; at + RELOCATION_BYTES <= entries.length; at += RELOCATION_BYTES) {
    yield { at: entries.u64(at), symbol: Math.floor(entries.u64(at + 8) / SYMBOL_SHIFT) };
  }
}

/** A function inside a program. */
export interface PlacedFunction {
  readonly name: string;
  readonly section: NamedSection;
  /** Offset of its first instruction in the section, in bytes. */
  readonly offset: number;
  /** Index of its first instruction in the program. */
  readonly start: number;
  /** Number of instructions. */
  readonly count: number;
}

type Code = Omit<PlacedFunction, "start">;

/** The contents of the section headers and the symbol table. */
interface Parts {
  readonly elf: Elf;
  readonly sections: readonly NamedSection[];
  /** By index, as relocations refer to them. */
  readonly symbols: readonly ElfSymbol[];
  readonly functions: readonly Code[];
  /** The functions that can be called, by offset. */
  readonly callable: ReadonlyMap<number, Code>;
  /** Sections that were already read, by index. */
  readonly code: Map<number, SectionCode>;
}

/** Returns a program's functions in order; null if it does not exist or calls something that cannot be found. */
export const programLayout = (elf: Elf, sections: readonly NamedSection[], program: string): PlacedFunction[] | null =>
  programLayouts(elf, sections, [program])[0] ?? null;

/** Returns the functions of several programs, as {@link programLayout} does for one. */
export function programLayouts(
  elf: Elf,
  sections: readonly NamedSection[],
  programs: readonly string[],
): (PlacedFunction[] | null)[] {
  const parts = readParts(elf, sections);
  if (parts === null) return programs.map(() => null);
  const mains = new Map<string, Code>();
  for (const code of parts.functions) {
    if (code.section.name !== TEXT && !mains.has(code.name)) mains.set(code.name, code);
  }
  return programs.map((program) => {
    const main = mains.get(program);
    return main === undefined ? null : assemble(parts, main);
  });
}

function readParts(elf: Elf, sections: readonly NamedSection[]): Parts | null {
  const table = sections.find((section) => section.type === SHT.symtab);
  const strings = table && sections[table.link];
  if (table === undefined || strings?.type !== SHT.strtab) return null;
  const names = sectionFields(elf, strings, "symbol names");
  const all = [...symbols(elf, table)];
  const functions = all.flatMap((symbol): Code[] => {
    const section = symbol.section === null ? undefined : sections[symbol.section];
    if (symbol.type !== STT.func || section === undefined || !isCode(section)) return [];
    const { value: offset, size } = symbol;
    if (offset % INSTRUCTION_BYTES !== 0 || size === 0 || offset + size > section.size) return [];
    return [{ name: names.name(symbol.nameAt), section, offset, count: Math.floor(size / INSTRUCTION_BYTES) }];
  });
  const inText = functions.filter(({ section }) => section.name === TEXT);
  const callable = new Map(inText.map((code) => [code.offset, code]));
  return { elf, sections, symbols: all, functions, callable, code: new Map() };
}

const isCode = ({ type, flags }: NamedSection) => type === SHT.progbits && (flags & SHF_EXECINSTR) !== 0;

function assemble(parts: Parts, main: Code): PlacedFunction[] | null {
  const placed = new Map<Code, PlacedFunction>();
  const { code } = parts;
  let end = 0;
  const append = (next: Code): boolean => {
    placed.set(next, { ...next, start: end });
    end += next.count;
    if (placed.size > SUBPROGRAMS_MAX || end > PROGRAM_INSTRUCTIONS_MAX) return false;
    const { index } = next.section;
    const here = code.get(index) ?? readCode(parts, next.section);
    code.set(index, here);
    for (const target of calledOffsets(parts, next, here)) {
      const called = parts.callable.get(target);
      if (called === undefined || (!placed.has(called) && !append(called))) return false;
    }
    return true;
  };
  return append(main) ? [...placed.values()] : null;
}

/** The bytes of a section and, by the offset of an instruction, the index of the symbol it refers to. */
interface SectionCode {
  readonly bytes: Fields;
  readonly references: ReadonlyMap<number, number>;
}

function readCode({ elf, sections }: Parts, section: NamedSection): SectionCode {
  const references = new Map<number, number>();
  for (const table of sections) {
    if (table.type !== SHT.rel || table.info !== section.index) continue;
    for (const { at, symbol } of relocationsOf(elf, table)) references.set(at, symbol);
  }
  return { bytes: sectionFields(elf, section, "instructions"), references };
}

/** Yields the offsets in .text of the functions that a function calls or takes the address of, in instruction order. */
function* calledOffsets(parts: Parts, { offset, count }: Code, code: SectionCode): Generator<number> {
  const { bytes, references } = code;
  for (let at = offset; at < offset + count * INSTRUCTION_BYTES; at += INSTRUCTION_BYTES) {
    const opcode = bytes.u8(at);
    const isCall = opcode === CALL && bytes.u8(at + 1) >> 4 === PSEUDO_CALL;
    if (!isCall && opcode !== LOAD_IMMEDIATE_64) continue;
    const immediate = bytes.u32(at + 4) | 0;
    const reference = references.get(at);
    if (reference === undefined) {
      // Within one section the distance suffices, counted from the next instruction.
      if (isCall) yield at + (immediate + 1) * INSTRUCTION_BYTES;
      continue;
    }
    const symbol = parts.symbols[reference];
    const target = symbol === undefined || symbol.section === null ? undefined : parts.sections[symbol.section];
    // Kernel functions have no section here; constants and maps are loaded from other sections.
    if (symbol === undefined || target?.name !== TEXT) continue;
    if (isCall) yield symbol.value + (immediate + 1) * INSTRUCTION_BYTES;
    else if (symbol.type === STT.func || symbol.type === STT.section) yield symbol.value + immediate;
  }
}
