/**
 * Section .BTF.ext (Documentation/bpf/btf.rst): line information, which maps instructions to source lines, and CO-RE
 * relocations, which refer to kernel types.
 */
import { SOURCE_TEXT_BYTES_MAX } from "../domain/limits.ts";
import { type Btf, btfHeaderBytes, typeOf } from "./btf.ts";
import type { Fields } from "./fields.ts";

const COLUMN_BITS = 10;
const I32_MAX = 0x7fff_ffff;

/** Instructions from this offset up to that of the next record belong to this line. */
export interface LineRecord {
  /** Bytes from the start of the ELF section. */
  readonly offset: number;
  /** Offsets into the BTF string section. */
  readonly fileAt: number;
  readonly textAt: number;
  /** From 1; 0 for code that belongs to no line. */
  readonly line: number;
  /** From 1; 0 if unknown. */
  readonly column: number;
}

/** Position in the header of a table's offset and length, and the minimum size of its records. */
interface Table {
  readonly pointer: number;
  readonly bytesMin: number;
  readonly what: string;
}

const LINES: Table = { pointer: 16, bytesMin: 16, what: "line information" };
/** CO-RE relocations: instruction, type, access string, kind. */
const RELOCATIONS: Table = { pointer: 24, bytesMin: 16, what: "CO-RE relocations" };

interface SectionRecords {
  /** Offset of the section name in the BTF string section. */
  readonly nameAt: number;
  readonly records: Fields;
  readonly recordBytes: number;
}

/** Returns the records of a table by section. Throws if the table is malformed. */
function sectionRecords(ext: Fields, { pointer, bytesMin, what }: Table): SectionRecords[] {
  const { refuse } = ext.format;
  const headerBytes = btfHeaderBytes(ext, "BTF.ext");
  const found: SectionRecords[] = [];
  if (headerBytes < pointer + 8) return found;
  const table = ext.part(headerBytes + ext.u32(pointer), ext.u32(pointer + 4), what);
  if (table.length === 0) return found;
  const recordBytes = table.u32(0);
  if (recordBytes < bytesMin)
    throw refuse(`the records of its ${what} have ${recordBytes} bytes, fewer than ${bytesMin}`);
  for (let at = 4; at < table.length; ) {
    const records = table.part(at + 8, table.u32(at + 4) * recordBytes, what);
    found.push({ nameAt: table.u32(at), records, recordBytes });
    at += 8 + records.length;
  }
  return found;
}

/** Returns the records of one ELF section in ascending order of offset. Throws if the table is malformed. */
export function lineRecords(ext: Fields, btf: Btf, section: string): LineRecord[] {
  const found: LineRecord[] = [];
  for (const { nameAt, records, recordBytes } of sectionRecords(ext, LINES)) {
    if (btf.strings.text(nameAt, section.length) !== section) continue;
    for (let record = 0; record < records.length; record += recordBytes) {
      const lineAndColumn = records.u32(record + 12);
      found.push({
        offset: records.u32(record),
        fileAt: records.u32(record + 4),
        textAt: records.u32(record + 8),
        line: lineAndColumn >>> COLUMN_BITS,
        column: lineAndColumn & ((1 << COLUMN_BITS) - 1),
      });
    }
  }
  return found;
}

/** An access string: indexes of members and elements from the outer type inwards, as in `0:2:1`. */
const PLACES = /^\d+(:\d+)*$/;
const PLACES_CHARS_MAX = 1024;

/**
 * Throws unless types and access strings of all CO-RE relocations are valid: libbpf (1.1 to 1.7) uses an index that is
 * negative, or becomes negative in 32 bits, as a member index.
 */
export function checkRelocationRecords(ext: Fields, btf: Btf): void {
  for (const { records, recordBytes } of sectionRecords(ext, RELOCATIONS)) {
    for (let record = 0; record < records.length; record += recordBytes) {
      typeOf(btf, records.u32(record + 4));
      const places = btf.strings.text(records.u32(record + 8), PLACES_CHARS_MAX) ?? "";
      const isSound = PLACES.test(places) && places.split(":").every((place) => Number(place) <= I32_MAX);
      if (!isSound)
        throw ext.format.refuse(
          `one of its CO-RE relocations has the invalid access string ${JSON.stringify(places.slice(0, 32))}`,
        );
    }
  }
}

/** Returns the file name or source line of a record; null if it is empty or too long. */
export const sourceText = (btf: Btf, at: number): string | null => btf.strings.text(at, SOURCE_TEXT_BYTES_MAX) || null;
