/**
 * Finds functions of Go programs in the table the runtime keeps for tracebacks (.gopclntab), which remains when a file
 * is stripped. Supports the layouts of Go 1.16, 1.18 and 1.20; Go 1.26 still writes the last (debug/gosym in Go's
 * library).
 */
import { GO_TABLE_BYTES_MAX, NAME_CHARS_MAX, SYMBOL_CANDIDATES_MAX, SYMBOL_PLACES_MAX } from "../domain/limits.ts";
import { type Elf, type NamedSection, SHT, namedSections, readFields } from "./elf.ts";
import { Bytes, type Fields } from "./fields.ts";

/** A function, its address and its size in bytes. */
export interface GoFunction {
  readonly name: string;
  readonly address: number;
  readonly size: number;
}

const MAGIC_1_16 = 0xffff_fffa;
const MAGIC_1_18 = 0xffff_fff0;
const MAGIC_1_20 = 0xffff_fff1;
const TABLE_SECTIONS = [".gopclntab", ".data.rel.ro.gopclntab"];
const HEADER_BYTES = 8;
/** Word indexes in runtime.moduledata, which starts with a pointer to the table: lowest and highest code address. */
const MODULE = { minPc: 20, maxPc: 21 } as const;
/** How many pointers to the table are examined; a program has a handful. */
const POINTERS_MAX = 64;
const SHF_WRITE = 1;

/** Layout of the table: an entry of `functions` is a code position and an offset in `functions`. */
interface Table {
  readonly elf: Elf;
  /** Address in memory. */
  readonly address: number;
  readonly count: number;
  readonly names: Fields;
  readonly functions: Fields;
  /** Size of each half of an entry, and of a function's first field. */
  readonly entryBytes: number;
  /** The base of code positions; null if the header does not contain it. */
  readonly text: number | null;
}

/**
 * Returns the Go functions with that name; none if the file was not built by Go 1.16 or newer. Throws the error of
 * `elf.refuse`.
 */
export function goFunctions(elf: Elf, name: string): GoFunction[] {
  const table = openTable(elf);
  if (table === null) return [];
  const places = namePlaces(table.names, name);
  if (places.size === 0) return [];
  const text = textStart(table);
  if (text === null) return [];
  const found: GoFunction[] = [];
  for (let index = 0; index < table.count; index++) {
    if (!places.has(nameAt(table, index))) continue;
    const [address, end] = [text + placeAt(table, index), text + placeAt(table, index + 1)];
    if (found.length === SYMBOL_CANDIDATES_MAX) break;
    found.push({ name, address, size: Math.max(0, end - address) });
  }
  return found;
}

/** Yields function names, for suggestions. Throws like {@link goFunctions}. */
export function* goFunctionNames(elf: Elf): Generator<string> {
  const table = openTable(elf);
  if (table === null) return;
  for (let index = 0; index < table.count; index++) {
    const name = table.names.text(nameAt(table, index), NAME_CHARS_MAX);
    if (name !== null) yield name;
  }
}

/** Returns the sections of a program built by Go; null for others, which are then not searched. */
function sectionsOfGo(elf: Elf): NamedSection[] | null {
  if (elf.sections[elf.namesSection]?.type !== SHT.strtab) return null;
  const sections = namedSections(elf);
  return sections.some(({ name }) => name === ".note.go.buildid" || name === ".go.buildinfo") ? sections : null;
}

function openTable(elf: Elf): Table | null {
  const sections = sectionsOfGo(elf);
  if (sections === null) return null;
  const own = sections.find(({ name, type }) => TABLE_SECTIONS.includes(name) && type === SHT.progbits);
  if (own !== undefined) return readTable(elf, own.address, tableFields(elf, own));
  // Linkers other than Go's put it among other data of position-independent programs.
  const data = sections.find(({ name, type }) => name === ".data.rel.ro" && type === SHT.progbits);
  return data === undefined ? null : searchTable(elf, data.address, tableFields(elf, data));
}

const tableFields = (elf: Elf, { offset, size }: NamedSection): Fields =>
  readFields(elf, { offset, size: Math.min(size, GO_TABLE_BYTES_MAX) }, "Go functions");
const bytesOf = ({ bytes }: Fields): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function searchTable(elf: Elf, start: number, fields: Fields): Table | null {
  const bytes = bytesOf(fields);
  for (const magic of [MAGIC_1_20, MAGIC_1_18, MAGIC_1_16]) {
    const wanted = wordBytes(elf, magic, 4);
    for (let at = bytes.indexOf(wanted); at >= 0; at = bytes.indexOf(wanted, at + 4)) {
      if (at % 4 !== 0 || bytes[at + 4] !== 0 || bytes[at + 5] !== 0) continue;
      const table = readTable(elf, start + at, fields.part(at, fields.length - at, "Go functions"));
      if (table !== null) return table;
    }
  }
  return null;
}

/** Returns null if it is not a table with a known layout. */
function readTable(elf: Elf, address: number, fields: Fields): Table | null {
  const word = elf.wide ? 8 : 4;
  if (fields.length < HEADER_BYTES + 8 * word || fields.u8(7) !== word) return null;
  const header = (index: number) => fields.word(HEADER_BYTES + index * word);
  const magic = fields.u32(0);
  const old = magic === MAGIC_1_16;
  if (!old && magic !== MAGIC_1_18 && magic !== MAGIC_1_20) return null;
  // Since 1.18, the header contains the start of the code, and positions are relative to it rather than addresses.
  const shift = old ? 0 : 1;
  const [namesAt, namesEnd, functionsAt] = [header(2 + shift), header(3 + shift), header(6 + shift)];
  if (namesAt > namesEnd || namesEnd > fields.length || functionsAt > fields.length) return null;
  const functions = fields.part(functionsAt, fields.length - functionsAt, "Go functions");
  const entryBytes = old ? word : 4;
  const count = header(0);
  // The last entry has no function: it is the end of the code.
  if ((2 * count + 1) * entryBytes > functions.length) return null;
  const text = old ? 0 : header(2) === 0 ? null : header(2);
  const names = fields.part(namesAt, namesEnd - namesAt, "Go names");
  return { elf, address, count, names, functions, entryBytes, text };
}

const half = ({ functions, entryBytes }: Table, index: number): number =>
  entryBytes === 8 ? functions.u64(index * 8) : functions.u32(index * 4);
const placeAt = (table: Table, index: number): number => half(table, 2 * index);
/** Offset of a function's name, which is stored after its first field. */
const nameAt = (table: Table, index: number): number =>
  table.functions.u32(half(table, 2 * index + 1) + table.entryBytes);

/** Returns the offsets of a complete name in the name table. */
function namePlaces(names: Fields, name: string): Set<number> {
  const places = new Set<number>();
  const bytes = bytesOf(names);
  const wanted = Buffer.from(`${name}\0`);
  for (let at = bytes.indexOf(wanted); at >= 0; at = bytes.indexOf(wanted, at + 1)) {
    if (at === 0 || bytes[at - 1] === 0) places.add(at);
    if (places.size > SYMBOL_PLACES_MAX) {
      throw names.format.refuse(`more than ${SYMBOL_PLACES_MAX} of its Go names are "${name}"`);
    }
  }
  return places;
}

/**
 * Returns the start of the code, to which the table's positions are relative. Before Go 1.26, the table contains it
 * unless the program is position-independent; runtime.moduledata always does. A wrong start would put probes in the
 * middle of instructions, so data is only accepted as the module's if it agrees with the table about both ends of the
 * code.
 */
function textStart(table: Table): number | null {
  const { elf, text, count } = table;
  if (text !== null) return text;
  if (count === 0) return null;
  const [first, end] = [placeAt(table, 0), placeAt(table, count)];
  let seen = 0;
  for (const { minPc, maxPc } of moduleBounds(table)) {
    if (++seen > POINTERS_MAX) return null;
    const start = minPc - first;
    const inCode = elf.code.some(({ address, size }) => minPc >= address && maxPc <= address + size);
    if (inCode && maxPc - start === end) return start;
  }
  return null;
}

interface Bounds {
  readonly minPc: number;
  readonly maxPc: number;
}

/** Yields candidates for the module's data: whatever points to the table, in the file or after relocation. */
function* moduleBounds(table: Table): Generator<Bounds> {
  const { elf, address } = table;
  const word = elf.wide ? 8 : 4;
  const pointer = wordBytes(elf, address, word);
  for (const section of sectionsOfGo(elf) ?? []) {
    const { type, flags } = section;
    const data = type === SHT.progbits && (flags & SHF_WRITE) !== 0;
    if (!data && type !== SHT.rela) continue;
    const fields = tableFields(elf, section);
    if (data) yield* boundsInData(fields, pointer, word);
    else if (elf.wide) yield* boundsInRelocations(fields, pointer);
  }
}

function* boundsInData(fields: Fields, pointer: Buffer, word: number): Generator<Bounds> {
  const bytes = bytesOf(fields);
  for (let at = bytes.indexOf(pointer); at >= 0; at = bytes.indexOf(pointer, at + word)) {
    if (at + (MODULE.maxPc + 1) * word > fields.length) return;
    yield { minPc: fields.word(at + MODULE.minPc * word), maxPc: fields.word(at + MODULE.maxPc * word) };
  }
}

/** Relocations of {offset, type, addend}: the loader writes the addend plus the load address. */
function* boundsInRelocations(fields: Fields, pointer: Buffer): Generator<Bounds> {
  const bytes = bytesOf(fields);
  const valueAt = (place: number): number | null => {
    const wanted = wordBytes(fields.format, place, 8);
    for (let at = bytes.indexOf(wanted); at >= 0; at = bytes.indexOf(wanted, at + 1)) {
      if (at % 24 === 0 && at + 24 <= fields.length) return fields.u64(at + 16);
    }
    return null;
  };
  for (let at = bytes.indexOf(pointer); at >= 0; at = bytes.indexOf(pointer, at + 8)) {
    if (at % 24 !== 16) continue;
    const module = fields.u64(at - 16);
    const [minPc, maxPc] = [valueAt(module + MODULE.minPc * 8), valueAt(module + MODULE.maxPc * 8)];
    // Missing values are yielded too, as NaN, which matches no code, so that they count towards the limit.
    yield { minPc: minPc ?? Number.NaN, maxPc: maxPc ?? Number.NaN };
  }
}

/** Encodes a number as the file does. */
function wordBytes({ littleEndian }: { readonly littleEndian: boolean }, value: number, bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  new Bytes(buffer, littleEndian)[bytes === 4 ? "u32" : "u64"](0, value);
  return buffer;
}
