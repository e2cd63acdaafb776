/** Finds the programs that others reach by bpf_tail_call through program arrays that the object fills. */
import { ALONGSIDE_MAX, OBJECT_MAPS_MAX } from "../domain/limits.ts";
import { type Elf, type ElfSymbol, type NamedSection, namedSections, openElf, SHT, STT } from "./elf.ts";
import { sectionFields, symbols } from "./elf.ts";
import { memorySource, type Refuse } from "./fields.ts";
import { MAPS_SECTION } from "./maps.ts";
import { programLayout, INSTRUCTION_BYTES, RELOCATION_BYTES } from "./program-layout.ts";
import { withSections } from "./rewrite.ts";

/** Offset of the symbol index in a relocation (Elf64_Rel); the relocation's type precedes it. */
const SYMBOL_AT = 12;

interface Relocation {
  readonly offset: number;
  readonly symbol: ElfSymbol | undefined;
  readonly entry: Uint8Array;
}

function relocationsIn(elf: Elf, table: NamedSection, all: readonly ElfSymbol[]): Relocation[] {
  const fields = sectionFields(elf, table, "relocations");
  return Array.from({ length: Math.floor(fields.length / RELOCATION_BYTES) }, (_, index) => {
    const at = index * RELOCATION_BYTES;
    const symbolAt = elf.littleEndian ? at + SYMBOL_AT : at + 8;
    return {
      offset: fields.u64(at),
      symbol: all[fields.u32(symbolAt)],
      entry: fields.bytes.subarray(at, at + RELOCATION_BYTES),
    };
  });
}

export interface Alongside {
  /** The object without the initial values of arrays that none of these programs uses, since libbpf would fill them all. */
  readonly bytes: Uint8Array;
  /** By requested program: the other programs that it reaches by tail calls. */
  readonly programs: ReadonlyMap<string, readonly string[]>;
}

/**
 * Returns what must be loaded along with the requested programs: the programs in the initial values of their program arrays,
 * and so on from those. Arrays that no requested program uses are ignored. Throws the error of `refuse` if there are
 * implausibly many.
 */
export function alongside(bytes: Uint8Array, chosen: readonly string[], refuse: Refuse): Alongside {
  const none = { bytes, programs: new Map(chosen.map((name) => [name, []])) };
  const elf = openElf(memorySource(bytes), refuse);
  const sections = namedSections(elf);
  const values = sections.find(({ type, info }) => type === SHT.rel && sections[info]?.name === MAPS_SECTION);
  const table = sections.find((section) => section.type === SHT.symtab);
  const strings = sections[table?.link ?? 0];
  if (values === undefined || table === undefined || strings?.type !== SHT.strtab) return none;
  const names = sectionFields(elf, strings, "symbol names");
  const all = [...symbols(elf, table)];
  const maps = all.filter(({ section, type }) => section === values.info && type === STT.object);
  if (maps.length > OBJECT_MAPS_MAX) throw refuse(`it has ${maps.length} maps, more than ${OBJECT_MAPS_MAX}`);
  const mapAt = (offset: number): number | null =>
    maps.find(({ value, size }) => offset >= value && offset < value + size)?.value ?? null;

  const initial = relocationsIn(elf, values, all);
  const isProgram = ({ symbol }: Relocation): boolean => symbol?.type === STT.func;
  if (!initial.some(isProgram)) return none;

  /** The contents of each array, by its offset in the maps section. */
  const called = new Map<number, Set<string>>();
  for (const value of initial) {
    const map = mapAt(value.offset);
    if (map === null || !isProgram(value)) continue;
    const programs = called.get(map) ?? new Set();
    called.set(map, programs.add(names.name(value.symbol?.nameAt ?? 0)));
  }

  const tables = new Map<number, Relocation[]>();
  const relocationsOf = (section: NamedSection): Relocation[] => {
    const known = tables.get(section.index);
    if (known !== undefined) return known;
    const found = sections
      .filter(({ type, info }) => type === SHT.rel && info === section.index)
      .flatMap((each) => relocationsIn(elf, each, all));
    tables.set(section.index, found);
    return found;
  };
  const known = new Map<string, readonly number[]>();
  const arraysOf = (program: string): readonly number[] => {
    const arrays = known.get(program) ?? readArrays(program);
    known.set(program, arrays);
    if (known.size > chosen.length + ALONGSIDE_MAX)
      throw refuse(`its program arrays call more than ${ALONGSIDE_MAX} programs`);
    return arrays;
  };
  const readArrays = (program: string): number[] => [
    ...new Set(
      (programLayout(elf, sections, program) ?? []).flatMap(({ section, offset, count }) => {
        const code = sectionFields(elf, section, "instructions");
        const end = offset + count * INSTRUCTION_BYTES;
        return relocationsOf(section).flatMap(({ offset: at, symbol }) => {
          if (symbol?.section !== values.info || at < offset || at >= end) return [];
          return mapAt(symbol.type === STT.section ? code.u32(at + 4) : symbol.value) ?? [];
        });
      }),
    ),
  ];

  const used = new Set<number>();
  const reachedFrom = (start: string): string[] => {
    const reached = new Set([start]);
    for (const program of reached) {
      for (const array of arraysOf(program)) {
        used.add(array);
        for (const each of called.get(array) ?? []) reached.add(each);
      }
    }
    reached.delete(start);
    return [...reached];
  };
  const programs = new Map(chosen.map((name) => [name, reachedFrom(name)]));
  const isNeeded = (value: Relocation): boolean => !isProgram(value) || used.has(mapAt(value.offset) ?? -1);
  const needed = initial.filter(isNeeded);
  if (needed.length === initial.length) return { bytes, programs };
  const content = Buffer.concat(needed.map(({ entry }) => entry));
  return { bytes: withSections(bytes, elf, new Map([[values.index, new Uint8Array(content)]])), programs };
}
