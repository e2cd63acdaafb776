import { NAME_CHARS_MAX } from "../domain/limits.ts";
import type { BpfmanError } from "../errors/error.ts";
import type { ByteSource } from "../platform/files.ts";

/** Creates the error for an unreadable file; `reason` refers to the file as "it". */
export type Refuse = (reason: string, hint?: string) => BpfmanError;

/** Wraps bytes in memory as a source that is read without copying. */
export const memorySource = (bytes: Uint8Array): ByteSource => ({
  size: bytes.length,
  read: (offset, length) => bytes.subarray(offset, offset + length),
  close: () => {},
});

/** Control characters could manipulate a terminal: Unicode category Cc, U+0000 to U+001F and U+007F to U+009F. */
export function hasControlCharacters(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code < 0x20 || (code > 0x7e && code < 0xa0)) return true;
  }
  return false;
}

const decoder = new TextDecoder();

/** A larger table is not decoded for a few of its names. */
const PLAIN_BYTES_MAX = 1024 * 1024;
const NOT_PLAIN = /[^\0 -~\u00a0-\uffff]/;

/**
 * Returns names that lie one after the other, each with its NUL, as one text of as many characters as there are bytes, so that
 * each is a slice of it; "" if it cannot be told, or if a name has control characters.
 */
function plainText(bytes: Uint8Array): string {
  const text = bytes.length > PLAIN_BYTES_MAX ? "" : decoder.decode(bytes);
  return text.length === bytes.length && !NOT_PLAIN.test(text) ? text : "";
}

/** How a file encodes numbers, and how its errors are created. */
export interface Format {
  readonly littleEndian: boolean;
  /** Words are 8 bytes rather than 4. */
  readonly wide: boolean;
  readonly refuse: Refuse;
}

/**
 * Bytes of a file, read as numbers and names in the file's own format. Every read is bounds-checked and throws the
 * error of `refuse`, so code built on it need not validate offsets again.
 */
export class Fields {
  readonly bytes: Uint8Array;
  readonly format: Format;
  /** Names the bytes in messages, in the plural, after "its": `section headers`. */
  private readonly what: string;
  private readonly view: DataView;
  readonly length: number;
  private plain: string | null = null;

  constructor(bytes: Uint8Array, format: Format, what: string) {
    this.bytes = bytes;
    this.format = format;
    this.what = what;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.length = bytes.length;
  }

  // Each method checks its own bounds: a file has thousands of fields, read once by code that is not yet JIT-compiled.
  u8(at: number): number {
    if (at + 1 > this.length) throw this.cutShort();
    return this.view.getUint8(at);
  }

  u16(at: number): number {
    if (at + 2 > this.length) throw this.cutShort();
    return this.view.getUint16(at, this.format.littleEndian);
  }

  u32(at: number): number {
    if (at + 4 > this.length) throw this.cutShort();
    return this.view.getUint32(at, this.format.littleEndian);
  }

  /** Rounded above 2^53, which exceeds every file and limit, so that such a value is rejected whatever it becomes. */
  u64(at: number): number {
    if (at + 8 > this.length) throw this.cutShort();
    const { view } = this;
    return this.format.littleEndian
      ? view.getUint32(at + 4, true) * 0x1_0000_0000 + view.getUint32(at, true)
      : view.getUint32(at, false) * 0x1_0000_0000 + view.getUint32(at + 4, false);
  }

  /** An address, offset or size of the file's own word size. */
  word(at: number): number {
    return this.format.wide ? this.u64(at) : this.u32(at);
  }

  /** Returns a copy as numbers of 32 bits in this machine's byte order, for loops in which a call for each would take long. */
  words(): Uint32Array {
    const copy = new Uint8Array(this.length & ~3);
    copy.set(this.bytes.subarray(0, copy.length));
    if (!this.format.littleEndian) Buffer.from(copy.buffer).swap32();
    return new Uint32Array(copy.buffer);
  }

  /** Returns the part from `at`, without copying. */
  part(at: number, length: number, what: string): Fields {
    if (at + length > this.length) throw this.cutShort();
    return new Fields(this.bytes.subarray(at, at + length), this.format, what);
  }

  /** Returns the text from `at` up to a NUL byte; null if there is none within `bytesMax` or before the end. */
  text(at: number, bytesMax: number): string | null {
    if (at + 1 > this.length) throw this.cutShort();
    const bytes = this.bytes.subarray(at, at + bytesMax + 1);
    const end = bytes.indexOf(0);
    return end < 0 ? null : decoder.decode(bytes.subarray(0, end));
  }

  /** Returns a name that is properly terminated and printable. */
  name(at: number): string {
    this.plain ??= plainText(this.bytes);
    const end = this.plain.indexOf("\0", at);
    if (end >= 0 && end - at <= NAME_CHARS_MAX) return this.plain.slice(at, end);
    const name = this.text(at, NAME_CHARS_MAX);
    if (name === null) throw this.format.refuse(`one of its ${this.what} does not end within ${NAME_CHARS_MAX} bytes`);
    if (hasControlCharacters(name))
      throw this.format.refuse(`one of its ${this.what} contains control characters: ${JSON.stringify(name)}`);
    return name;
  }

  private cutShort(): BpfmanError {
    return this.format.refuse(`it is cut short in its ${this.what}, of ${this.length} bytes`);
  }
}

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

  u32(at: number, ...values: number[]): void {
    for (const [index, value] of values.entries()) this.view.setUint32(at + 4 * index, value, this.littleEndian);
  }

  u64(at: number, value: number): void {
    this.view.setBigUint64(at, BigInt(value), this.littleEndian);
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
