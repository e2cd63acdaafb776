/** Reads untrusted tar archives (POSIX.1-2017 pax, ustar, GNU long names) in memory. */
import { LAYER_ENTRIES_MAX } from "../domain/limits.ts";

export interface TarFile {
  /** Without leading `./` and `/`. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

const BLOCK = 512;
/** Largest name or set of pax records; PATH_MAX is 4096. */
const EXTENSION_BYTES_MAX = 64 * 1024;

type Refuse = (reason: string) => Error;

/**
 * Returns the regular files of an archive; their bytes are views of `archive`. Skips directories. Rejects links,
 * devices and names that lead outside, since no legitimate image has them. `refuse` creates the error.
 */
export function readTar(archive: Uint8Array, refuse: Refuse): TarFile[] {
  const files: TarFile[] = [];
  let extensions: ReadonlyMap<string, string> = new Map();
  let entries = 0;
  for (let at = 0; at + BLOCK <= archive.length; ) {
    const header = archive.subarray(at, at + BLOCK);
    if (header.every((byte) => byte === 0)) return files;
    if (++entries > LAYER_ENTRIES_MAX) throw refuse(`it has more than ${LAYER_ENTRIES_MAX} entries`);
    checkSum(header, refuse);

    const size = sizeOf(extensions.get("size"), header, refuse);
    const content = archive.subarray(at + BLOCK, at + BLOCK + size);
    if (content.length < size) throw refuse("it ends in the middle of a file");
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;

    const type = String.fromCharCode(header[156] ?? 0);
    if (type === "x" || type === "L" || type === "K" || type === "g") {
      if (size > EXTENSION_BYTES_MAX) throw refuse("it has an overlong name");
      const told = type === "x" ? paxRecords(content, refuse) : new Map([["path", text(content)]]);
      if (type === "x" || type === "L") extensions = new Map([...extensions, ...told]);
      continue;
    }
    const name = plainName(extensions.get("path") ?? nameIn(header), refuse);
    if ([...extensions.keys()].some((key) => key.startsWith("GNU.sparse"))) throw refuse(`"${name}" is sparse`);
    extensions = new Map();
    if (type === "0" || type === "\0" || type === "7") {
      // In the oldest archives, a name that ends in a slash is a directory.
      if (!name.endsWith("/")) files.push({ name, bytes: content });
    } else if (type !== "5") throw refuse(`"${name}" is ${KINDS[type] ?? "an entry of unknown type"}`);
  }
  if (archive.length === 0) throw refuse("it is empty");
  return files;
}

const KINDS: Readonly<Record<string, string>> = {
  1: "a hard link",
  2: "a symbolic link",
  3: "a character device",
  4: "a block device",
  6: "a FIFO",
  S: "sparse",
};

/** Verifies a header's checksum, the sum of its bytes with the checksum field counted as spaces. */
function checkSum(header: Uint8Array, refuse: Refuse): void {
  let sum = 0;
  header.forEach((byte, index) => {
    sum += index >= 148 && index < 156 ? 0x20 : byte;
  });
  if (sum !== octal(header.subarray(148, 156))) throw refuse("it is not a tar archive, or it is damaged");
}

/** Parses digits up to a space or NUL; NaN if there are none. */
function octal(field: Uint8Array): number {
  const digits = text(field).trim();
  return /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number.NaN;
}

function sizeOf(pax: string | undefined, header: Uint8Array, refuse: Refuse): number {
  const field = header.subarray(124, 136);
  let size: number;
  if (pax !== undefined) size = /^[0-9]{1,15}$/.test(pax) ? Number(pax) : Number.NaN;
  // GNU encodes sizes above 8 GiB in binary; nothing that large fits in memory.
  else size = (field[0] ?? 0) & 0x80 ? Number.NaN : octal(field);
  if (!Number.isSafeInteger(size)) throw refuse("an entry has no valid size");
  return size;
}

/** Decodes text up to the first NUL. */
function text(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}

function nameIn(header: Uint8Array): string {
  const isUstar = text(header.subarray(257, 262)) === "ustar";
  const prefix = isUstar && header[262] === 0 ? text(header.subarray(345, 500)) : "";
  const name = text(header.subarray(0, 100));
  return prefix === "" ? name : `${prefix}/${name}`;
}

function plainName(name: string, refuse: Refuse): string {
  if (name.split("/").includes("..")) throw refuse(`"${name}" points outside of it`);
  return name.replace(/^(\.?\/)+/, "");
}

/**
 * `LENGTH KEY=VALUE
 * `, where the length is that of the whole record.
 */
function paxRecords(bytes: Uint8Array, refuse: Refuse): Map<string, string> {
  const records = new Map<string, string>();
  for (let at = 0; at < bytes.length; ) {
    const [all = "", digits = ""] = /^([0-9]{1,6}) /.exec(text(bytes.subarray(at, at + 8))) ?? [];
    const length = Number(digits);
    const record = bytes.subarray(at + all.length, at + length);
    const equals = record.indexOf(0x3d);
    if (length <= all.length || at + length > bytes.length || equals < 1 || record.at(-1) !== 0x0a) {
      throw refuse("it has a pax header that cannot be read");
    }
    const decode = (part: Uint8Array) => new TextDecoder().decode(part);
    records.set(decode(record.subarray(0, equals)), decode(record.subarray(equals + 1, -1)));
    at += length;
  }
  return records;
}
