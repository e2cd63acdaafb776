/** An eBPF object in memory, with the parts that several readers need. Each part is read on first use, and once. */
import { type Btf, openBtf } from "./btf.ts";
import {
  type Elf,
  type ElfSymbol,
  type NamedSection,
  namedSections,
  openElf,
  SHF_EXECINSTR,
  SHT,
  sectionFields,
  SHN_LORESERVE,
  symbolBytes,
} from "./elf.ts";
import { type Fields, memorySource, type Refuse } from "./fields.ts";

export const RELOCATION_BYTES = 16;
/** The size of a symbol, in numbers of 32 bits, and its byte of binding and type if it is local and has none. */
const SYMBOL_WORDS = 6;
const LABEL = 0;
const WORD = 2 ** 32;

/** Reports whether a section contains instructions. */
export const isCode = ({ type, flags }: NamedSection): boolean =>
  type === SHT.progbits && (flags & SHF_EXECINSTR) !== 0;

/** A relocation section (SHT_REL). */
export interface Relocations {
  /** Bytes from the start of the section that each applies to. */
  readonly offsets: Float64Array;
  /** Index of the symbol that each refers to. */
  readonly symbols: Uint32Array;
  /** Whether they are in the order of their offsets, as compilers write them. */
  readonly isAscending: boolean;
  /** The largest offset; -1 if there are none. */
  readonly largest: number;
}

const NO_RELOCATIONS: Relocations = {
  offsets: new Float64Array(0),
  symbols: new Uint32Array(0),
  isAscending: true,
  largest: -1,
};

/** What refers to a symbol, and at which byte of its section. */
export interface Reference {
  readonly at: number;
  readonly symbol: ElfSymbol;
}

/** The symbols of an object. */
export interface SymbolTable {
  readonly table: NamedSection;
  readonly count: number;
  /** All but the labels in code: compilers emit one for each place that is jumped to, and only relocations can mean them. */
  readonly named: readonly ElfSymbol[];
  /** By index, as relocations refer to them. */
  at(index: number): ElfSymbol | undefined;
  /** Size of the section of their names. */
  readonly nameBytes: number;
  nameOf(symbol: ElfSymbol): string;
}

export class OpenObject {
  readonly bytes: Uint8Array;
  readonly elf: Elf;
  private named: readonly NamedSection[] | undefined;
  private table: SymbolTable | undefined;
  private types: Btf | null | undefined;
  private readonly tables = new Map<number, Relocations>();
  private relocationBytes = 0;
  private readonly referring = new Map<number, Relocations>();

  /** All methods throw the error of `refuse` if the object is malformed. */
  constructor(bytes: Uint8Array, refuse: Refuse) {
    this.bytes = bytes;
    this.elf = openElf(memorySource(bytes), refuse);
  }

  get sections(): readonly NamedSection[] {
    this.named ??= namedSections(this.elf);
    return this.named;
  }

  /** The first section with that name that is not empty. */
  section(name: string): NamedSection | undefined {
    return this.sections.find((section) => section.name === name && section.size > 0);
  }

  /** The contents of {@link section}. `what` follows "its" in errors. */
  fields(name: string, what: string): Fields | null {
    const section = this.section(name);
    return section === undefined ? null : sectionFields(this.elf, section, what);
  }

  btf(): Btf | null {
    if (this.types === undefined) {
      const fields = this.fields(".BTF", "BTF");
      this.types = fields && openBtf(fields);
    }
    return this.types;
  }

  get symbols(): SymbolTable {
    this.table ??= this.readSymbols();
    return this.table;
  }

  private readSymbols(): SymbolTable {
    const { elf, sections } = this;
    const [table, ...others] = sections.filter(({ type }) => type === SHT.symtab);
    if (table === undefined) throw elf.refuse("it has no symbol table; was it stripped?");
    if (others.length > 0) throw elf.refuse(`it has ${others.length + 1} symbol tables instead of one`);
    const strings = sections[table.link];
    if (strings?.type !== SHT.strtab)
      throw elf.refuse(`the names of its symbols should be in section ${table.link}, which contains no names`);
    const names = sectionFields(elf, strings, "symbol names");
    const words = sectionFields(elf, table, "symbols").words();
    const count = Math.floor(table.size / symbolBytes(elf, table));
    const decoded: ElfSymbol[] = [];
    const at = (index: number): ElfSymbol | undefined => {
      if (index < count) decoded[index] ??= symbolAt(words, index, elf.littleEndian);
      return decoded[index];
    };
    const named: ElfSymbol[] = [];
    for (const index of namedSymbols(words, elf.littleEndian, sections)) named.push(at(index) as ElfSymbol);
    return { table, count, named, at, nameBytes: names.length, nameOf: ({ nameAt }) => names.name(nameAt) };
  }

  /** The relocation tables that apply to a section. */
  relocationTables(section: number): readonly NamedSection[] {
    return this.sections.filter(({ type, info }) => type === SHT.rel && info === section);
  }

  relocations(table: NamedSection): Relocations {
    const known = this.tables.get(table.index);
    if (known !== undefined) return known;
    // Each table is kept, and any number of sections may be the same bytes of a file.
    this.relocationBytes += table.size;
    if (this.relocationBytes > this.bytes.length) throw this.elf.refuse("its tables of relocations overlap");
    const words = sectionFields(this.elf, table, "relocations").words();
    const count = Math.floor((words.length * 4) / RELOCATION_BYTES);
    const [offsets, symbols] = [new Float64Array(count), new Uint32Array(count)];
    const [low, high] = this.elf.littleEndian ? [0, 1] : [1, 0];
    let [isAscending, largest] = [true, -1];
    for (let i = 0, at = 0; i < count; i++, at += RELOCATION_BYTES / 4) {
      const offset = (words[at + high] as number) * WORD + (words[at + low] as number);
      if (offset < largest) isAscending = false;
      else largest = offset;
      offsets[i] = offset;
      symbols[i] = words[at + 2 + high] as number;
    }
    const relocations = { offsets, symbols, isAscending, largest };
    this.tables.set(table.index, relocations);
    return relocations;
  }

  /** Returns the references from bytes `from` to `to` (exclusive) of a section, ascending. If several are at one byte, the last counts. */
  references(section: number, from = 0, to = Number.POSITIVE_INFINITY): Reference[] {
    const { offsets, symbols } = this.sorted(section);
    const found: Reference[] = [];
    for (let i = countBelow(offsets, from); i < offsets.length && (offsets[i] as number) < to; i++) {
      const symbol = offsets[i] === offsets[i + 1] ? undefined : this.symbols.at(symbols[i] as number);
      if (symbol !== undefined) found.push({ at: offsets[i] as number, symbol });
    }
    return found;
  }

  /** The relocations of a section, by offset. Compilers write them in that order. */
  private sorted(section: number): Relocations {
    const known = this.referring.get(section);
    if (known !== undefined) return known;
    const found = inOrder(this.relocationTables(section).map((table) => this.relocations(table)));
    this.referring.set(section, found);
    return found;
  }
}

/** Returns the indexes of the symbols that are no labels in code: local ones without a type. */
function namedSymbols(words: Uint32Array, littleEndian: boolean, sections: readonly NamedSection[]): number[] {
  const isCodeAt: boolean[] = [];
  for (const section of sections) isCodeAt.push(isCode(section));
  const found: number[] = [];
  const end = words.length - SYMBOL_WORDS;
  for (let index = 0, at = 0; at <= end; index++, at += SYMBOL_WORDS) {
    const word = words[at + 1] as number;
    const isLabel = (littleEndian ? word & 0xff : word >>> 24) === LABEL;
    if (!isLabel || isCodeAt[littleEndian ? word >>> 16 : word & 0xffff] !== true) found.push(index);
  }
  return found;
}

/** Decodes a symbol of a 64-bit file: its bytes 4 to 7 are binding and type, visibility, and its section. */
function symbolAt(words: Uint32Array, index: number, littleEndian: boolean): ElfSymbol {
  const at = index * SYMBOL_WORDS;
  const word = words[at + 1] as number;
  const info = littleEndian ? word & 0xff : word >>> 24;
  const section = littleEndian ? word >>> 16 : word & 0xffff;
  const low = at + (littleEndian ? 2 : 3);
  const high = at + (littleEndian ? 3 : 2);
  return {
    index,
    nameAt: words[at] as number,
    type: info & 0xf,
    binding: info >> 4,
    section: section === 0 || section >= SHN_LORESERVE ? null : section,
    undefined: section === 0,
    value: (words[high] as number) * WORD + (words[low] as number),
    size: (words[high + 2] as number) * WORD + (words[low + 2] as number),
  };
}

/** Returns the relocations of several tables, by offset. */
export function inOrder(tables: readonly Relocations[]): Relocations {
  const [first = NO_RELOCATIONS] = tables;
  return tables.length <= 1 && first.isAscending ? first : merged(tables);
}

/** Reports whether one of these, which are in order, is at that offset. */
export const hasOffset = ({ offsets }: Relocations, at: number): boolean => offsets[countBelow(offsets, at)] === at;

/** Returns how many of ascending numbers are below `limit`. */
function countBelow(ascending: Float64Array, limit: number): number {
  let [low, high] = [0, ascending.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ascending[middle] as number) < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Returns them one by one, for what has few. */
export const oneByOne = ({ offsets, symbols }: Relocations): { readonly at: number; readonly symbol: number }[] =>
  Array.from(offsets, (at, index) => ({ at, symbol: symbols[index] as number }));

function merged(tables: readonly Relocations[]): Relocations {
  const all = tables.flatMap(oneByOne);
  all.sort((a, b) => a.at - b.at);
  return {
    offsets: Float64Array.from(all, ({ at }) => at),
    symbols: Uint32Array.from(all, ({ symbol }) => symbol),
    isAscending: true,
    largest: all.at(-1)?.at ?? -1,
  };
}
