import { printableJson } from "../domain/printable.ts";

const CHUNK_BYTES = 64 * 1024;
const ZERO = 0x30;
const MINUS = 0x2d;
const DOT = 0x2e;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** Digits of 2^53. */
const NUMBER_DIGITS_MAX = 16;
/** Copying more by a call takes less time than byte by byte. */
const COPIED_ONE_BY_ONE = 32;
const EIGHT_DIGITS = 100_000_000;
const encoder = new TextEncoder();

/** How many digits a number below 10^8 has. */
const digitsOf = (value: number): number =>
  value < 10_000
    ? value < 100
      ? value < 10
        ? 1
        : 2
      : value < 1000
        ? 3
        : 4
    : value < 1_000_000
      ? value < 100_000
        ? 5
        : 6
      : value < 10_000_000
        ? 7
        : 8;

/** Writes a number below 10^8 with that many digits; returns where they end. */
function writeDigits(bytes: Uint8Array, at: number, value: number, digits: number): number {
  let rest = value;
  for (let to = at + digits - 1; to >= at; to--) {
    const tens = (rest / 10) | 0;
    bytes[to] = ZERO + (rest - tens * 10);
    rest = tens;
  }
  return at + digits;
}

export interface JsonTextOptions {
  /** Receives the text in pieces of about 64 KiB, which are overwritten afterwards. Without it, all text is kept. */
  readonly flush?: (bytes: Uint8Array) => void;
  /** Integers that a double does not hold exactly become strings of digits, for parsers that have only doubles. */
  readonly quotesLargeIntegers?: boolean;
}

/** Text for the characters of a JSON string, with quotes; nothing in it affects a terminal. */
export const quoted = (text: string): string => printableJson(JSON.stringify(text));

/**
 * JSON text that is written piece by piece into one buffer, without an object for each value: a dump has millions of them.
 */
export class JsonText {
  readonly #flush: ((bytes: Uint8Array) => void) | null;
  readonly #quotesLarge: boolean;
  #bytes = new Uint8Array(CHUNK_BYTES);
  #length = 0;

  constructor({ flush, quotesLargeIntegers = false }: JsonTextOptions = {}) {
    this.#flush = flush ?? null;
    this.#quotesLarge = quotesLargeIntegers;
  }

  /** Makes room for that many bytes. */
  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    if (this.#flush !== null) this.flush();
    if (this.#length + bytes <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + bytes));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }

  /** Hands over what has been written since the last time. */
  flush(): void {
    const written = this.#bytes.subarray(0, this.#length);
    this.#length = 0;
    if (written.length > 0) this.#flush?.(written);
  }

  /** Appends bytes of JSON as they are: punctuation, names that were encoded before. */
  raw(text: Uint8Array): void {
    const { length } = text;
    this.#reserve(length);
    const bytes = this.#bytes;
    const to = this.#length;
    if (length > COPIED_ONE_BY_ONE) bytes.set(text, to);
    else for (let i = 0; i < length; i++) bytes[to + i] = text[i] as number;
    this.#length = to + length;
  }

  byte(code: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = code;
  }

  /** Appends JSON. */
  json(text: string): void {
    this.raw(encoder.encode(text));
  }

  /** Appends a text as a string. */
  string(text: string): void {
    this.json(quoted(text));
  }

  /**
   * Appends text that is at most `length` bytes long, up to its trailing NULs, if that needs no decoding and no escapes, as
   * names mostly do; else appends nothing and returns false.
   */
  plainText(from: DataView, at: number, length: number): boolean {
    let end = at + length;
    while (end > at && from.getUint8(end - 1) === 0) end--;
    this.#reserve(end - at + 2);
    const bytes = this.#bytes;
    let to = this.#length;
    bytes[to++] = QUOTE;
    for (let i = at; i < end; i++) {
      const code = from.getUint8(i);
      if (code < 0x20 || code > 0x7e || code === QUOTE || code === BACKSLASH) return false;
      bytes[to++] = code;
    }
    bytes[to++] = QUOTE;
    this.#length = to;
    return true;
  }

  /** Appends the IPv4 address at `at` as a string. */
  ipv4(from: DataView, at: number): void {
    this.byte(QUOTE);
    for (let i = 0; i < 4; i++) {
      if (i > 0) this.byte(DOT);
      this.integer(from.getUint8(at + i));
    }
    this.byte(QUOTE);
  }

  /** Appends an integer that a double holds exactly. */
  integer(value: number): void {
    this.#reserve(NUMBER_DIGITS_MAX + 1);
    const bytes = this.#bytes;
    let rest = value;
    if (rest < 0) {
      bytes[this.#length++] = MINUS;
      rest = -rest;
    }
    if (rest < EIGHT_DIGITS) {
      const small = rest | 0;
      const digits = digitsOf(small);
      this.#length = writeDigits(bytes, this.#length, small, digits);
      return;
    }
    const upper = Math.floor(rest / EIGHT_DIGITS) | 0;
    const lower = (rest - upper * EIGHT_DIGITS) | 0;
    // A double holds no more than sixteen digits exactly.
    const to = writeDigits(bytes, this.#length, upper, digitsOf(upper));
    this.#length = writeDigits(bytes, to, lower, 8);
  }

  /** Appends an integer of any size. */
  bigInteger(value: bigint): void {
    if (value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER) this.integer(Number(value));
    else this.json(this.#quotesLarge ? `"${value}"` : String(value));
  }

  /** Returns the text that was not handed over. */
  toString(): string {
    return new TextDecoder().decode(this.#bytes.subarray(0, this.#length));
  }
}
