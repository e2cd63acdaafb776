/** Reads from relocations which maps and kernel symbols programs use, and which initial values maps have. */
import { type Elf, type ElfSymbol, type NamedSection, SHT, STT, sectionFields, symbols } from "./elf.ts";
import { ElfDraft } from "./elf-draft.ts";
import { dropRelocations, type Original } from "./for-libbpf.ts";
import { MAPS_SECTION } from "./maps.ts";
import { INSTRUCTION_BYTES, programLayouts, relocationsOf } from "./program-layout.ts";

/** A value in the initialiser of a map of maps or a program array. */
export interface InitialValue {
  readonly map: string;
  /** Name of the map or program. */
  readonly target: string;
  readonly kind: "map" | "program";
}

/** What a set of programs, with the functions that they call, refers to. */
export interface Used {
  readonly maps: ReadonlySet<string>;
  /** Symbol indexes. */
  readonly symbols: ReadonlySet<number>;
}

/** How an object uses its maps. */
export interface MapUses {
  /** Returns null if it cannot be determined. */
  of(programs: readonly string[]): Used | null;
  readonly initialValues: readonly InitialValue[];
}

export function readMapUses({ elf, sections }: Pick<Original, "elf" | "sections">): MapUses {
  const parts = readParts(elf, sections);
  return {
    of: (programs) => usedBy(elf, sections, { ...parts, programs }),
    initialValues: [...initialValues(elf, sections, parts)].map(({ value }) => value),
  };
}

interface Parts {
  readonly all: readonly ElfSymbol[];
  readonly nameOf: (symbol: ElfSymbol) => string;
  /** Maps by their offset in the section. */
  readonly maps: ReadonlyMap<number, { readonly name: string; readonly end: number }>;
  readonly mapsSection: number | null;
}

function readParts(elf: Elf, sections: readonly NamedSection[]): Parts {
  const table = sections.find(({ type }) => type === SHT.symtab);
  const strings = table && sections[table.link];
  const none = { all: [], nameOf: () => "", maps: new Map(), mapsSection: null };
  if (table === undefined || strings?.type !== SHT.strtab) return none;
  const names = sectionFields(elf, strings, "symbol names");
  const nameOf = (symbol: ElfSymbol) => names.name(symbol.nameAt);
  const all = [...symbols(elf, table)];
  const mapsSection = sections.find(({ name }) => name === MAPS_SECTION)?.index ?? null;
  const inMaps = all.filter(({ section, type }) => section === mapsSection && section !== null && type !== STT.section);
  const maps = new Map(
    inMaps.map((symbol) => [symbol.value, { name: nameOf(symbol), end: symbol.value + symbol.size }]),
  );
  return { all, nameOf, maps, mapsSection };
}

function usedBy(
  elf: Elf,
  sections: readonly NamedSection[],
  { programs, all, maps, mapsSection }: Parts & { readonly programs: readonly string[] },
): Used | null {
  /** Symbols by the instruction that refers to them, section by section. */
  const references = new Map<number, Map<number, ElfSymbol>>();
  for (const table of sections) {
    if (table.type !== SHT.rel) continue;
    const here = references.get(table.info) ?? new Map<number, ElfSymbol>();
    references.set(table.info, here);
    for (const { at, symbol } of relocationsOf(elf, table)) {
      const found = all[symbol];
      if (found !== undefined) here.set(at, found);
    }
  }
  const used = { maps: new Set<string>(), symbols: new Set<number>() };
  for (const layout of programLayouts(elf, sections, programs)) {
    if (layout === null) return null;
    for (const { section, offset, count } of layout) {
      const here = references.get(section.index);
      if (here === undefined || here.size === 0) continue;
      for (let at = offset; at < offset + count * INSTRUCTION_BYTES; at += INSTRUCTION_BYTES) {
        const symbol = here.get(at);
        if (symbol === undefined) continue;
        used.symbols.add(symbol.index);
        if (symbol.section === null || symbol.section !== mapsSection) continue;
        const map = maps.get(symbol.value);
        if (map === undefined) return null;
        used.maps.add(map.name);
      }
    }
  }
  return used;
}

/** Returns the last of ascending numbers that is at most `limit`. */
function lastUpTo(ascending: readonly number[], limit: number): number | undefined {
  let [low, high] = [0, ascending.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ascending[middle] ?? 0) <= limit) low = middle + 1;
    else high = middle;
  }
  return ascending[low - 1];
}

interface PlacedValue {
  readonly value: InitialValue;
  /** The relocation section, and the index of this relocation in it. */
  readonly table: NamedSection;
  readonly index: number;
}

function* initialValues(elf: Elf, sections: readonly NamedSection[], parts: Parts): Generator<PlacedValue> {
  const { all, maps, mapsSection, nameOf } = parts;
  const starts = [...maps.keys()].toSorted((a, b) => a - b);
  for (const table of sections) {
    if (table.type !== SHT.rel || table.info !== mapsSection || mapsSection === null) continue;
    let index = 0;
    for (const { at, symbol: number } of relocationsOf(elf, table)) {
      const symbol = all[number];
      const map = maps.get(lastUpTo(starts, at) ?? -1);
      if (map !== undefined && at < map.end && symbol !== undefined && symbol.section !== null) {
        const isMap = symbol.section === mapsSection;
        const target = isMap ? maps.get(symbol.value)?.name : nameOf(symbol);
        const kind = isMap ? "map" : "program";
        if (target !== undefined) yield { value: { map: map.name, target, kind }, table, index };
      }
      index++;
    }
  }
}

/** Returns the object with only those initial values of maps that `keep` accepts. */
export function withInitialValues(original: Original, keep: (value: InitialValue) => boolean): Uint8Array {
  const { bytes, elf, sections } = original;
  const dropped = [...initialValues(elf, sections, readParts(elf, sections))].filter(({ value }) => !keep(value));
  if (dropped.length === 0) return bytes;
  const draft = new ElfDraft(bytes, elf);
  for (const table of new Set(dropped.map((each) => each.table))) {
    const gone = new Set(dropped.filter((each) => each.table === table).map(({ index }) => index));
    dropRelocations({ draft, elf, table }, (index) => gone.has(index));
  }
  return draft.finish();
}
