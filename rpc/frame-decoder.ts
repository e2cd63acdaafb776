/** Frames out of bytes: a header of `Name: value` lines, an empty line, and as many bytes as Content-Length says. */
import { FRAME_BYTES_MAX, HEADER_BYTES_MAX } from "../src/domain/limits.ts";

/** `broken`: nothing that follows can be understood, since nobody knows where the next frame begins. */
export type Frame =
  | { readonly kind: "body"; readonly bytes: Uint8Array }
  | { readonly kind: "broken"; readonly reason: string };

const LF = 0x0a;
const CR = 0x0d;

/** Holds what has come in and is not a whole frame yet, which is never more than a header and a body may have. */
export class FrameDecoder {
  #chunks: Uint8Array[] = [];
  #held = 0;
  /** Bytes of the body that is coming in; null while the header is. */
  #bodyBytes: number | null = null;
  #broken = false;

  push(chunk: Uint8Array): void {
    if (chunk.length === 0 || this.#broken) return;
    this.#chunks.push(chunk);
    this.#held += chunk.length;
  }

  /** The next frame, or null until there is more. After a broken one there are no more. */
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

  /** Whether the input may end here; if not, what is broken about it. */
  end(): Frame | null {
    if (this.#broken || (this.#held === 0 && this.#bodyBytes === null)) return null;
    return this.#breakOff("the input ended in the middle of a frame");
  }

  #breakOff(reason: string): Frame {
    this.#broken = true;
    this.#chunks = [];
    return { kind: "broken", reason };
  }

  /** Answers what is wrong with it; null when it is understood or not complete. */
  #readHeader(): string | null {
    const start = this.#peek(HEADER_BYTES_MAX);
    const end = headerEnd(start);
    if (end === null) {
      return this.#held > HEADER_BYTES_MAX ? `the header has more than ${HEADER_BYTES_MAX} bytes` : null;
    }
    const header = new TextDecoder("latin1").decode(this.#take(end));
    const length = contentLength(header);
    if (typeof length === "string") return length;
    this.#bodyBytes = length;
    return null;
  }

  /** The first bytes held, in one piece. */
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

/** Where the empty line ends; null when there is none. Lines end with LF, before which a CR may stand. */
function headerEnd(bytes: Uint8Array): number | null {
  for (let at = bytes.indexOf(LF); at >= 0; at = bytes.indexOf(LF, at + 1)) {
    if (at === 0 || (at === 1 && bytes[0] === CR)) return at + 1;
    if (bytes[at + 1] === LF) return at + 2;
    if (bytes[at + 1] === CR && bytes[at + 2] === LF) return at + 3;
  }
  return null;
}

/** The number that the header gives, or what is wrong with it. */
function contentLength(header: string): number | string {
  let length: number | null = null;
  for (const line of header.split("\n").map((each) => each.replace(/\r$/, ""))) {
    if (line === "") continue;
    const [, name = "", value = ""] = /^([A-Za-z0-9-]+)[ \t]*:[ \t]*(.*?)[ \t]*$/.exec(line) ?? [];
    if (name === "") return `"${line.slice(0, 40)}" is no header: "Content-Length: N" and an empty line are expected`;
    if (name.toLowerCase() === "content-type" && /charset\s*=\s*"?(?!utf-?8\b)/i.test(value)) {
      return `only UTF-8 is spoken here, not "${value.slice(0, 80)}"`;
    }
    if (name.toLowerCase() !== "content-length") continue;
    if (!/^\d+$/.test(value)) return `Content-Length "${value.slice(0, 40)}" is not a number of bytes`;
    if (length !== null && length !== Number(value)) return "two different Content-Length";
    length = Number(value);
  }
  if (length === null) return "a header without Content-Length";
  return length <= FRAME_BYTES_MAX ? length : `a frame of ${length} bytes is more than ${FRAME_BYTES_MAX}`;
}
