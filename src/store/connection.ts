import { constants, Database } from "bun:sqlite";
import * as fs from "../../ffi/safe/file-system.ts";
import { BpfmanError } from "../errors/error.ts";
import { errnoName } from "../errors/sys-failure.ts";
import { isOwnLink, requireOwn } from "../errors/ownership.ts";
import { databaseFailure, fileFailure, named } from "./store-failure.ts";
import { migrate, ownVersion, SCHEMA, type Schema } from "./migrate.ts";
import { requireWhole } from "./whole.ts";

/** The log's length at which a commit works it off, in pages of 4 KiB: that of some ten commands. */
const WAL_PAGES_MAX = 100;

export interface OpenOptions {
  /** Where the database is or, for a writer, will be. */
  readonly path: string;
  /** How long SQLite waits for other processes, in milliseconds. */
  readonly busyTimeoutMs: number;
  /**
   * Whether this boot has something that the database may know of, asked when a part of it seems to be missing. Yes when
   * absent.
   */
  readonly isLive?: () => boolean;
  /** Only tests give another than the product's. */
  readonly schema?: Schema;
}

/**
 * Opens the database for writing: makes its folder (0700) and file (0600) when they are missing, and applies what is due
 * of the schema. No other lock than SQLite's own is needed for that. Throws DATABASE_UNUSABLE, SCHEMA_TOO_NEW,
 * LOCK_TIMEOUT.
 */
export function openWriter(options: OpenOptions): Database {
  const { path, schema = SCHEMA } = options;
  createFile(options);
  return configured({ path, file: path, flags: constants.SQLITE_OPEN_READWRITE }, (database) => {
    // The time-out stands before WAL: changing the journal mode takes locks as well.
    database.run(`PRAGMA busy_timeout = ${options.busyTimeoutMs}`);
    // Nothing is written to a database that is newer than we are, or another program's: the version comes first.
    const version = ownVersion(database, schema, path);
    // Commits do not wait for the disk, but for the last of an operation (store.ts). Who opens the database first reads
    // the log again, so it is kept short, and cut to nothing when it was worked off.
    database.run(`PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;
      PRAGMA wal_autocheckpoint = ${WAL_PAGES_MAX}; PRAGMA journal_size_limit = 0`);
    // The log and its index stay when the last writer leaves, so that readers find them and never make files.
    database.fileControl(constants.SQLITE_FCNTL_PERSIST_WAL, 1);
    if (version === schema.version) return;
    migrate(database, schema, path);
    // So that the file says by itself what it is, whatever becomes of its log.
    database.run("PRAGMA wal_checkpoint(PASSIVE)");
  });
}

/**
 * Opens the database for reading, which changes nothing: a file that is missing or has no schema yet is read as an empty
 * database in memory, and one with an older schema as a copy in memory that is brought up to date.
 */
export function openReader(options: OpenOptions): Database {
  const { path, schema = SCHEMA } = options;
  if (!isThere(options)) return inMemory(new Database(":memory:"), schema, path);
  let version = 0;
  const prepare = (database: Database): void => {
    // Needed by readers as well: the first one after a crash has to wait while another rebuilds the WAL's index.
    database.run(`PRAGMA busy_timeout = ${options.busyTimeoutMs}`);
    version = ownVersion(database, schema, path);
  };
  const database = openUnchanging(path, prepare);
  if (version === schema.version) return database;
  return named("read", path, () => {
    const copy = version === 0 ? new Database(":memory:") : copyOf(database);
    database.close();
    return inMemory(copy, schema, path);
  });
}

/** Opens read-only; on a file system where WAL's side files cannot be made, as the file that nobody can change. */
function openUnchanging(path: string, prepare: (database: Database) => void): Database {
  try {
    return configured({ path, file: path, flags: constants.SQLITE_OPEN_READONLY }, prepare);
  } catch (thrown) {
    const sqlite = thrown instanceof BpfmanError ? String(thrown.details.sqlite) : "";
    const frozen = sqlite.startsWith("SQLITE_CANTOPEN") || sqlite.startsWith("SQLITE_READONLY");
    if (!frozen || fs.existsSync(`${path}-wal`)) throw thrown;
    const file = `file:${path.split("/").map(encodeURIComponent).join("/")}?immutable=1`;
    return configured({ path, file, flags: constants.SQLITE_OPEN_READONLY | constants.SQLITE_OPEN_URI }, prepare);
  }
}

function inMemory(database: Database, schema: Schema, path: string): Database {
  migrate(database, schema, path);
  database.run("PRAGMA query_only = ON");
  return database;
}

function copyOf(database: Database): Database {
  const bytes = database.serialize();
  // File format versions (offsets 18, 19 of the header): a database in memory cannot be in WAL mode.
  bytes[18] = 1;
  bytes[19] = 1;
  return Database.deserialize(bytes);
}

interface Target {
  /** As it is called in errors. */
  readonly path: string;
  /** A file name, or a URI of SQLite. */
  readonly file: string;
  /** SQLITE_OPEN_* */
  readonly flags: number;
}

function configured({ path, file, flags }: Target, prepare: (database: Database) => void): Database {
  let database: Database | null = null;
  try {
    database = new Database(file, flags);
    prepare(database);
    return database;
  } catch (thrown) {
    database?.close();
    throw databaseFailure(thrown, "open database", path);
  }
}

function createFile(options: OpenOptions): void {
  const { path } = options;
  const { O_WRONLY, O_CREAT, O_EXCL, R_OK, W_OK } = fs.constants;
  try {
    fs.mkdirSync(directoryOf(path), { recursive: true, mode: 0o700 });
    // SQLite would open a file that cannot be written to all the same, and fail in the middle of the work.
    if (isThere(options)) fs.accessSync(path, R_OK | W_OK);
    // Only a new file is opened here: closing a descriptor of the database would drop the locks that this process holds
    // on it (POSIX advisory locks).
    else fs.closeSync(fs.openSync(path, O_WRONLY | O_CREAT | O_EXCL, 0o600));
  } catch (thrown) {
    // Another process was faster.
    if (errnoName(thrown) === "EEXIST" && isThere(options)) return;
    throw thrown instanceof BpfmanError ? thrown : fileFailure(thrown, "open database", path);
  }
}

const directoryOf = (path: string): string => path.slice(0, path.lastIndexOf("/")) || "/";

/**
 * Whether there is a database at the path: all of it, in a directory and files that nobody else can change. Anything but
 * regular files is refused before SQLite waits for them or says "disk I/O error". Throws DATABASE_UNUSABLE, STATE_LOST.
 */
export function isThere({ path, isLive = () => true }: OpenOptions): boolean {
  try {
    const directory = ownDirectory(directoryOf(path));
    if (directory !== undefined) requireOwn({ ...OWN, ...directoryAt(path) }, directory);
    // The main file last: while another process makes the database, it is there before its log has something in it.
    const [index, log, , main] = ["-shm", "-wal", "-journal", ""].map((ending) => {
      const stats = fs.lstatSync(`${path}${ending}`);
      if (stats !== undefined) requireOwn({ ...OWN, path: `${path}${ending}` }, stats);
      return stats;
    });
    requireWhole(path, { main, log, index }, isLive);
    if (main !== undefined) return true;
  } catch (thrown) {
    throw thrown instanceof BpfmanError ? thrown : fileFailure(thrown, "open database", path);
  }
  if (!endsAtFile(path)) return false;
  throw fileFailure(new Error("there is a file where a directory should be"), "open database", path);
}

const OWN = {
  action: "open database",
  kind: "file",
  code: "DATABASE_UNUSABLE",
  otherwise: "give another --state-dir",
} as const;
const directoryAt = (path: string) =>
  ({ action: "use the state directory", kind: "directory", path: directoryOf(path) }) as const;

/** Follows a symbolic link of one's own. */
function ownDirectory(path: string): fs.Stats | undefined {
  const stats = fs.lstatSync(path);
  if (!isOwnLink(stats)) return stats;
  const target = fs.statSync(path);
  if (target !== undefined) return target;
  // Not an empty database: what it leads to may be on a disk that is not there yet.
  throw new BpfmanError("DATABASE_UNUSABLE", `use the state directory "${path}": it is a dangling symbolic link`, {
    details: { path },
    hint: "make the directory it points to, or give another --state-dir",
  });
}

/** Whether the path goes on behind a file: it is not merely missing, then, but can never be there. */
function endsAtFile(path: string): boolean {
  const folder = path.slice(0, path.lastIndexOf("/"));
  if (folder === "") return false;
  const stat = fs.statSync(folder);
  return stat === undefined ? endsAtFile(folder) : stat.isFile();
}
