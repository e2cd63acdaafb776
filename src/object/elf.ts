/**
 * Reads ELF files (System V gABI, chapters 4 and 5; elf(5)) of either word size and byte order through random access:
 * headers, sections, segments and symbols. Everything is decoded on demand, and nothing in the file is trusted.
 */
import type { ByteSource } from "../platform/files.ts";
import { Fields, type Format, type Refuse } from "./fields.ts";

export const EM_BPF = 247;
export const ET_REL = 1;
export const SHT = {
  null: 0,
  progbits: 1,
  symtab: 2,
  strtab: 3,
  rela: 4,
  nobits: 8,
  rel: 9,
  dynsym: 11,
  verdef: 0x6fff_fffd,
  versym: 0x6fff_ffff,
} as const;
export const SHF_EXECINSTR = 0x4;
export const STT = { none: 0, object: 1, func: 2, section: 3, file: 4, gnuIfunc: 10 } as const;
export const STB = { local: 0, global: 1, weak: 2 } as const;

const MAGIC = "\x7fELF";
const HEADER_BYTES_MAX = 64;
const PT_LOAD = 1;
const PF_X = 1;
/** Section indexes from here on have special meanings: absolute, common, or "see elsewhere" (SHN_XINDEX). */
export const SHN_LORESERVE = 0xff00;
const U32_MAX = 0xffff_ffff;
const SYMBOLS_PER_READ = 32_768;

const MACHINES: Readonly<Record<number, string>> = {
  3: "i386",
  40: "ARM",
  62: "x86-64",
  183: "AArch64",
  243: "RISC-V",
  247: "eBPF",
};
const TYPES: Readonly<Record<number, string>> = {
  1: "relocatable object",
  2: "executable",
  3: "shared object or position-independent executable",
  4: "core dump",
};

export interface Elf extends Format {
  readonly source: ByteSource;
  /** ET_* */
  readonly type: number;
  /** EM_* */
  readonly machine: number;
  readonly sections: readonly Section[];
  /** Section that contains the section names. */
  readonly namesSection: number;
  /** The executable PT_LOAD segments. */
  readonly code: readonly Segment[];
}

/** A section header. Addresses, offsets and sizes are in bytes. */
export interface Section {
  readonly nameAt: number;
  /** SHT_* */
  readonly type: number;
  /** SHF_* bits. */
  readonly flags: number;
  readonly address: number;
  readonly offset: number;
  readonly size: number;
  /** Index of another section: a symbol table's strings, or the symbols of relocations. */
  readonly link: number;
  /** Index of the section that relocations apply to. */
  readonly info: number;
  readonly entrySize: number;
}

export interface NamedSection extends Section {
  readonly index: number;
  readonly name: string;
}

export interface Segment {
  readonly address: number;
  readonly offset: number;
  /** Bytes present in the file. */
  readonly size: number;
}

export interface ElfSymbol {
  readonly index: number;
  /** Offset of the name in the string table. */
  readonly nameAt: number;
  /** STT_* */
  readonly type: number;
  /** STB_* */
  readonly binding: number;
  /** Section index; null if undefined or special. */
  readonly section: number | null;
  /** Defined elsewhere. */
  readonly undefined: boolean;
  /** Address, or offset in the section for relocatable objects. */
  readonly value: number;
  readonly size: number;
}

export const machineName = (elf: Elf): string => MACHINES[elf.machine] ?? `machine ${elf.machine}`;
export const typeName = (elf: Elf): string => TYPES[elf.type] ?? `file of ELF type ${elf.type}`;

/** Reads the headers. Throws the error of `refuse` if the file is not ELF or is inconsistent. */
export function openElf(source: ByteSource, refuse: Refuse): Elf {
  const start = source.read(0, HEADER_BYTES_MAX);
  if (start.length === 0) throw refuse("it is empty");
  if (String.fromCharCode(...start.subarray(0, 4)) !== MAGIC) {
    throw refuse(`it is not an ELF file: it begins with ${quoteBytes(start.subarray(0, 8))}`);
  }
  const [wordSize, order] = [start[4], start[5]];
  if (wordSize !== 1 && wordSize !== 2) throw refuse(`its ELF class is ${wordSize}, neither 32-bit (1) nor 64-bit (2)`);
  if (order !== 1 && order !== 2) throw refuse(`its byte order is ${order}, neither little (1) nor big endian (2)`);
  const base = { source, refuse, littleEndian: order === 1, wide: wordSize === 2 };
  const header = new Fields(start, base, "ELF header fields");
  const w = base.wide ? 8 : 4;
  const segments = { pointer: 24 + w, counts: 30 + 3 * w, size: base.wide ? 56 : 32, what: "program headers" };
  const sections = { pointer: 24 + 2 * w, counts: 34 + 3 * w, size: 16 + 6 * w, what: "section headers" };
  return {
    ...base,
    type: header.u16(16),
    machine: header.u16(18),
    namesSection: header.u16(38 + 3 * w),
    code: decodeCode(readTable(base, header, segments), source.size),
    sections: decodeSections(readTable(base, header, sections)),
  };
}

/** Positions in the ELF header of a table's offset and of its entries' size and count, and the standard entry size. */
interface Table {
  readonly pointer: number;
  readonly counts: number;
  readonly size: number;
  readonly what: string;
}

function readTable(elf: FileFormat, header: Fields, { pointer, counts, size, what }: Table): Fields {
  const [offset, entrySize, count] = [header.word(pointer), header.u16(counts), header.u16(counts + 2)];
  if (offset === 0) return new Fields(new Uint8Array(0), elf, what);
  if (entrySize !== size && count > 0) throw elf.refuse(`its ${what} have ${entrySize} bytes each instead of ${size}`);
  // A larger count is stored elsewhere by the standard, which no real file needs.
  if (count >= SHN_LORESERVE) throw elf.refuse(`it has ${SHN_LORESERVE} ${what} or more`);
  return readFields(elf, { offset, size: count * size }, what);
}

function decodeSections(headers: Fields): Section[] {
  const w = headers.format.wide ? 8 : 4;
  const size = 16 + 6 * w;
  const sections: Section[] = [];
  for (let at = 0; at < headers.length; at += size) {
    sections.push({
      nameAt: headers.u32(at),
      type: headers.u32(at + 4),
      flags: headers.word(at + 8),
      address: headers.word(at + 8 + w),
      offset: headers.word(at + 8 + 2 * w),
      size: headers.word(at + 8 + 3 * w),
      link: headers.u32(at + 8 + 4 * w),
      info: headers.u32(at + 12 + 4 * w),
      entrySize: headers.word(at + 16 + 5 * w),
    });
  }
  return sections;
}

function decodeCode(headers: Fields, fileSize: number): Segment[] {
  const { wide, refuse } = headers.format;
  const [w, entrySize, flagsAt] = wide ? [8, 56, 4] : [4, 32, 24];
  const segments: Segment[] = [];
  for (let at = 0; at < headers.length; at += entrySize) {
    if (headers.u32(at) !== PT_LOAD || (headers.u32(at + flagsAt) & PF_X) === 0) continue;
    const [offset, address, size] = [headers.word(at + w), headers.word(at + 2 * w), headers.word(at + 4 * w)];
    if (offset + size > fileSize)
      throw refuse(`it is cut short: its code would end at byte ${offset + size} of ${fileSize}`);
    segments.push({ offset, address, size });
  }
  return segments;
}

/** Returns all sections with their names, after checking that each is within the file or needs no bytes there. */
export function namedSections(elf: Elf): NamedSection[] {
  const { sections, refuse, source } = elf;
  const namesSection = sections[elf.namesSection];
  if (namesSection?.type !== SHT.strtab) throw refuse("it has no section names");
  const names = sectionFields(elf, namesSection, "section names");
  return sections.map((section, index) => {
    const { type, offset, size } = section;
    const name = names.name(section.nameAt);
    const outside = type === SHT.nobits ? size > U32_MAX : type !== SHT.null && offset + size > source.size;
    if (outside) throw refuse(`its section "${name}" of ${size} bytes does not fit`);
    return { ...section, index, name };
  });
}

/** Returns the contents of a section. */
export function sectionFields(elf: Elf, section: Section, what: string): Fields {
  if (section.type === SHT.nobits) throw elf.refuse(`it has no bytes for its ${what}`);
  return readFields(elf, section, what);
}

type FileFormat = Format & { readonly source: ByteSource };

/** Returns a part of the file as fields. `what` follows "its" in the error if the file is too short. */
export function readFields(elf: FileFormat, { offset, size }: { offset: number; size: number }, what: string): Fields {
  const { source, refuse } = elf;
  if (offset + size > source.size) {
    throw refuse(`it is cut short: its ${what} would end at byte ${offset + size} of ${source.size}`);
  }
  const bytes = source.read(offset, size);
  if (bytes.length !== size) throw refuse(`it became shorter while its ${what} were read`);
  return new Fields(bytes, elf, what);
}

/**
 * Yields the symbols of a SHT_SYMTAB or SHT_DYNSYM section in order, reading it in chunks. With `wanted`, yields only
 * symbols whose `nameAt` is in it: a search among millions then decodes one number per symbol.
 */
export function* symbols(elf: Elf, table: Section, wanted?: ReadonlyMap<number, unknown>): Generator<ElfSymbol> {
  const size = symbolBytes(elf, table);
  const count = Math.floor(table.size / size);
  for (let first = 0; first < count; first += SYMBOLS_PER_READ) {
    const here = Math.min(SYMBOLS_PER_READ, count - first);
    const fields = readFields(elf, { offset: table.offset + first * size, size: here * size }, "symbols");
    for (let i = 0; i < here; i++) {
      if (wanted === undefined || wanted.has(fields.u32(i * size))) yield symbolAt(fields, i * size, first + i);
    }
  }
}

/** Returns the size of each symbol of the table. Throws the error of `refuse` if it is another one than the standard's. */
export function symbolBytes({ wide, refuse }: Format, { entrySize }: Section): number {
  const size = wide ? 24 : 16;
  if (entrySize !== size) throw refuse(`its symbols have ${entrySize} bytes each instead of ${size}`);
  return size;
}

/** Decodes the symbol that begins at that byte of the table. */
function symbolAt(fields: Fields, at: number, index: number): ElfSymbol {
  const [infoAt, sectionAt, w] = fields.format.wide ? [4, 6, 8] : [12, 14, 4];
  const info = fields.u8(at + infoAt);
  const section = fields.u16(at + sectionAt);
  return {
    index,
    nameAt: fields.u32(at),
    type: info & 0xf,
    binding: info >> 4,
    section: section === 0 || section >= SHN_LORESERVE ? null : section,
    undefined: section === 0,
    value: fields.word(at + w),
    size: fields.word(at + 2 * w),
  };
}

/** Formats the first bytes of a file for a message: as text if printable, otherwise in hex. */
function quoteBytes(bytes: Uint8Array): string {
  const text = String.fromCharCode(...bytes);
  if (/^[\t\r\n -~]+$/.test(text)) return JSON.stringify(text);
  return `bytes ${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ")}`;
}
