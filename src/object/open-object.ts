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
  symbols,
} from "./elf.ts";
import { type Fields, memorySource, type Refuse } from "./fields.ts";

export const RELOCATION_BYTES = 16;
const SYMBOL_SHIFT = 2 ** 32;

/** Reports whether a section contains instructions. */
export const isCode = ({ type, flags }: NamedSection): boolean =>
  type === SHT.progbits && (flags & SHF_EXECINSTR) !== 0;

/** An entry of a relocation section (SHT_REL). */
export interface Relocation {
  /** Bytes from the start of the section that it applies to. */
  readonly at: number;
  /** Index of the symbol that it refers to. */
  readonly symbol: number;
}

/** The symbols of an object. */
export interface SymbolTable {
  readonly table: NamedSection;
  /** By index, as relocations refer to them. */
  readonly all: readonly ElfSymbol[];
  nameOf(symbol: ElfSymbol): string;
}

export class OpenObject {
  readonly bytes: Uint8Array;
  readonly elf: Elf;
  private named: readonly NamedSection[] | undefined;
  private table: SymbolTable | undefined;
  private types: Btf | null | undefined;
  private readonly referring = new Map<number, ReadonlyMap<number, ElfSymbol>>();

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
    return { table, all: [...symbols(elf, table)], nameOf: ({ nameAt }) => names.name(nameAt) };
  }

  /** The relocation tables that apply to a section. */
  relocationTables(section: number): readonly NamedSection[] {
    return this.sections.filter(({ type, info }) => type === SHT.rel && info === section);
  }

  /** The entries of a relocation table. */
  *relocations(table: NamedSection): Generator<Relocation> {
    const entries = sectionFields(this.elf, table, "relocations");
    for (let at = 0; at + RELOCATION_BYTES <= entries.length; at += RELOCATION_BYTES) {
      yield { at: entries.u64(at), symbol: Math.floor(entries.u64(at + 8) / SYMBOL_SHIFT) };
    }
  }

  /** The symbols that a section refers to, by the offset of the reference. */
  references(section: number): ReadonlyMap<number, ElfSymbol> {
    const known = this.referring.get(section);
    if (known !== undefined) return known;
    const found = new Map<number, ElfSymbol>();
    for (const table of this.relocationTables(section)) {
      for (const { at, symbol: index } of this.relocations(table)) {
        const symbol = this.symbols.all[index];
        if (symbol !== undefined) found.set(at, symbol);
      }
    }
    this.referring.set(section, found);
    return found;
  }
}
