/**
 * Checks that a database is complete before SQLite opens it. SQLite silently treats a missing file as an empty database
 * and a missing WAL as one without commits, and silently drops everything after a damaged frame.
 *
 * The evidence is the WAL index (`-shm`): its header contains the number of frames in the WAL, how many are
 * checkpointed, and the checksum of the last one. All frames are summed only if the WAL was modified after the index,
 * whose time each operation updates at its end. File formats: https://www.sqlite.org/walformat.html.
 */
import * as fs from "../../ffi/safe/file-system.ts";
import { BpfmanError } from "../errors/error.ts";
import { errnoName } from "../errors/sys-failure.ts";

/** The files of a database, as lstat(2) reports them. */
export interface Files {
  readonly main: fs.Stats | undefined;
  readonly log: fs.Stats | undefined;
  readonly index: fs.Stats | undefined;
}

const LOG_HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
/** The last bit gives the byte order of the checksums. */
const LOG_MAGIC = 0x377f0682;
/** One of two copies of the header, which are followed by the number of checkpointed frames. */
const INDEX_HEAD_BYTES = 48;
const INDEX_BYTES = 2 * INDEX_HEAD_BYTES + 4;
/** A file that changes while the WAL is read belongs to an active process: read again. */
const LOOKS_MAX = 50;

interface Index {
  readonly bytes: Uint8Array;
  /** Frames in the WAL up to the last commit. */
  readonly frames: number;
  /** How many of them are checkpointed into the main file. */
  readonly inMain: number;
  /** Database size in pages. */
  readonly pages: number;
  readonly pageBytes: number;
  readonly salts: Uint8Array;
  readonly checksum: readonly [number, number];
  /** When it was last written, or an operation last ended. */
  readonly changedAt: bigint;
}

/**
 * Throws STATE_LOST if part of a database is missing or damaged; changes nothing. `isLive` reports whether state of
 * this boot depends on it: after a power failure, the index may count frames that never reached the disk.
 */
export function requireWhole(path: string, files: Files, isLive: () => boolean): void {
  try {
    check(path, files, isLive);
  } finally {
    closeUnusedIndexes();
  }
}

function check(path: string, { main, log, index }: Files, isLive: () => boolean): void {
  if ((main?.size ?? 0) === 0) {
    const what = main === undefined ? "it is missing" : "it is empty";
    if (log !== undefined && log.size > LOG_HEADER_BYTES) throw lost(path, `${what}, and its log "${path}-wal" is not`);
    if ((readIndex(path, index)?.pages ?? 0) > 0 && isLive()) {
      throw lost(path, `${what}, and "${path}-shm" tells of one`);
    }
    return;
  }
  const problem = logProblem(path, { main, log, index });
  if (problem !== null && isLive()) throw lost(path, problem);
}

function logProblem(path: string, files: Files): string | null {
  let before = { index: readIndex(path, files.index), log: files.log };
  for (let look = 1; look <= LOOKS_MAX; look++) {
    const problem = problemWith(path, before.index);
    if (problem === null) return null;
    const after = { index: readIndex(path, fs.lstatSync(`${path}-shm`)), log: fs.lstatSync(`${path}-wal`) };
    if (sameIndex(before.index, after.index) && sameLog(before.log, after.log)) return problem;
    before = after;
  }
  return null;
}

const sameIndex = (a: Index | null, b: Index | null): boolean =>
  a === b || (a !== null && b !== null && sameBytes(a.bytes, b.bytes));

/** The last writer to close empties a WAL that is checkpointed, and leaves the index as it is. */
const sameLog = (a: fs.Stats | undefined, b: fs.Stats | undefined): boolean =>
  a?.ino === b?.ino && a?.size === b?.size && a?.changedAt() === b?.changedAt();

function problemWith(path: string, index: Index | null): string | null {
  if (index === null || index.frames === 0) return null;
  const name = `its log "${path}-wal"`;
  const pending = index.frames > index.inMain;
  const log = openLog(path);
  if (log === null) return pending ? `${name} is missing` : null;
  try {
    const head = fs.readAtSync(log, 0, LOG_HEADER_BYTES);
    // A WAL without a header counts as empty, which is valid if everything is checkpointed.
    if (!isHead(head)) return pending ? `${name} is empty or damaged` : null;
    if (!sameBytes(head.subarray(16, 24), index.salts)) {
      return pending && !isNewer(head, index) ? `${name} is not the one that the database was last used with` : null;
    }
    const isWhole = fs.fstatSync(log).changedAt() <= index.changedAt ? endsAs(log, index) : addsUpTo(log, index);
    return isWhole ? null : `${name} is damaged`;
  } finally {
    // This releases no locks: SQLite has none on the WAL.
    fs.closeSync(log);
  }
}

/** Returns null if it does not exist. */
function openLog(path: string): number | null {
  try {
    return fs.openSync(`${path}-wal`, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW);
  } catch (thrown) {
    if (errnoName(thrown) === "ENOENT") return null;
    throw thrown;
  }
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, index) => byte === b[index]);

function isHead(bytes: Uint8Array): boolean {
  if (bytes.length < LOG_HEADER_BYTES) return false;
  const head = viewOf(bytes);
  const magic = head.getUint32(0);
  if (magic >>> 1 !== LOG_MAGIC >>> 1) return false;
  const [a, b] = checksum(bytes, { from: 0, to: 24, start: [0, 0], little: (magic & 1) === 0 });
  return a === head.getUint32(24) && b === head.getUint32(28);
}

/** The first salt is incremented each time the WAL restarts. */
const isNewer = (head: Uint8Array, { salts }: Index): boolean =>
  ((viewOf(head).getUint32(16) - viewOf(salts).getUint32(0)) | 0) > 0;

/** Reports whether the last frame counted by the index exists and has the expected checksum. */
function endsAs(log: number, { frames, pageBytes, salts, checksum: end }: Index): boolean {
  const frameBytes = FRAME_HEADER_BYTES + pageBytes;
  const last = fs.readAtSync(log, LOG_HEADER_BYTES + (frames - 1) * frameBytes, frameBytes);
  if (last.length < frameBytes || !sameBytes(last.subarray(8, 16), salts)) return false;
  const frame = viewOf(last);
  return frame.getUint32(16) === end[0] && frame.getUint32(20) === end[1];
}

/** Reports whether all frames counted by the index exist and their checksums chain up to the expected one. */
function addsUpTo(log: number, { frames, pageBytes, salts, checksum: end }: Index): boolean {
  const frameBytes = FRAME_HEADER_BYTES + pageBytes;
  const bytes = fs.readAtSync(log, 0, LOG_HEADER_BYTES + frames * frameBytes);
  if (bytes.length < LOG_HEADER_BYTES + frames * frameBytes) return false;
  const view = viewOf(bytes);
  const little = (view.getUint32(0) & 1) === 0;
  let sum: readonly [number, number] = [view.getUint32(24), view.getUint32(28)];
  for (let at = LOG_HEADER_BYTES; at < bytes.length; at += frameBytes) {
    sum = checksum(bytes, { from: at, to: at + 8, start: sum, little });
    sum = checksum(bytes, { from: at + FRAME_HEADER_BYTES, to: at + frameBytes, start: sum, little });
    if (!sameBytes(bytes.subarray(at + 8, at + 16), salts)) return false;
    if (sum[0] !== view.getUint32(at + 16) || sum[1] !== view.getUint32(at + 20)) return false;
  }
  return sum[0] === end[0] && sum[1] === end[1];
}

interface Span {
  /** In bytes; multiples of four. */
  readonly from: number;
  readonly to: number;
  readonly start: readonly [number, number];
  readonly little: boolean;
}

/** SQLite's checksum over pairs of words, in the byte order of the machine that created the WAL. */
function checksum(bytes: Uint8Array, { from, to, start, little }: Span): readonly [number, number] {
  let [a, b] = start;
  if (little) {
    // Fast path for little-endian data, which all supported machines write.
    const words = new Int32Array(bytes.buffer, bytes.byteOffset + from, (to - from) / 4);
    for (let at = 0; at < words.length; at += 2) {
      a = (a + (words[at] as number) + b) | 0;
      b = (b + (words[at + 1] as number) + a) | 0;
    }
  } else {
    const view = viewOf(bytes);
    for (let at = from; at < to; at += 8) {
      a = (a + view.getInt32(at) + b) | 0;
      b = (b + view.getInt32(at + 4) + a) | 0;
    }
  }
  return [a >>> 0, b >>> 0];
}

/**
 * Kept open while this process has a connection: closing any descriptor of the index would release the POSIX advisory
 * locks the process holds on it, and other processes would consider the connection dead.
 */
const openIndexes = new Map<string, number>();
let connections = 0;

/** Called for each new connection. Returns a function to call when it is closed. */
export function countConnection(): () => void {
  connections++;
  let isOpen = true;
  return () => {
    if (isOpen) connections--;
    isOpen = false;
    closeUnusedIndexes();
  };
}

function closeUnusedIndexes(): void {
  if (connections > 0) return;
  for (const fd of openIndexes.values()) fs.closeSync(fd);
  openIndexes.clear();
}

/**
 * Called at the end of an operation, when the WAL is known to be intact: until it changes, nobody has to read all of
 * it.
 */
export function vouchForLog(path: string): void {
  try {
    fs.touchSync(`${path}-shm`);
  } catch {
    // If it fails, the next command reads the WAL.
  }
}

/** Returns null if there is no complete index. The WAL is then used as it is. */
function readIndex(path: string, stats: fs.Stats | undefined): Index | null {
  if (stats === undefined || stats.size < INDEX_BYTES) return null;
  const key = `${stats.dev}:${stats.ino}`;
  let fd = openIndexes.get(key);
  if (fd === undefined) {
    fd = fs.openSync(`${path}-shm`, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW);
    openIndexes.set(key, fd);
  }
  const bytes = fs.readAtSync(fd, 0, INDEX_BYTES);
  if (bytes.length < INDEX_BYTES) return null;
  const head = bytes.subarray(0, INDEX_HEAD_BYTES);
  if (!sameBytes(head, bytes.subarray(INDEX_HEAD_BYTES, 2 * INDEX_HEAD_BYTES))) return null;
  const view = viewOf(bytes);
  const word = (at: number) => view.getUint32(at, true);
  const [a, b] = checksum(bytes, { from: 0, to: 40, start: [0, 0], little: true });
  // All zero: left by a process that was just creating it.
  if (word(0) === 0 || a !== word(40) || b !== word(44)) return null;
  const size = view.getUint16(14, true);
  return {
    bytes,
    frames: word(16),
    inMain: word(2 * INDEX_HEAD_BYTES),
    pages: word(20),
    // The largest page size does not fit into 16 bits.
    pageBytes: (size & 0xfe00) + ((size & 1) << 16),
    checksum: [word(24), word(28)],
    salts: bytes.subarray(32, 40),
    changedAt: stats.modifiedAt(),
  };
}

const lost = (path: string, problem: string): BpfmanError =>
  new BpfmanError("STATE_LOST", `open database "${path}": ${problem}`, {
    details: { path },
    hint:
      `nothing was changed; put "${path}" and "${path}-wal" back together as they were; or run: bpfman repair, which writes a ` +
      "new one from the pins and the kernel, while programs keep running",
  });
