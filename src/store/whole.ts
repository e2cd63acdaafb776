/**
 * Whether a database is all there, found out before SQLite opens it: SQLite takes a missing file for an empty database, a
 * missing log for one without commits, and drops what follows a damaged place in it, each without a word.
 *
 * The log's index (`-shm`) is the witness: its head says how many frames the log has, how many of them are in the main
 * file already, and with which checksum the last one ends. All frames are summed up only when the log was changed after
 * that: each operation ends by setting the index's time. File formats: https://www.sqlite.org/walformat.html.
 */
import * as fs from "../../ffi/safe/file-system.ts";
import { BpfmanError } from "../errors/error.ts";
import { errnoName } from "../errors/sys-failure.ts";

/** What is there of a database, as lstat(2) has it. */
export interface Files {
  readonly main: fs.Stats | undefined;
  readonly log: fs.Stats | undefined;
  readonly index: fs.Stats | undefined;
}

const LOG_HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
/** Its last bit says whose byte order the checksums have. */
const LOG_MAGIC = 0x377f0682;
/** One copy of the head, of which there are two; behind them stands the number of frames that are in the main file. */
const INDEX_HEAD_BYTES = 48;
const INDEX_BYTES = 2 * INDEX_HEAD_BYTES + 4;
/** A head that changes while the log is read belongs to a process that works on it: look again. */
const LOOKS_MAX = 50;

interface Index {
  readonly bytes: Uint8Array;
  /** Frames of the log up to the last commit. */
  readonly frames: number;
  /** How many of them are in the main file. */
  readonly inMain: number;
  /** Pages of the database. */
  readonly pages: number;
  readonly pageBytes: number;
  readonly salts: Uint8Array;
  readonly checksum: readonly [number, number];
  /** When it was last written to, or an operation ended. */
  readonly changedAt: bigint;
}

/**
 * Throws STATE_LOST for a database of which a part is missing or damaged; changes nothing. `isLive` says whether something
 * of this boot is at stake: after a power failure the index may tell of frames that never reached the disk.
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
  for (let look = 1; look <= LOOKS_MAX; look++) {
    const before = readIndex(path, files.index);
    const problem = problemWith(path, before);
    if (problem === null) return null;
    const after = readIndex(path, fs.lstatSync(`${path}-shm`));
    if (before === after || (before !== null && after !== null && sameBytes(before.bytes, after.bytes))) return problem;
  }
  return null;
}

function problemWith(path: string, index: Index | null): string | null {
  if (index === null || index.frames === 0) return null;
  const name = `its log "${path}-wal"`;
  const pending = index.frames > index.inMain;
  const log = openLog(path);
  if (log === null) return pending ? `${name} is missing` : null;
  try {
    const head = fs.readAtSync(log, 0, LOG_HEADER_BYTES);
    // A log without a head counts as empty, which it may be when all of it is in the main file.
    if (!isHead(head)) return pending ? `${name} is empty or damaged` : null;
    if (!sameBytes(head.subarray(16, 24), index.salts)) {
      return pending && !isNewer(head, index) ? `${name} is not the one that the database was last used with` : null;
    }
    const isWhole = fs.fstatSync(log).changedAt() <= index.changedAt ? endsAs(log, index) : addsUpTo(log, index);
    return isWhole ? null : `${name} is damaged`;
  } finally {
    // That drops no locks: SQLite has none on the log.
    fs.closeSync(log);
  }
}

/** Null when it is not there. */
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

/** The first salt grows by one each time the log begins anew. */
const isNewer = (head: Uint8Array, { salts }: Index): boolean =>
  ((viewOf(head).getUint32(16) - viewOf(salts).getUint32(0)) | 0) > 0;

/** Whether the last frame that the index counts is there, with the checksum that it has. */
function endsAs(log: number, { frames, pageBytes, salts, checksum: end }: Index): boolean {
  const frameBytes = FRAME_HEADER_BYTES + pageBytes;
  const last = fs.readAtSync(log, LOG_HEADER_BYTES + (frames - 1) * frameBytes, frameBytes);
  if (last.length < frameBytes || !sameBytes(last.subarray(8, 16), salts)) return false;
  const frame = viewOf(last);
  return frame.getUint32(16) === end[0] && frame.getUint32(20) === end[1];
}

/** Whether the frames that the index counts are all there, and follow from one another to the checksum that it has. */
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
  /** Bytes; whole words, from a multiple of four. */
  readonly from: number;
  readonly to: number;
  readonly start: readonly [number, number];
  readonly little: boolean;
}

/** SQLite's sum over pairs of words, in the byte order of the machine that made the log. */
function checksum(bytes: Uint8Array, { from, to, start, little }: Span): readonly [number, number] {
  let [a, b] = start;
  if (little) {
    // The fast way, on the machines that there are: they are little-endian, too.
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
 * Kept open for as long as this process has a connection: closing any descriptor of the index would drop the locks that it
 * holds there (POSIX advisory locks), and another process would take the connection for dead.
 */
const openIndexes = new Map<string, number>();
let connections = 0;

/** To be called for each connection; gives what is to be called when it is closed. */
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

/** An operation is over, and the log as it should be: until it is changed again, nobody has to read all of it. */
export function vouchForLog(path: string): void {
  try {
    fs.touchSync(`${path}-shm`);
  } catch {
    // Then the next one reads it.
  }
}

/** Null when there is none, or nobody finished one: then the log speaks for itself. */
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
  // All zero is what a process left that was just making it.
  if (word(0) === 0 || a !== word(40) || b !== word(44)) return null;
  const size = view.getUint16(14, true);
  return {
    bytes,
    frames: word(16),
    inMain: word(2 * INDEX_HEAD_BYTES),
    pages: word(20),
    // The largest size has no room in 16 bits.
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
      `nothing was changed; put "${path}" and "${path}-wal" back together as they were; to go on without what they recorded, ` +
      `remove "${path}-wal" and "${path}-shm": those programs keep running, but bpfman no longer knows them`,
  });
