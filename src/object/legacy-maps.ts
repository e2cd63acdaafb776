/**
 * Converts maps in sections `maps` and `maps/…`: variables whose bytes are the definition (struct bpf_map_def), as in all
 * Rust objects built with aya and in C written for libbpf before 1.0, which dropped support for them. They become variables
 * in section .maps, each with an equivalent struct in BTF. Relocations keep referring to their symbols.
 */
import { OBJECT_MAPS_MAX } from "../domain/limits.ts";
import { type Btf, KIND, openBtf, typeOf } from "./btf.ts";
import {
  type Elf,
  type ElfSymbol,
  type NamedSection,
  SHF_EXECINSTR,
  SHT,
  STB,
  STT,
  sectionFields,
  symbols,
} from "./elf.ts";
import { Bytes, ElfDraft, joined } from "./elf-draft.ts";
import type { Original } from "./for-libbpf.ts";
import { MAPS_SECTION } from "./maps.ts";
import { relocationsOf } from "./program-layout.ts";

/** The definition's fields, each a u32, as in aya's struct; older structs have the first four or five. */
const FIELDS = ["type", "key_size", "value_size", "max_entries", "map_flags", "id", "pinning"] as const;
const FIELDS_MIN = 4;
/** For use by the object's own loader; it has no meaning here. */
const UNUSED_FIELDS: readonly string[] = ["id"];

const LEGACY = /^maps(\/|$)/;
/** Offsets of a symbol's type and binding, section, and value. */
const SYMBOL_BYTES = 24;
const SYMBOL = { info: 4, section: 6, value: 8 } as const;

interface LegacyMap {
  readonly name: string;
  readonly symbol: ElfSymbol;
  readonly fields: ReadonlyMap<string, number>;
  /** Its offset in section .maps, and its size there in bytes. */
  readonly offset: number;
  readonly size: number;
}

/** Returns the object with all its maps in section .maps. Throws the error of `refuse` for an invalid definition. */
export function withModernMaps({ bytes, elf, sections }: Original): Uint8Array {
  const legacy = sections.filter(({ name, size, type }) => LEGACY.test(name) && size > 0 && type === SHT.progbits);
  const table = sections.find(({ type }) => type === SHT.symtab);
  if (legacy.length === 0 || table === undefined) return bytes;
  const modern = sections.find(({ name }) => name === MAPS_SECTION);
  const kept = modern ?? (legacy[0] as NamedSection);

  // .maps comes first, because its relocations and BTF contain offsets in it.
  const parts: Uint8Array[] = [];
  const starts = new Map<number, number>();
  let end = 0;
  const definitions = modern === undefined ? legacy : [modern, ...legacy];
  for (const section of definitions) {
    const content = sectionFields(elf, section, "maps").bytes;
    const padding = -end & 7;
    parts.push(new Uint8Array(padding), content);
    starts.set(section.index, end + padding);
    end += padding + content.length;
  }
  const all = namedSymbols(elf, { sections, table, of: definitions });
  const maps = readLegacyMaps(elf, { all, legacy, starts });
  refuseNameless(elf, { sections, table, of: legacy });
  const offsets = all.flatMap(({ name, symbol }): [string, number][] =>
    modern !== undefined && symbol.section === modern.index ? [[name, symbol.value]] : [],
  );

  const draft = new ElfDraft(bytes, elf);
  const names = namesWith(elf, sections, [MAPS_SECTION, ".BTF"]);
  draft.replace(elf.namesSection, names.bytes);
  for (const { index } of legacy) draft.change(index, { nameAt: 0, type: SHT.strtab });
  draft.change(kept.index, { nameAt: names.at(MAPS_SECTION), type: SHT.progbits });
  draft.replace(kept.index, joined(parts));
  for (const { symbol, offset } of maps) {
    const at = table.offset + symbol.index * SYMBOL_BYTES;
    draft.file.u8(at + SYMBOL.info, (STB.global << 4) | STT.object);
    draft.file.u16(at + SYMBOL.section, kept.index);
    draft.file.u64(at + SYMBOL.value, offset);
  }
  const types = sections.find(({ name, size }) => name === ".BTF" && size > 0);
  const before = types === undefined ? null : openBtf(sectionFields(elf, types, "BTF"));
  const btf = btfWith(elf, before, { maps, modern: new Map(offsets), bytes: end });
  if (types === undefined) draft.add({ nameAt: names.at(".BTF"), type: SHT.progbits }, btf);
  else draft.replace(types.index, btf);
  return draft.finish();
}

interface NamedSymbol {
  readonly name: string;
  readonly symbol: ElfSymbol;
}

/** Returns the symbols in map sections only: elsewhere, Rust has names that are too long to be read here. */
function namedSymbols(elf: Elf, { sections, table, of }: Symbols): NamedSymbol[] {
  const strings = sections[table.link];
  if (strings?.type !== SHT.strtab) throw elf.refuse("the names of its symbols are not there");
  const names = sectionFields(elf, strings, "symbol names");
  const wanted = new Set(of.map(({ index }) => index));
  return [...symbols(elf, table)].flatMap((symbol) => {
    if (symbol.section === null || !wanted.has(symbol.section) || symbol.type === STT.section) return [];
    const name = names.name(symbol.nameAt);
    return name === "" ? [] : [{ name, symbol }];
  });
}

interface Symbols {
  readonly sections: readonly NamedSection[];
  readonly table: NamedSection;
  readonly of: readonly NamedSection[];
}

/**
 * Compilers emit no symbol for a static map: code refers to its offset in the section, and libbpf would use the first map
 * in the section.
 */
function refuseNameless(elf: Elf, { sections, table, of }: Symbols): void {
  const legacy = new Set(of.map(({ index }) => index));
  const nameless = new Set(
    [...symbols(elf, table)]
      .filter(({ type, section }) => type === STT.section && section !== null && legacy.has(section))
      .map(({ index }) => index),
  );
  const isCode = (index: number) => ((sections[index]?.flags ?? 0) & SHF_EXECINSTR) !== 0;
  for (const relocations of nameless.size === 0 ? [] : sections) {
    if (relocations.type !== SHT.rel || !isCode(relocations.info)) continue;
    for (const { symbol } of relocationsOf(elf, relocations)) {
      if (!nameless.has(symbol)) continue;
      throw elf.refuse(
        `a program in its section "${sections[relocations.info]?.name}" uses a map without a name`,
        "declare the map without static",
      );
    }
  }
}

interface Where {
  readonly all: readonly NamedSymbol[];
  readonly legacy: readonly NamedSection[];
  /** Offset of each section's contents in the new .maps, by section index. */
  readonly starts: ReadonlyMap<number, number>;
}

function readLegacyMaps(elf: Elf, { all, legacy, starts }: Where): LegacyMap[] {
  const contents = new Map(legacy.map((section) => [section.index, sectionFields(elf, section, "maps")]));
  const maps: LegacyMap[] = [];
  for (const { name, symbol } of all) {
    const content = symbol.section === null ? undefined : contents.get(symbol.section);
    if (content === undefined || symbol.section === null) continue;
    const bad = (reason: string) => elf.refuse(`its map "${name}" ${reason}`);
    if (maps.length === OBJECT_MAPS_MAX) throw elf.refuse(`it has more than ${OBJECT_MAPS_MAX} maps`);
    if (symbol.size < FIELDS_MIN * 4 || symbol.size % 4 !== 0 || symbol.value % 4 !== 0)
      throw bad(`has ${symbol.size} bytes at ${symbol.value} of section "maps", which does not fit struct bpf_map_def`);
    const record = content.part(symbol.value, symbol.size, `definition of map "${name}"`);
    const fields = new Map<string, number>();
    for (let at = 0; at < record.length; at += 4) {
      const field = FIELDS[at / 4];
      const value = record.u32(at);
      if (field !== undefined) fields.set(field, value);
      else if (value !== 0) throw bad(`says ${value} in byte ${at} of its definition, where bpfman knows no field`);
    }
    maps.push({ name, symbol, fields, offset: (starts.get(symbol.section) ?? 0) + symbol.value, size: symbol.size });
  }
  maps.sort((a, b) => a.offset - b.offset);
  for (const [i, { name, offset }] of maps.entries()) {
    const last = maps[i - 1];
    if (last !== undefined && last.offset + last.size > offset)
      throw elf.refuse(`its maps "${last.name}" and "${name}" stand in the same place`);
  }
  return maps;
}

/** Returns the section names with more names appended. */
function namesWith(elf: Elf, sections: readonly NamedSection[], added: readonly string[]) {
  const before = sectionFields(elf, sections[elf.namesSection] as NamedSection, "section names").bytes;
  const encoded = added.map((name) => new TextEncoder().encode(`\0${name}\0`));
  const at = (name: string): number => {
    const behind = encoded.slice(0, added.indexOf(name)).reduce((sum, { length }) => sum + length, 0);
    return before.length + behind + 1;
  };
  return { bytes: joined([before, ...encoded]), at };
}

const BTF_HEADER_BYTES = 24;
const BTF_MAGIC = 0xeb9f;
const GLOBAL_LINKAGE = 1;
const POINTER_BYTES = 8;

interface NewMaps {
  readonly maps: readonly LegacyMap[];
  /** Offsets of the maps that were already in section .maps, by name. */
  readonly modern: ReadonlyMap<string, number>;
  /** Size of section .maps. */
  readonly bytes: number;
}

/**
 * Returns the BTF with a definition for each map, and a DATASEC of all of them. Existing types and names keep their IDs and
 * offsets, because .BTF.ext contains them too; a DATASEC of legacy maps becomes a pointer that nothing refers to.
 */
function btfWith(elf: Elf, before: Btf | null, { maps, modern, bytes }: NewMaps): Uint8Array {
  const names = new BtfNames(before?.strings.bytes ?? new Uint8Array(1));
  const parts: Uint8Array[] = [];
  const words = (...values: number[]) => {
    const part = new Bytes(new Uint8Array(values.length * 4), elf.littleEndian);
    values.forEach((value, index) => void part.u32(index * 4, value));
    parts.push(part.bytes);
  };
  const info = (kind: number, count = 0) => kind * 2 ** 24 + count;

  const entries: number[] = [];
  const places = [...(before?.places ?? [0])];
  for (let id = 1; before !== null && id < places.length; id++) {
    const type = typeOf(before, id);
    const name = type.kind === KIND.datasec ? before.strings.name(type.nameAt) : "";
    if (name === MAPS_SECTION) {
      for (let at = type.tail; at < type.tail + type.count * 12; at += 12) {
        // Compilers leave offsets to libbpf, which fills in either all of them or none.
        const variable = before.types.u32(at);
        const offset = modern.get(before.strings.name(typeOf(before, variable).nameAt));
        entries.push(variable, offset ?? before.types.u32(at + 4), before.types.u32(at + 8));
      }
    }
    if (name === MAPS_SECTION || LEGACY.test(name)) words(0, info(KIND.pointer), 0);
    else parts.push(before.types.bytes.subarray(places[id], places[id + 1] ?? before.types.length));
  }

  let id = places.length;
  const add = (...values: number[]): number => {
    words(...values);
    return id++;
  };
  // Elements of one byte, because the kernel rejects array types of more than 4 GiB.
  const byte = add(names.add("unsigned char"), info(KIND.int), 1, 8);
  for (const { name, fields, offset, size } of maps) {
    const members = [...fields].filter(([field]) => !UNUSED_FIELDS.includes(field));
    const pointers = members.map(([, value]) => {
      const array = add(0, info(KIND.array), 0, byte, byte, value);
      return add(0, info(KIND.pointer), array);
    });
    // All members share one offset: the struct must not be larger than the old definition, and holds no values.
    const described = members.flatMap(([field], index) => [names.add(field), pointers[index] as number, 0]);
    const struct = add(0, info(KIND.struct, members.length), POINTER_BYTES, ...described);
    entries.push(add(names.add(name), info(KIND.variable), struct, GLOBAL_LINKAGE), offset, size);
  }
  add(names.add(MAPS_SECTION), info(KIND.datasec, entries.length / 3), bytes, ...entries);

  const types = joined(parts);
  const strings = names.bytes();
  const header = new Bytes(new Uint8Array(BTF_HEADER_BYTES), elf.littleEndian);
  header.u16(0, BTF_MAGIC);
  header.u8(2, 1);
  [BTF_HEADER_BYTES, 0, types.length, types.length, strings.length].forEach((value, index) => {
    header.u32(4 + index * 4, value);
  });
  return joined([header.bytes, types, strings]);
}

/** BTF strings, to which each new name is added once. */
class BtfNames {
  private readonly parts: Uint8Array[];
  private readonly places = new Map<string, number>();
  private end: number;

  constructor(before: Uint8Array) {
    this.parts = [before];
    this.end = before.length;
  }

  add(name: string): number {
    const known = this.places.get(name);
    if (known !== undefined) return known;
    const encoded = new TextEncoder().encode(`${name}\0`);
    this.places.set(name, this.end);
    this.parts.push(encoded);
    this.end += encoded.length;
    return this.places.get(name) ?? 0;
  }

  bytes(): Uint8Array {
    return joined(this.parts);
  }
}
