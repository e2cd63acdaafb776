/** Splits bytes into frames: `Name: value` header lines, an empty line, and Content-Length bytes of body. */
import { FRAME_BYTES_MAX, HEADER_BYTES_MAX } from "../src/domain/limits.ts";

/** `broken`: the start of the next frame is unknown, so the rest of the input cannot be decoded. */
export type Frame =
  | { readonly kind: "body"; readonly bytes: Uint8Array }
  | { readonly kind: "broken"; readonly reason: string };

const LF = 0x0a;
/** How much of a malformed header line an error quotes. */
const LINE_SHOWN_BYTES = 40;

/** The header lines read so far. */
interface Header {
  readonly bytes: number;
  /** The Content-Length. */
  readonly length: number | null;
}
const NOTHING_YET: Header = { bytes: 0, length: null };

/** Buffers input that is not a whole frame yet: at most the maximum size of a header plus a body. */
export class FrameDecoder {
  #chunks: Uint8Array[] = [];
  #held = 0;
  #header = NOTHING_YET;
  /** Size of the body being received, in bytes; null while reading the header. */
  #bodyBytes: number | null = null;
  #broken = false;

  push(chunk: Uint8Array): void {
    if (chunk.length === 0 || this.#broken) return;
    this.#chunks.push(chunk);
    this.#held += chunk.length;
  }

  /** Returns the next frame, or null until more bytes arrive. There are no more after a broken one. */
  next(): Frame | null {
    if (this.#broken) return null;
    if (this.#bodyBytes === null) {
      const reason = this.#readHeader();
      if (reason !== null) return this.#breakOff(reason);
    }
    if (this.#bodyBytes === null || this.#held < this.#bodyBytes) return null;
    const bytes = this.#take(this.#bodyBytes);
    this.#bodyBytes = null;
    return { kind: "body", bytes };
  }

  /** Returns null if the input may end here, else a frame that says what is incomplete. */
  end(): Frame | null {
    if (this.#broken || (this.#held === 0 && this.#bodyBytes === null && this.#header.bytes === 0)) return null;
    return this.#breakOff("the input ended in the middle of a frame");
  }

  #breakOff(reason: string): Frame {
    this.#broken = true;
    this.#chunks = [];
    return { kind: "broken", reason };
  }

  /**
   * Reads the available header lines. Reports a malformed line immediately: a client that sends messages without
   * headers waits for an answer and would never send the empty line. Returns null if there is no error so far.
   */
  #readHeader(): string | null {
    for (;;) {
      const rest = HEADER_BYTES_MAX - this.#header.bytes;
      const start = this.#peek(rest);
      const end = start.indexOf(LF);
      if (end < 0) {
        if (this.#held > rest) return `the header has more than ${HEADER_BYTES_MAX} bytes`;
        const line = new TextDecoder("latin1").decode(start.subarray(0, LINE_SHOWN_BYTES));
        return line === "" || /^[A-Za-z0-9\r-]/.test(line) ? null : noHeader(line);
      }
      const line = new TextDecoder("latin1").decode(this.#take(end + 1)).replace(/\r?\n$/, "");
      const { bytes, length: before } = this.#header;
      if (line === "") {
        this.#header = NOTHING_YET;
        this.#bodyBytes = before;
        return before === null ? "a header without Content-Length" : null;
      }
      const length = readLine(line, before);
      if (typeof length === "string") return length;
      this.#header = { bytes: bytes + end + 1, length };
    }
  }

  /** Returns the first buffered bytes as one contiguous array. */
  #peek(count: number): Uint8Array {
    const [first] = this.#chunks;
    if (first === undefined) return new Uint8Array(0);
    if (this.#chunks.length === 1 || first.length >= count) return first.subarray(0, count);
    let seen = 0;
    const few = this.#chunks.findIndex((chunk) => {
      seen += chunk.length;
      return seen >= count;
    });
    const joined = Buffer.concat(few < 0 ? this.#chunks : this.#chunks.slice(0, few + 1));
    this.#chunks.splice(0, few < 0 ? this.#chunks.length : few + 1, joined);
    return joined.subarray(0, count);
  }

  #take(count: number): Uint8Array {
    const taken: Uint8Array[] = [];
    let missing = count;
    while (missing > 0) {
      const [first = new Uint8Array(0)] = this.#chunks;
      if (first.length > missing) {
        taken.push(first.subarray(0, missing));
        this.#chunks[0] = first.subarray(missing);
        break;
      }
      taken.push(first);
      missing -= first.length;
      this.#chunks.shift();
    }
    this.#held -= count;
    return taken.length === 1 ? (taken[0] as Uint8Array) : Buffer.concat(taken);
  }
}

const noHeader = (line: string): string => {
  const wanted = 'each message begins with "Content-Length: N" and an empty line';
  return `the header is missing: ${wanted}, not with ${line.slice(0, LINE_SHOWN_BYTES)}`;
};

/** Returns the Content-Length after one more header line, or an error message for the line. */
function readLine(line: string, before: number | null): number | string | null {
  const [, name = "", value = ""] = /^([A-Za-z0-9-]+)[ \t]*:[ \t]*(.*?)[ \t]*$/.exec(line) ?? [];
  if (name === "") return noHeader(line);
  if (name.toLowerCase() === "content-type" && /charset\s*=\s*"?(?!utf-?8\b)/i.test(value)) {
    return `only UTF-8 is supported, not "${value.slice(0, 80)}"`;
  }
  if (name.toLowerCase() !== "content-length") return before;
  if (!/^\d+$/.test(value)) return `Content-Length "${value.slice(0, LINE_SHOWN_BYTES)}" is not a number of bytes`;
  const length = Number(value);
  if (before !== null && length !== before) return "two different Content-Length headers";
  return length <= FRAME_BYTES_MAX ? length : `a frame of ${length} bytes is more than ${FRAME_BYTES_MAX}`;
}
