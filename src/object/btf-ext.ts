/** The section .BTF.ext (Documentation/bpf/btf.rst): which instruction was compiled from which line. */
import { SOURCE_TEXT_BYTES_MAX } from "../domain/limits.ts";
import type { Btf } from "./btf.ts";
import type { Fields } from "./fields.ts";

const MAGIC = 0xeb9f;
const VERSION = 1;
/** Up to and with the place and length of the line information. */
const HEADER_BYTES_MIN = 24;
const RECORD_BYTES_MIN = 16;
const COLUMN_BITS = 10;

/** From this offset on, up to the next record's, instructions belong to this line. */
export interface LineRecord {
  /** Bytes from the start of the ELF section. */
  readonly offset: number;
  /** Places in the BTF's strings. */
  readonly fileAt: number;
  readonly textAt: number;
  /** From 1; 0 for code that belongs to no line. */
  readonly line: number;
  /** From 1; 0 when it is not known. */
  readonly column: number;
}

/** The records of one ELF section, as they stand there: in ascending order of offsets. Throws for what is not sound. */
export function lineRecords(ext: Fields, btf: Btf, section: string): LineRecord[] {
  const { refuse } = ext.format;
  if (ext.u16(0) !== MAGIC) throw refuse("its BTF.ext does not begin with the magic number of BTF in its byte order");
  if (ext.u8(2) !== VERSION) throw refuse(`its BTF.ext has version ${ext.u8(2)}; only ${VERSION} is known`);
  const headerBytes = ext.u32(4);
  if (headerBytes < HEADER_BYTES_MIN) throw refuse(`its BTF.ext header has ${headerBytes} bytes`);
  const lines = ext.part(headerBytes + ext.u32(16), ext.u32(20), "line information");
  if (lines.length === 0) return [];
  const recordBytes = lines.u32(0);
  if (recordBytes < RECORD_BYTES_MIN) throw refuse(`its line information has records of ${recordBytes} bytes`);

  const found: LineRecord[] = [];
  for (let at = 4; at < lines.length; ) {
    const name = btf.strings.text(lines.u32(at), section.length);
    const count = lines.u32(at + 4);
    const records = lines.part(at + 8, count * recordBytes, "line information");
    at += 8 + records.length;
    if (name !== section) continue;
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

/** File name or text of a record; null when it is empty or does not end in time. */
export const sourceText = (btf: Btf, at: number): string | null => btf.strings.text(at, SOURCE_TEXT_BYTES_MAX) || null;
