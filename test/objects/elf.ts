/** Builds ELF files by hand: 64-bit and little-endian, valid or not. */

export interface SectionDraft {
  readonly name: string;
  /** SHT_* */
  readonly type: number;
  /** SHF_* */
  readonly flags?: bigint;
  readonly content?: Uint8Array;
  /** For sections without content in the file. */
  readonly size?: number;
}

export interface SymbolDraft {
  readonly name: string;
  /** STT_* */
  readonly type: number;
  /** STB_* */
  readonly binding: number;
  /** Section number: sections count from 1. */
  readonly section: number;
  readonly value: bigint;
  readonly size: bigint;
}

export interface ElfDraft {
  readonly machine: number;
  /** ET_* */
  readonly type: number;
  readonly sections: readonly SectionDraft[];
  readonly symbols?: readonly SymbolDraft[];
  /** PT_LOAD segments. */
  readonly segments?: readonly { flags: number; offset: bigint; address: bigint; size: bigint }[];
}

/** The file: header, segments, sections as given, and behind them .symtab, .strtab and .shstrtab. */
export function elfOf({ machine, type, sections, symbols = [], segments = [] }: ElfDraft): Uint8Array {
  const [names, nameAt] = stringTable(symbols.map(({ name }) => name));
  const table = new Uint8Array(symbols.length * 24);
  const entries = new DataView(table.buffer);
  symbols.forEach((symbol, index) => {
    entries.setUint32(index * 24, nameAt(symbol.name), true);
    entries.setUint8(index * 24 + 4, symbol.binding * 16 + symbol.type);
    entries.setUint16(index * 24 + 6, symbol.section, true);
    entries.setBigUint64(index * 24 + 8, symbol.value, true);
    entries.setBigUint64(index * 24 + 16, symbol.size, true);
  });
  const all: SectionDraft[] = [
    { name: "", type: 0 },
    ...sections,
    { name: ".symtab", type: 2, content: table },
    { name: ".strtab", type: 3, content: names },
    { name: ".shstrtab", type: 3 },
  ];
  const [sectionNames, sectionNameAt] = stringTable(all.map(({ name }) => name));
  const contents = all.map(({ name, content }) =>
    name === ".shstrtab" ? sectionNames : (content ?? new Uint8Array(0)),
  );

  const headersAt = 64 + segments.length * 56;
  let at = headersAt + all.length * 64;
  const bytes = new Uint8Array(contents.reduce((sum, content) => sum + content.length, at));
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, type, true);
  view.setUint16(18, machine, true);
  view.setBigUint64(32, 64n, true);
  view.setBigUint64(40, BigInt(headersAt), true);
  [64, 56, segments.length, 64, all.length, all.length - 1].forEach((value, index) => {
    view.setUint16(52 + index * 2, value, true);
  });
  segments.forEach(({ flags, offset, address, size }, index) => {
    const header = 64 + index * 56;
    view.setUint32(header, 1, true);
    view.setUint32(header + 4, flags, true);
    view.setBigUint64(header + 8, offset, true);
    view.setBigUint64(header + 16, address, true);
    view.setBigUint64(header + 32, size, true);
  });
  all.forEach((section, index) => {
    const header = headersAt + index * 64;
    const content = contents[index]!;
    view.setUint32(header, sectionNameAt(section.name), true);
    view.setUint32(header + 4, section.type, true);
    view.setBigUint64(header + 8, section.flags ?? 0n, true);
    view.setBigUint64(header + 24, BigInt(at), true);
    view.setBigUint64(header + 32, BigInt(section.size ?? content.length), true);
    view.setUint32(header + 40, all.length - 2, true);
    view.setBigUint64(header + 56, 24n, true);
    bytes.set(content, at);
    at += content.length;
  });
  return bytes;
}

/** The bytes of a string table, and where in it each name stands. */
function stringTable(names: readonly string[]): [Uint8Array, (name: string) => number] {
  const places = new Map<string, number>();
  let text = "\0";
  for (const name of names) {
    if (places.has(name)) continue;
    places.set(name, name === "" ? 0 : text.length);
    if (name !== "") text += `${name}\0`;
  }
  return [new TextEncoder().encode(text), (name) => places.get(name) ?? 0];
}
