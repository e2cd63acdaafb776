/**
 * Creates a layer with one file, reproducible byte for byte: POSIX ustar (pax(1), IEEE Std 1003.1) with fixed times and
 * owners.
 */

const BLOCK = 512;
/** Longest name in a ustar header; longer ones get a pax header first. */
const NAME_BYTES_MAX = 100;
const MODE = 0o644;

export interface LayerFile {
  /** Without a directory. */
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Seconds since 1970. */
  readonly modifiedAt: number;
}

export interface Layer {
  readonly tar: Uint8Array;
  readonly packed: Uint8Array;
}

/**
 * Compresses with libdeflate, whose output depends only on its input; zlib variants adapt to the processor. The gzip
 * header contains neither a time nor a name.
 */
export function layerOf(file: LayerFile): Layer {
  const tar = tarOf(file);
  return { tar, packed: Bun.gzipSync(tar, { library: "libdeflate", level: 9 }) };
}

function tarOf({ name, bytes, modifiedAt }: LayerFile): Uint8Array<ArrayBuffer> {
  const encoded = new TextEncoder().encode(name);
  const member = { type: "0", modifiedAt };
  const parts =
    encoded.length <= NAME_BYTES_MAX
      ? [header({ ...member, name: encoded, size: bytes.length }), bytes]
      : longNamed(encoded, { ...member, bytes });
  const padded = parts.map((part) => Math.ceil(part.length / BLOCK) * BLOCK);
  const tar = new Uint8Array(padded.reduce((sum, length) => sum + length, 2 * BLOCK));
  let at = 0;
  for (const [index, part] of parts.entries()) {
    tar.set(part, at);
    at += padded[index] as number;
  }
  return tar;
}

/** A pax header with the full name, then the file under a truncated name. */
function longNamed(name: Uint8Array, file: { modifiedAt: number; bytes: Uint8Array; type: string }): Uint8Array[] {
  const record = paxRecord("path", name);
  const short = name.subarray(0, NAME_BYTES_MAX);
  return [
    header({
      name: new TextEncoder().encode("PaxHeader"),
      size: record.length,
      type: "x",
      modifiedAt: file.modifiedAt,
    }),
    record,
    header({ name: short, size: file.bytes.length, type: file.type, modifiedAt: file.modifiedAt }),
    file.bytes,
  ];
}

/**
 * `LENGTH KEY=VALUE
 * `, where the length includes itself.
 */
function paxRecord(key: string, value: Uint8Array): Uint8Array {
  const rest = key.length + value.length + 3;
  let length = rest + String(rest).length;
  length = rest + String(length).length;
  return Buffer.concat([Buffer.from(`${length} ${key}=`), value, Buffer.from("\n")]);
}

interface Member {
  readonly name: Uint8Array;
  /** Bytes. */
  readonly size: number;
  /** `0`: a file. `x`: a pax header for the next member. */
  readonly type: string;
  readonly modifiedAt: number;
}

function header({ name, size, type, modifiedAt }: Member): Uint8Array {
  const block = new Uint8Array(BLOCK);
  const text = (at: number, value: string) => block.set(new TextEncoder().encode(value), at);
  const octal = (at: number, digits: number, value: number) => text(at, value.toString(8).padStart(digits, "0"));
  block.set(name, 0);
  octal(100, 7, MODE);
  octal(108, 7, 0);
  octal(116, 7, 0);
  octal(124, 11, size);
  octal(136, 11, modifiedAt);
  text(148, " ".repeat(8));
  text(156, type);
  text(257, "ustar\x0000");
  const sum = block.reduce((total, byte) => total + byte, 0);
  octal(148, 6, sum);
  text(154, "\0 ");
  return block;
}
