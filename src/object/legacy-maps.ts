/**
 * Converts maps in sections `maps` and `maps/…`: variables whose bytes are the definition (struct bpf_map_def), as in all
 * Rust objects built with aya and in C written for libbpf before 1.0, which dropped support for them. They become variables
 * in section .maps, each with an equivalent struct in BTF. Relocations keep referring to their symbols.
 */
import { OBJECT_MAPS_MAX } from "../domain/limits.ts";
import { BtfDraft } from "./btf-draft.ts";
import { KIND, membersOf, typeOf } from "./btf.ts";
import { type ElfSymbol, type NamedSection, SHT, STB, STT, sectionFields } from "./elf.ts";
import { ElfDraft } from "./elf-draft.ts";
import { joined } from "./fields.ts";
import { MAPS_SECTION } from "./maps.ts";
import { isCode, type OpenObject } from "./open-object.ts";

/** The definition's fields, each a u32, as in aya's struct; older structs have the first four or five. */
const FIELDS = ["type", "key_size", "value_size", "max_entries", "map_flags", "id", "pinning"] as const;
const FIELDS_MIN = 4;
/** For use by the object's own loader; it has no meaning here. */
const UNUSED_FIELDS: readonly string[] = ["id"];

const LEGACY = /^maps(\/|$)/;

interface LegacyMap {
  readonly name: string;
  readonly symbol: ElfSymbol;
  readonly fields: ReadonlyMap<string, number>;
  /** Its offset in section .maps, and its size there in bytes. */
  readonly offset: number;
  readonly size: number;
}

/** Returns the object with all its maps in section .maps. Throws the error of `refuse` for an invalid definition. */
export function withModernMaps(object: OpenObject): OpenObject {
  const { elf, sections } = object;
  const legacy = sections.filter(({ name, size, type }) => LEGACY.test(name) && size > 0 && type === SHT.progbits);
  if (legacy.length === 0) return object;
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
  const all = namedSymbols(object, definitions);
  const maps = readLegacyMaps(object, { all, legacy, starts });
  refuseNameless(object, legacy);
  const offsets = all.flatMap(({ name, symbol }): [string, number][] =>
    modern !== undefined && symbol.section === modern.index ? [[name, symbol.value]] : [],
  );

  const draft = new ElfDraft(object);
  for (const { index } of legacy) draft.change(index, { nameAt: 0, type: SHT.strtab });
  draft.change(kept.index, { nameAt: draft.addName(MAPS_SECTION), type: SHT.progbits });
  draft.replace(kept.index, joined(parts));
  for (const { symbol, offset } of maps) {
    draft.changeSymbol(symbol.index, { binding: STB.global, type: STT.object, place: [kept.index, offset] });
  }
  const btf = btfWith(object, { maps, modern: new Map(offsets), bytes: end });
  const types = object.section(".BTF");
  if (types === undefined) draft.add({ nameAt: draft.addName(".BTF"), type: SHT.progbits }, btf);
  else draft.replace(types.index, btf);
  return draft.finish();
}

interface NamedSymbol {
  readonly name: string;
  readonly symbol: ElfSymbol;
}

/** Returns the symbols in map sections only: elsewhere, Rust has names that are too long to be read here. */
function namedSymbols({ symbols: { named, nameOf } }: OpenObject, definitions: readonly NamedSection[]): NamedSymbol[] {
  const wanted = new Set<number | null>(definitions.map(({ index }) => index));
  return named.flatMap((symbol) => {
    if (!wanted.has(symbol.section) || symbol.type === STT.section) return [];
    const name = nameOf(symbol);
    return name === "" ? [] : [{ name, symbol }];
  });
}

/**
 * Compilers emit no symbol for a static map: code refers to its offset in the section, and libbpf would use the first map
 * in the section.
 */
function refuseNameless(object: OpenObject, legacy: readonly NamedSection[]): void {
  const indexes = new Set<number | null>(legacy.map(({ index }) => index));
  for (const { index, name } of object.sections.filter(isCode)) {
    for (const { symbol } of object.references(index)) {
      const { type, section } = symbol;
      if (type !== STT.section || !indexes.has(section)) continue;
      throw object.elf.refuse(
        `a program in its section "${name}" uses a map without a name`,
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

function readLegacyMaps({ elf }: OpenObject, { all, legacy, starts }: Where): LegacyMap[] {
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
      else if (value !== 0)
        throw bad(`has the value ${value} at byte ${at} of its definition, where bpfman knows no field`);
    }
    maps.push({ name, symbol, fields, offset: (starts.get(symbol.section) ?? 0) + symbol.value, size: symbol.size });
  }
  maps.sort((a, b) => a.offset - b.offset);
  for (const [i, { name, offset }] of maps.entries()) {
    const last = maps[i - 1];
    if (last !== undefined && last.offset + last.size > offset)
      throw elf.refuse(`its maps "${last.name}" and "${name}" overlap`);
  }
  return maps;
}

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
 * Returns the BTF with a definition for each map, and a DATASEC of all of them. A DATASEC of legacy maps becomes a pointer
 * that nothing refers to.
 */
function btfWith(object: OpenObject, { maps, modern, bytes }: NewMaps): Uint8Array {
  const before = object.btf();
  const draft = new BtfDraft(before, object.elf.littleEndian);
  const entries: number[] = [];
  for (let id = 1; before !== null && id < before.places.length; id++) {
    const type = typeOf(before, id);
    const name = type.kind === KIND.datasec ? before.strings.name(type.nameAt) : "";
    if (name === MAPS_SECTION) {
      for (const at of membersOf(type)) {
        // Compilers leave offsets to libbpf, which fills in either all of them or none.
        const variable = before.types.u32(at);
        const offset = modern.get(before.strings.name(typeOf(before, variable).nameAt));
        entries.push(variable, offset ?? before.types.u32(at + 4), before.types.u32(at + 8));
      }
    }
    if (name === MAPS_SECTION || LEGACY.test(name)) draft.replace(id, 0, [KIND.pointer], 0);
  }

  // Elements of one byte, because the kernel rejects array types of more than 4 GiB.
  const byte = draft.add(draft.name("unsigned char"), [KIND.int], 1, 8);
  for (const { name, fields, offset, size } of maps) {
    // All members share one offset: the struct must not be larger than the old definition, and holds no values.
    const members = [...fields].flatMap(([field, value]) => {
      if (UNUSED_FIELDS.includes(field)) return [];
      const array = draft.add(0, [KIND.array], 0, byte, byte, value);
      return [draft.name(field), draft.add(0, [KIND.pointer], array), 0];
    });
    const struct = draft.add(0, [KIND.struct, members.length / 3], POINTER_BYTES, ...members);
    entries.push(draft.add(draft.name(name), [KIND.variable], struct, GLOBAL_LINKAGE), offset, size);
  }
  draft.add(draft.name(MAPS_SECTION), [KIND.datasec, entries.length / 3], bytes, ...entries);
  return draft.finish();
}
