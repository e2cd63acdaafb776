/** A modified copy of an object. Sections and symbols keep their indexes, so references to them stay valid. */
import { type NamedSection, SHT, sectionFields } from "./elf.ts";
import { Bytes, Fields, joined } from "./fields.ts";
import { OpenObject, RELOCATION_BYTES } from "./open-object.ts";

/** Fields of the ELF header. */
const SECTION_HEADERS_AT = 40;
const SECTION_COUNT_AT = 60;
const HEADER_BYTES = 64;
/** Fields of a section header. */
const FIELDS = { nameAt: 0, type: 4, flags: 8, offset: 24, size: 32, alignment: 48 } as const;
const WIDE: ReadonlySet<string> = new Set(["flags", "offset", "size", "alignment"]);
const ALIGNMENT = 8;
/** Fields of a symbol. */
const SYMBOL_BYTES = 24;
const SYMBOL = { info: 4, section: 6, value: 8 } as const;

type HeaderChange = Partial<Readonly<Record<keyof typeof FIELDS, number>>>;

interface SymbolChange {
  /** STB_*, STT_* */
  readonly binding: number;
  readonly type: number;
  /** Where it is now, if that changes: the section's index, and the offset in it. */
  readonly place?: readonly [section: number, offset: number];
}

export class ElfDraft {
  private readonly object: OpenObject;
  /** A copy of the original file, modified in place. */
  private readonly file: Bytes;
  private readonly headers: Bytes[];
  private readonly appended: Uint8Array[] = [];
  private end: number;
  private readonly headersAt: number;
  /** The section names with those that were added. */
  private names: Uint8Array | null = null;

  constructor(object: OpenObject) {
    const { bytes, elf } = object;
    this.object = object;
    // A Buffer's slice() does not copy.
    this.file = new Bytes(new Uint8Array(bytes), elf.littleEndian);
    this.end = bytes.length;
    this.headersAt = new Fields(bytes, elf, "ELF header fields").u64(SECTION_HEADERS_AT);
    this.headers = elf.sections.map((_, index) => {
      const at = this.headersAt + index * HEADER_BYTES;
      return new Bytes(this.file.bytes.slice(at, at + HEADER_BYTES), elf.littleEndian);
    });
  }

  /** Changes fields of the header of section `index`. */
  change(index: number, change: HeaderChange): void {
    const header = this.headers[index] as Bytes;
    for (const name of Object.keys(FIELDS) as (keyof typeof FIELDS)[]) {
      const value = change[name];
      if (value === undefined) continue;
      if (WIDE.has(name)) header.u64(FIELDS[name], value);
      else header.u32(FIELDS[name], value);
    }
  }

  /** Replaces the contents of section `index`. The old contents stay in the file, unused. */
  replace(index: number, content: Uint8Array): void {
    this.change(index, { offset: this.append(content), size: content.length });
  }

  /** Adds a section. */
  add(header: HeaderChange, content: Uint8Array): void {
    const index = this.headers.length;
    this.headers.push(new Bytes(new Uint8Array(HEADER_BYTES), this.object.elf.littleEndian));
    this.change(index, { ...header, alignment: ALIGNMENT });
    this.replace(index, content);
  }

  /** Adds a section name. Returns its offset, for a header's `nameAt`. */
  addName(name: string): number {
    const { elf, sections } = this.object;
    const table = sections[elf.namesSection] as NamedSection;
    const before = this.names ?? sectionFields(elf, table, "section names").bytes;
    this.names = joined([before, new TextEncoder().encode(`\0${name}\0`)]);
    return before.length + 1;
  }

  /** Changes the symbol `index`. */
  changeSymbol(index: number, { binding, type, place }: SymbolChange): void {
    const at = this.object.symbols.table.offset + index * SYMBOL_BYTES;
    this.file.u8(at + SYMBOL.info, (binding << 4) | type);
    if (place === undefined) return;
    this.file.u16(at + SYMBOL.section, place[0]);
    this.file.u64(at + SYMBOL.value, place[1]);
  }

  /** Removes from a table the relocations that `isGone` selects by their index and their symbol's index. */
  dropRelocations(table: NamedSection, isGone: (index: number, symbol: number) => boolean): void {
    const { bytes } = sectionFields(this.object.elf, table, "relocations");
    const { symbols } = this.object.relocations(table);
    const kept = [...symbols].flatMap((symbol, index) => {
      const at = index * RELOCATION_BYTES;
      return isGone(index, symbol) ? [] : [bytes.subarray(at, at + RELOCATION_BYTES)];
    });
    if (kept.length === symbols.length) return;
    this.replace(table.index, joined(kept));
    // No library should have to handle an empty relocation table.
    if (kept.length === 0) this.change(table.index, { type: SHT.strtab });
  }

  /** Returns the modified object. */
  finish(): OpenObject {
    if (this.names !== null) this.replace(this.object.elf.namesSection, this.names);
    const grows = this.headers.length > this.object.sections.length;
    const headers = joined(this.headers.map(({ bytes }) => bytes));
    const headersAt = grows ? this.append(headers) : this.headersAt;
    const result = new Bytes(joined([this.file.bytes, ...this.appended]), this.object.elf.littleEndian);
    result.bytes.set(headers, headersAt);
    result.u64(SECTION_HEADERS_AT, headersAt);
    result.u16(SECTION_COUNT_AT, this.headers.length);
    return new OpenObject(result.bytes, this.object.elf.refuse);
  }

  /** Returns the file offset that the contents will have. */
  private append(content: Uint8Array): number {
    const padding = -this.end & (ALIGNMENT - 1);
    const at = this.end + padding;
    this.appended.push(new Uint8Array(padding), content);
    this.end = at + content.length;
    return at;
  }
}
