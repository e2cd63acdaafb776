/** Reads from relocations which maps and kernel symbols programs use, and which initial values maps have. */
import { type NamedSection, STT } from "./elf.ts";
import { ElfDraft } from "./elf-draft.ts";
import { MAPS_SECTION } from "./maps.ts";
import { oneByOne, type OpenObject } from "./open-object.ts";
import { INSTRUCTION_BYTES, type PlacedFunction, programLayouts } from "./program-layout.ts";

/** A value in the initialiser of a map of maps or a program array. */
export interface InitialValue {
  readonly map: string;
  /** Name of the map or program. */
  readonly target: string;
  readonly kind: "map" | "program";
  /** Its relocation: the table, and the index in it. */
  readonly table: NamedSection;
  readonly index: number;
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

export function readMapUses(object: OpenObject): MapUses {
  const maps = placesOfMaps(object);
  const layoutOf = programLayouts(object);
  const known = new Map<string, Used | null>();
  const usedBy = (program: string): Used | null => {
    const layout = known.has(program) ? null : layoutOf(program);
    if (layout !== null) known.set(program, readUsed(object, maps, layout));
    return known.get(program) ?? null;
  };
  return {
    of: (programs) => {
      const used = programs.map(usedBy);
      if (!used.every((each) => each !== null)) return null;
      return {
        maps: new Set(used.flatMap((each) => [...each.maps])),
        symbols: new Set(used.flatMap((each) => [...each.symbols])),
      };
    },
    initialValues: initialValues(object, maps),
  };
}

interface Maps {
  /** Index of their section; -1 if there is none. */
  readonly section: number;
  /** By offset in the section. */
  readonly places: ReadonlyMap<number, { readonly name: string; readonly end: number }>;
}

function placesOfMaps({ sections, symbols: { named, nameOf } }: OpenObject): Maps {
  const index = sections.find(({ name }) => name === MAPS_SECTION)?.index ?? -1;
  const inMaps = named.filter(({ section, type }) => section === index && type !== STT.section);
  return {
    section: index,
    places: new Map(inMaps.map((symbol) => [symbol.value, { name: nameOf(symbol), end: symbol.value + symbol.size }])),
  };
}

function readUsed(object: OpenObject, maps: Maps, layout: readonly PlacedFunction[]): Used | null {
  const used = { maps: new Set<string>(), symbols: new Set<number>() };
  for (const { section, offset, count } of layout) {
    for (const { at, symbol } of object.references(section.index, offset, offset + count * INSTRUCTION_BYTES)) {
      if (at % INSTRUCTION_BYTES !== 0) continue;
      used.symbols.add(symbol.index);
      if (symbol.section !== maps.section) continue;
      const map = maps.places.get(symbol.value);
      if (map === undefined) return null;
      used.maps.add(map.name);
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

function initialValues(object: OpenObject, { section, places }: Maps): InitialValue[] {
  const { symbols } = object;
  const found: InitialValue[] = [];
  const starts = [...places.keys()].toSorted((a, b) => a - b);
  for (const table of object.relocationTables(section)) {
    for (const [index, { at, symbol: number }] of oneByOne(object.relocations(table)).entries()) {
      const symbol = symbols.at(number);
      const map = places.get(lastUpTo(starts, at) ?? -1);
      if (map === undefined || at >= map.end || symbol === undefined || symbol.section === null) continue;
      const isMap = symbol.section === section;
      const target = isMap ? places.get(symbol.value)?.name : symbols.nameOf(symbol);
      if (target !== undefined) found.push({ map: map.name, target, kind: isMap ? "map" : "program", table, index });
    }
  }
  return found;
}

/** Returns the object without these of its initial values. */
export function withoutInitialValues(object: OpenObject, gone: readonly InitialValue[]): OpenObject {
  if (gone.length === 0) return object;
  const draft = new ElfDraft(object);
  for (const [table, values] of Map.groupBy(gone, (value) => value.table)) {
    const indexes = new Set(values.map(({ index }) => index));
    draft.dropRelocations(table, (index) => indexes.has(index));
  }
  return draft.finish();
}
