/**
 * Finds functions in executables and shared libraries, for uprobes. Files can be hundreds of MB, so only the headers,
 * symbol tables and their strings are read, in chunks.
 */
import {
  MANGLED_CHARS_MAX,
  NAME_CHARS_MAX,
  SYMBOL_CANDIDATES_MAX,
  SYMBOL_NAMES_MAX,
  SYMBOL_PLACES_MAX,
  SYMBOL_TABLE_BYTES_MAX,
} from "../domain/limits.ts";
import { BpfmanError } from "../errors/error.ts";
import type { ByteSource } from "../platform/files.ts";
import { type Elf, type ElfSymbol, SHT, STB, STT, type Section, openElf, readFields, symbols } from "./elf.ts";
import { mangledPart, qualifiedName } from "./demangle.ts";
import { goFunctionNames, goFunctions } from "./go-functions.ts";
import { type Refuse, hasControlCharacters } from "./fields.ts";

const STRINGS_PER_READ = 1024 * 1024;
/** How much of a string table is searched for suggestions. */
const SUGGESTED_STRINGS_BYTES_MAX = 16 * STRINGS_PER_READ;
/** Flag in a symbol's version (.gnu.version): this version is not the default for the plain `name`. */
const VERSION_HIDDEN = 0x8000;
/** Far more than any library defines: glibc has 1.5 KB. */
const VERSION_DEFINITIONS_BYTES_MAX = 64 * 1024;
const AT_SIGN = 0x40;

/** A function in its file. */
export interface FoundSymbol {
  /** Includes the version, and is mangled for C++ and Rust, so that it identifies this function in the file. */
  readonly name: string;
  /** Bytes from the start of the file. */
  readonly fileOffset: number;
  readonly size: number;
  /** STT_GNU_IFUNC: this is a resolver, which chooses the function when the program starts. */
  readonly indirect: boolean;
  /** The source file of a static function, if the file records it and several functions must be distinguished. */
  readonly source: string | null;
}

/**
 * Returns the functions called `name`, one per place. The name may include a version (`malloc@GLIBC_2.2.5`,
 * `malloc@@GLIBC_2.2.5`); without one, the default version is used. Exported functions take precedence over internal
 * ones, and weak functions yield to others. If no symbol has that exact name, it is looked up as a demangled C++ or
 * Rust name (`app::Server::handle`), then as a Go function, whose names remain in stripped files. Throws INVALID_ATTACH
 * if the file is not valid ELF.
 */
export function findSymbols(source: ByteSource, name: string): FoundSymbol[] {
  const elf = openElf(source, refuse);
  const [, plain = name, version = null] = /^(.+?)@@?(.+)$/s.exec(name) ?? [];
  if (plain === "") return [];
  const tables = symbolTables(elf);
  const exact = tables.flatMap((table) => candidatesIn(elf, table, findName(elf, table.strings, plain)));
  const named = exact
    .filter((each) => version === null || each.version.name === version)
    .map((each) => ({ ...each, name: `${plain}${suffixOf(each.version)}` }));
  if (named.length > 0) return best(elf, named);
  const mangled = tables.flatMap((table) => candidatesIn(elf, table, findQualified(elf, table.strings, name)));
  if (mangled.length > 0) return best(elf, mangled);
  return onePerPlace(
    goFunctions(elf, name).flatMap((found) => {
      const fileOffset = fileOffsetOf(elf, found.address);
      return fileOffset === null
        ? []
        : [{ name: found.name, fileOffset, size: found.size, indirect: false, source: null }];
    }),
  );
}

interface Candidate extends FoundSymbol {
  readonly version: Version;
  readonly rank: number;
  readonly table: SymbolTable;
  readonly index: number;
  readonly local: boolean;
}

/** Returns the functions whose names are at those offsets, with what is known about each. */
function candidatesIn(elf: Elf, table: SymbolTable, places: ReadonlyMap<number, string>): Candidate[] {
  if (places.size === 0) return [];
  const exported = table.table.type === SHT.dynsym;
  const versions = exported ? dynamicVersions(elf) : null;
  const found: Candidate[] = [];
  let seen = 0;
  for (const symbol of symbols(elf, table.table, places)) {
    if (++seen > SYMBOL_CANDIDATES_MAX) break;
    const fileOffset = isFunction(symbol) ? fileOffsetOf(elf, symbol.value) : null;
    if (fileOffset === null) continue;
    const name = places.get(symbol.nameAt) ?? "";
    const version = versions?.(symbol.index) ?? parseVersion(/@.*$/s.exec(name)?.[0] ?? "");
    const { index, size, binding } = symbol;
    const rank = version.hidden ? 0 : exported ? 3 : binding === STB.weak ? 1 : 2;
    const indirect = symbol.type === STT.gnuIfunc;
    found.push({
      ...{ name, fileOffset, size, indirect, source: null },
      ...{ version, rank, table, index, local: binding === STB.local },
    });
  }
  return found;
}

/** Returns the candidates of the highest rank, one per place. */
function best(elf: Elf, candidates: readonly Candidate[]): FoundSymbol[] {
  const highest = candidates.reduce((most, { rank }) => Math.max(most, rank), 0);
  const found = onePerPlace(candidates.filter(({ rank }) => rank === highest));
  const sources = found.length > 1 ? sourcesOf(elf, found) : null;
  return found.map(({ name, fileOffset, size, indirect, index }) => ({
    ...{ name, fileOffset, size, indirect, source: sources?.get(index) ?? null },
  }));
}

function onePerPlace<Found extends FoundSymbol>(found: readonly Found[]): Found[] {
  const places = new Map<number, Found>();
  for (const each of found) if (!places.has(each.fileOffset)) places.set(each.fileOffset, each);
  return [...places.values()].sort((a, b) => a.fileOffset - b.fileOffset);
}

/** Returns the source files of static functions by symbol index: a file's symbol precedes those of its functions. */
function sourcesOf(elf: Elf, found: readonly Candidate[]): ReadonlyMap<number, string> {
  const files = new Map<number, string>();
  const wanted = new Set(found.filter(({ local }) => local).map(({ index }) => index));
  const table = found.find(({ local }) => local)?.table;
  if (table === undefined) return files;
  const { strings } = table;
  let file = 0;
  for (const { index, type, nameAt } of symbols(elf, table.table)) {
    if (type === STT.file) file = nameAt;
    if (!wanted.delete(index)) continue;
    const room = Math.min(NAME_CHARS_MAX + 1, Math.max(0, strings.size - file));
    const name = readFields(elf, { offset: strings.offset + file, size: room }, "symbol names").text(0, NAME_CHARS_MAX);
    if (file !== 0 && name !== null && !hasControlCharacters(name)) files.set(index, name);
    if (wanted.size === 0) break;
  }
  return files;
}

/**
 * Yields a bounded number of function names without versions, for suggestions; for C++ and Rust, also demangled. Throws
 * like {@link findSymbols}.
 */
export function* symbolNames(source: ByteSource): Generator<string> {
  const elf = openElf(source, refuse);
  const seen = new Set<string>();
  const isNew = (name: string): boolean => {
    if (name === "" || seen.has(name) || hasControlCharacters(name)) return false;
    seen.add(name);
    return true;
  };
  for (const { name } of namedSymbols(elf)) {
    const qualified = name.startsWith("_Z") ? qualifiedName(name) : null;
    for (const each of qualified === null ? [name] : [name, qualified]) if (isNew(each)) yield each;
    if (seen.size >= SYMBOL_NAMES_MAX) return;
  }
  for (const name of goFunctionNames(elf)) {
    if (isNew(name)) yield name;
    if (seen.size >= SYMBOL_NAMES_MAX) return;
  }
}

/** Yields the functions of the symbol tables with their names without versions, as far as the names are searched. */
function* namedSymbols(elf: Elf): Generator<{ readonly name: string; readonly symbol: ElfSymbol }> {
  for (const { table, strings } of symbolTables(elf)) {
    const size = Math.min(strings.size, SUGGESTED_STRINGS_BYTES_MAX);
    const names = readFields(elf, { offset: strings.offset, size }, "symbol names");
    for (const symbol of symbols(elf, table)) {
      if (!isFunction(symbol) || symbol.nameAt >= names.length) continue;
      yield { name: names.text(symbol.nameAt, NAME_CHARS_MAX)?.replace(/@.*$/s, "") ?? "", symbol };
    }
  }
}

/**
 * Yields the functions that have code in the file, under the names that its symbol tables give them. Indirect functions are
 * left out: they only choose others. Throws like {@link findSymbols}.
 */
export function* namedFunctions(source: ByteSource): Generator<{ readonly name: string; readonly fileOffset: number }> {
  const elf = openElf(source, refuse);
  for (const { name, symbol } of namedSymbols(elf)) {
    if (name === "" || hasControlCharacters(name) || symbol.type === STT.gnuIfunc) continue;
    const fileOffset = fileOffsetOf(elf, symbol.value);
    if (fileOffset !== null) yield { name, fileOffset };
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

/** Largest size of a mangled name with its NUL. */
const MANGLED_BYTES_MAX = MANGLED_CHARS_MAX + 1;

/**
 * Finds the offsets in a string table of mangled names that demangle to `name`. Only strings that contain the last part
 * of the name are demangled.
 */
function findQualified(elf: Elf, strings: Section, name: string): Map<number, string> {
  const found = new Map<number, string>();
  const part = mangledPart(name);
  if (part === null) return found;
  const wanted = Buffer.from(part);
  let looked = 0;
  for (let start = 0; start < strings.size; start += STRINGS_PER_READ) {
    // Chunks overlap on both sides by the longest name.
    const before = Math.min(start, MANGLED_BYTES_MAX);
    const from = start - before;
    const size = Math.min(before + STRINGS_PER_READ + MANGLED_BYTES_MAX, strings.size - from);
    const piece = readFields(elf, { offset: strings.offset + from, size }, "symbol names");
    const bytes = Buffer.from(piece.bytes.buffer, piece.bytes.byteOffset, size);
    for (let at = bytes.indexOf(wanted, before); at >= 0 && at < before + STRINGS_PER_READ; ) {
      const [first, end] = [bytes.lastIndexOf(0, at) + 1, bytes.indexOf(0, at)];
      if (++looked > SYMBOL_PLACES_MAX) throw elf.refuse(`more than ${SYMBOL_PLACES_MAX} of its names have "${part}"`);
      if (end < 0) break;
      const mangled = end - first > MANGLED_CHARS_MAX ? "" : bytes.toString("utf8", first, end);
      if (qualifiedName(mangled) === name) found.set(from + first, mangled);
      at = bytes.indexOf(wanted, end);
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

interface Version {
  readonly name: string | null;
  /** Used only if requested by version. */
  readonly hidden: boolean;
}

const suffixOf = ({ name, hidden }: Version): string => (name === null ? "" : `${hidden ? "@" : "@@"}${name}`);

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
