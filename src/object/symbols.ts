/**
 * Finds functions in executables and shared libraries, for uprobes. Files can be hundreds of MB, so only the headers,
 * symbol tables and their strings are read, in chunks.
 */
import {
  NAME_CHARS_MAX,
  SYMBOL_CANDIDATES_MAX,
  SYMBOL_NAMES_MAX,
  SYMBOL_PLACES_MAX,
  SYMBOL_TABLE_BYTES_MAX,
} from "../domain/limits.ts";
import { BpfmanError } from "../errors/error.ts";
import type { ByteSource } from "../platform/files.ts";
import { type Elf, type ElfSymbol, SHT, STB, STT, type Section, openElf, readFields, symbols } from "./elf.ts";
import { type Refuse, hasControlCharacters } from "./fields.ts";

const STRINGS_PER_READ = 1024 * 1024;
/** How much of a string table is searched for suggestions. */
const SUGGESTED_STRINGS_BYTES_MAX = 16 * STRINGS_PER_READ;
/** Flag in a symbol's version (.gnu.version): this version is not the default for the plain `name`. */
const VERSION_HIDDEN = 0x8000;
/** Far more than any library defines: glibc has 1.5 KB. */
const VERSION_DEFINITIONS_BYTES_MAX = 64 * 1024;
const AT_SIGN = 0x40;

/** Offset of a function in its file and its size, both in bytes. */
export interface FoundSymbol {
  readonly fileOffset: number;
  readonly size: number;
}

/**
 * Finds function `name`, which may include a version (`malloc@GLIBC_2.2.5`, `malloc@@GLIBC_2.2.5`); without one, the
 * default version is used. Global functions take precedence over weak ones, those over static ones, and .symtab over
 * .dynsym. For an indirect function (STT_GNU_IFUNC), returns the resolver. Returns null if the file has no such
 * function, for example because it is stripped. Throws INVALID_ATTACH if the file is not valid ELF.
 */
export function findSymbol(source: ByteSource, name: string): FoundSymbol | null {
  const elf = openElf(source, refuse);
  const [, plain = name, version = null] = /^(.+?)@@?(.+)$/s.exec(name) ?? [];
  if (plain === "") return null;
  let best: (FoundSymbol & { rank: number }) | null = null;
  for (const { table, strings } of symbolTables(elf)) {
    const versions = findName(elf, strings, plain);
    if (versions.size === 0) continue;
    const dynamic = table.type === SHT.dynsym ? dynamicVersions(elf) : null;
    let candidates = 0;
    for (const symbol of symbols(elf, table, versions)) {
      if (++candidates > SYMBOL_CANDIDATES_MAX) break;
      const fileOffset = isFunction(symbol) ? fileOffsetOf(elf, symbol.value) : null;
      if (fileOffset === null) continue;
      const its = dynamic?.(symbol.index) ?? parseVersion(versions.get(symbol.nameAt) ?? "");
      if (version !== null && its.name !== version) continue;
      const rank = rankOf(symbol) + (its.hidden ? 0 : 10);
      if (best === null || rank > best.rank) best = { fileOffset, size: symbol.size, rank };
    }
  }
  return best === null ? null : { fileOffset: best.fileOffset, size: best.size };
}

/** Yields a bounded number of function names without versions, for suggestions. Throws like {@link findSymbol}. */
export function* symbolNames(source: ByteSource): Generator<string> {
  const elf = openElf(source, refuse);
  const seen = new Set<string>();
  for (const { table, strings } of symbolTables(elf)) {
    const size = Math.min(strings.size, SUGGESTED_STRINGS_BYTES_MAX);
    const names = readFields(elf, { offset: strings.offset, size }, "symbol names");
    for (const symbol of symbols(elf, table)) {
      if (!isFunction(symbol) || symbol.nameAt >= names.length) continue;
      const name = names.text(symbol.nameAt, NAME_CHARS_MAX)?.replace(/@.*$/s, "") ?? "";
      if (name === "" || seen.has(name) || hasControlCharacters(name)) continue;
      if (seen.size === SYMBOL_NAMES_MAX) return;
      seen.add(name);
      yield name;
    }
  }
}

/** Reports whether an offset in the file is mapped as code. Throws INVALID_ATTACH if the file is not valid ELF. */
export function loadSegmentContains(source: ByteSource, fileOffset: number): boolean {
  return openElf(source, refuse).code.some(({ offset, size }) => fileOffset >= offset && fileOffset < offset + size);
}

const refuse: Refuse = (reason) =>
  new BpfmanError("INVALID_ATTACH", `cannot read the target's symbols: ${reason}`, {
    hint: "a uprobe goes into an executable or a shared library",
  });

interface SymbolTable {
  readonly table: Section;
  readonly strings: Section;
}

/** Returns the full and the dynamic symbol table, if present. A file has at most one of each. */
function symbolTables(elf: Elf): SymbolTable[] {
  return [SHT.symtab, SHT.dynsym].flatMap((type) => {
    const table = elf.sections.find((section) => section.type === type);
    const strings = elf.sections[table?.link ?? 0];
    if (table === undefined || strings?.type !== SHT.strtab) return [];
    const size = Math.max(table.size, strings.size);
    if (size <= SYMBOL_TABLE_BYTES_MAX) return [{ table, strings }];
    throw elf.refuse(`it has a symbol table of ${size} bytes, more than ${SYMBOL_TABLE_BYTES_MAX}`);
  });
}

/**
 * Finds the offsets in a string table where `name` ends a string or precedes a version, with the suffix: "", "@V" or
 * "@@V". Names with a common ending share their bytes, so an offset may be in the middle of another name.
 */
function findName(elf: Elf, strings: Section, name: string): Map<number, string> {
  const found = new Map<number, string>();
  const wanted = Buffer.from(name);
  const longest = wanted.length + NAME_CHARS_MAX;
  for (let start = 0; start < strings.size; start += STRINGS_PER_READ) {
    // Chunks overlap by the longest name, so that a name that starts in a chunk also ends in it.
    const size = Math.min(STRINGS_PER_READ + longest, strings.size - start);
    const piece = readFields(elf, { offset: strings.offset + start, size }, "symbol names");
    const bytes = Buffer.from(piece.bytes.buffer, piece.bytes.byteOffset, size);
    for (let at = bytes.indexOf(wanted); at >= 0 && at < STRINGS_PER_READ; at = bytes.indexOf(wanted, at + 1)) {
      const after = at + wanted.length;
      const next = bytes[after];
      if (next === 0) found.set(start + at, "");
      else if (next === AT_SIGN) found.set(start + at, piece.text(after, NAME_CHARS_MAX) ?? "");
      if (found.size > SYMBOL_PLACES_MAX)
        throw elf.refuse(`more than ${SYMBOL_PLACES_MAX} of its names end in "${name}"`);
    }
  }
  return found;
}

const isFunction = (symbol: ElfSymbol) =>
  (symbol.type === STT.func || symbol.type === STT.gnuIfunc) && symbol.section !== null;

/**
 * Converts an address to a file offset. Only executable segments, which the loader maps, can be probed. Addresses above
 * 2^53, which are not exact here, do not occur in user space and give null.
 */
function fileOffsetOf(elf: Elf, address: number): number | null {
  if (!Number.isSafeInteger(address)) return null;
  const segment = elf.code.find(({ address: start, size }) => address >= start && address < start + size);
  return segment === undefined ? null : address - segment.address + segment.offset;
}

function rankOf({ binding }: ElfSymbol): number {
  if (binding === STB.local) return 0;
  return binding === STB.weak ? 1 : 2;
}

interface Version {
  readonly name: string | null;
  /** Used only if requested by version. */
  readonly hidden: boolean;
}

const parseVersion = (suffix: string): Version => ({
  name: suffix === "" ? null : suffix.replace(/^@@?/, ""),
  hidden: /^@[^@]/.test(suffix),
});

/** Returns the versions of dynamic symbols by symbol index (Linux Standard Base, "Symbol Versioning"). */
function dynamicVersions(elf: Elf): ((index: number) => Version) | null {
  const numbers = elf.sections.find((section) => section.type === SHT.versym);
  if (numbers === undefined) return null;
  const names = versionNames(elf);
  return (index) => {
    const number = readFields(elf, { offset: numbers.offset + index * 2, size: 2 }, "symbol versions").u16(0);
    return { name: names.get(number & ~VERSION_HIDDEN) ?? null, hidden: (number & VERSION_HIDDEN) !== 0 };
  };
}

/** Returns the names of the versions the file defines (.gnu.version_d), by number. */
function versionNames(elf: Elf): Map<number, string> {
  const names = new Map<number, string>();
  const section = elf.sections.find(({ type }) => type === SHT.verdef);
  const strings = section === undefined ? undefined : elf.sections[section.link];
  if (section === undefined || strings === undefined) return names;
  const size = Math.min(section.size, VERSION_DEFINITIONS_BYTES_MAX);
  const definitions = readFields(elf, { offset: section.offset, size }, "version definitions");
  for (let at = 0, next = size; next > 0 && names.size < VERSION_HIDDEN; at += next) {
    const nameAt = definitions.u32(at + definitions.u32(at + 12));
    const room = Math.min(NAME_CHARS_MAX + 1, Math.max(0, strings.size - nameAt));
    const name = readFields(elf, { offset: strings.offset + nameAt, size: room }, "version names");
    names.set(definitions.u16(at + 4), name.text(0, NAME_CHARS_MAX) ?? "");
    next = definitions.u32(at + 16);
  }
  return names;
}
