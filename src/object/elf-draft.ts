/** A modified copy of a 64-bit ELF file. Sections keep their indexes, so references to them stay valid. */
import type { Elf } from "./elf.ts";
import { Fields } from "./fields.ts";

/** Fields of the ELF header. */
const SECTION_HEADERS_AT = 40;
const SECTION_COUNT_AT = 60;
const HEADER_BYTES = 64;
/** Fields of a section header. */
const FIELDS = { nameAt: 0, type: 4, flags: 8, offset: 24, size: 32, alignment: 48 } as const;
const WIDE: ReadonlySet<string> = new Set(["flags", "offset", "size", "alignment"]);
const ALIGNMENT = 8;

export type HeaderChange = Partial<Readonly<Record<keyof typeof FIELDS, number>>>;

/** Bytes to write numbers to, in a file's byte order. */
export class Bytes {
  readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly littleEndian: boolean;

  constructor(bytes: Uint8Array, littleEndian: boolean) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.littleEndian = littleEndian;
  }

  u8(at: number, value: number): void {
    this.view.setUint8(at, value);
  }

  u16(at: number, value: number): void {
    this.view.setUint16(at, value, this.littleEndian);
  }

  u32(at: number, value: number): void {
    this.view.setUint32(at, value, this.littleEndian);
  }

  u64(at: number, value: number): void {
    this.view.setBigUint64(at, BigInt(value), this.littleEndian);
  }
}

export class ElfDraft {
  /** A copy of the original file, modified in place. */
  readonly file: Bytes;
  private readonly headers: Bytes[];
  private readonly appended: Uint8Array[] = [];
  private end: number;
  private readonly headersAt: number;
  private readonly littleEndian: boolean;
  private readonly countBefore: number;

  constructor(original: Uint8Array, elf: Elf) {
    this.littleEndian = elf.littleEndian;
    // A Buffer's slice() does not copy.
    this.file = new Bytes(new Uint8Array(original), elf.littleEndian);
    this.end = original.length;
    this.headersAt = new Fields(original, elf, "ELF header fields").u64(SECTION_HEADERS_AT);
    this.countBefore = elf.sections.length;
    this.headers = elf.sections.map((_, index) => {
      const at = this.headersAt + index * HEADER_BYTES;
      return new Bytes(this.file.bytes.slice(at, at + HEADER_BYTES), elf.littleEndian);
    });
  }

  /** Changes fields of the header of section `index`. */
  change(index: number, change: HeaderChange): void {
    const header = this.headers[index] as Bytes;
    for (const name of Object.keys(FIELDS) as (keyof typeof FIELDS)[]) {
      const value = change[name];
      if (value === undefined) continue;
      if (WIDE.has(name)) header.u64(FIELDS[name], value);
      else header.u32(FIELDS[name], value);
    }
  }

  /** Replaces the contents of section `index`. The old contents stay in the file, unused. */
  replace(index: number, content: Uint8Array): void {
    this.change(index, { offset: this.append(content), size: content.length });
  }

  /** Adds a section and returns its index. */
  add(header: HeaderChange, content: Uint8Array): number {
    const index = this.headers.length;
    this.headers.push(new Bytes(new Uint8Array(HEADER_BYTES), this.littleEndian));
    this.change(index, { ...header, alignment: ALIGNMENT });
    this.replace(index, content);
    return index;
  }

  /** Returns the modified file. */
  finish(): Uint8Array {
    const grows = this.headers.length > this.countBefore;
    const headers = joined(this.headers.map(({ bytes }) => bytes));
    const headersAt = grows ? this.append(headers) : this.headersAt;
    const result = new Bytes(joined([this.file.bytes, ...this.appended]), this.littleEndian);
    result.bytes.set(headers, headersAt);
    result.u64(SECTION_HEADERS_AT, headersAt);
    result.u16(SECTION_COUNT_AT, this.headers.length);
    return result.bytes;
  }

  /** Returns the file offset that the contents will have. */
  private append(content: Uint8Array): number {
    const padding = -this.end & (ALIGNMENT - 1);
    const at = this.end + padding;
    this.appended.push(new Uint8Array(padding), content);
    this.end = at + content.length;
    return at;
  }
}

export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
