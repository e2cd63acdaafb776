import { constants, Database, SQLiteError } from "bun:sqlite";
import * as fs from "../../ffi/safe/file-system.ts";
import { BpfmanError } from "../errors/error.ts";
import { errnoName } from "../errors/sys-failure.ts";
import { isOwnLink, requireOwn } from "../errors/ownership.ts";
import { databaseFailure, fileFailure, named } from "./store-failure.ts";
import { migrate, ownVersion, SCHEMA, type Schema } from "./migrate.ts";
import { requireWhole } from "./whole.ts";

/** WAL size that triggers a checkpoint, in pages of 4 KiB: about ten commands. */
const WAL_PAGES_MAX = 100;
/** More statements than there are. */
const STATEMENTS_MAX = 200;
/** Pause between attempts to switch to WAL mode. */
const WAL_PAUSE_MS = 5;

export interface OpenOptions {
  /** Where the database is or, for a writer, will be created. */
  readonly path: string;
  /** How long SQLite waits for other processes, in milliseconds. */
  readonly busyTimeoutMs: number;
  /**
   * Whether this boot has state that the database may describe; called if part of it seems to be missing. Defaults to
   * true.
   */
  readonly isLive?: () => boolean;
  /** Set only by tests. */
  readonly schema?: Schema;
}

/**
 * Opens the database for writing: creates its directory (0700) and file (0600) if they are missing, and applies pending
 * schema steps. SQLite's own locks are sufficient for that. Throws DATABASE_UNUSABLE, SCHEMA_TOO_NEW, LOCK_TIMEOUT.
 */
export function openWriter(options: OpenOptions): Database {
  const { path, schema = SCHEMA } = options;
  createFile(options);
  return configured({ path, file: path, flags: constants.SQLITE_OPEN_READWRITE }, (database) => {
    // Set the timeout before WAL mode: changing the journal mode takes locks as well.
    database.run(`PRAGMA busy_timeout = ${options.busyTimeoutMs}`);
    // Check the version first: nothing may be written to a newer database, or to another program's.
    const version = ownVersion(database, schema, path);
    // Commits do not wait for the disk; at the end, an operation does (`flush`). The first process to open the database
    // reads the WAL again, so it is kept short, and truncated after a checkpoint.
    switchToWal(database, options.busyTimeoutMs);
    database.run(`PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;
      PRAGMA wal_autocheckpoint = ${WAL_PAGES_MAX}; PRAGMA journal_size_limit = 0`);
    // Keep the WAL and its index when the last writer closes, so that readers find them and never create files.
    database.fileControl(constants.SQLITE_FCNTL_PERSIST_WAL, 1);
    if (version === schema.version) return;
    migrate(database, schema, path);
    // Makes the main file identifiable on its own, whatever happens to the WAL.
    database.run("PRAGMA wal_checkpoint(PASSIVE)");
  });
}

/**
 * Several processes may do this to a new database at once. Each upgrades a read lock, where SQLite fails immediately
 * instead of waiting for `busy_timeout`, as two that waited for each other would never finish. One that fails has given
 * its read lock up and tries again.
 */
function switchToWal(database: Database, timeoutMs: number): void {
  for (const startedAt = performance.now(); ; Bun.sleepSync(WAL_PAUSE_MS)) {
    try {
      database.run("PRAGMA journal_mode = WAL");
      return;
    } catch (thrown) {
      const isBusy = thrown instanceof SQLiteError && thrown.code === "SQLITE_BUSY";
      if (!isBusy || performance.now() - startedAt >= timeoutMs) throw thrown;
    }
  }
}

/**
 * Opens the database for reading without changing anything. A missing file, or one without a schema, is read as an
 * empty database; one with an older schema as an in-memory copy that is migrated.
 */
export function openReader(options: OpenOptions): Database {
  const { path, schema = SCHEMA } = options;
  if (!isThere(options)) return nothing();
  let version = 0;
  const prepare = (database: Database): void => {
    // Readers need it as well: after a crash, they wait while another process rebuilds the WAL index.
    database.run(`PRAGMA busy_timeout = ${options.busyTimeoutMs}`);
    version = ownVersion(database, schema, path);
  };
  const database = openUnchanging(path, prepare);
  if (version === schema.version) return database;
  return named("read", path, () => {
    const copy = version === 0 ? null : copyOf(database);
    database.close();
    return copy === null ? nothing() : inMemory(copy, schema, path);
  });
}

/** Opens read-only. On a file system where the WAL's side files cannot be created, opens the file as immutable. */
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

/**
 * Stands in for a database that is not there yet, and has no id: one that is made meanwhile is not another one. Every query
 * finds nothing. Empty tables in memory would do as well, but making them takes longer than the rest of a listing.
 */
function nothing(): Database {
  const statement = { get: () => null, all: () => [], values: () => [], iterate: () => [].values() };
  const database = {
    filename: "",
    inTransaction: false,
    query: () => statement,
    run: () => {},
    transaction: (work: () => unknown) => work,
    close: () => {},
  };
  return database as unknown as Database;
}

function inMemory(database: Database, schema: Schema, path: string): Database {
  migrate(database, schema, path);
  database.run("PRAGMA query_only = ON");
  return database;
}

function copyOf(database: Database): Database {
  const bytes = database.serialize();
  // File format versions (offsets 18 and 19 of the header): an in-memory database cannot be in WAL mode.
  bytes[18] = 1;
  bytes[19] = 1;
  return Database.deserialize(bytes);
}

interface Target {
  /** The path that errors name. */
  readonly path: string;
  /** A file name, or an SQLite URI. */
  readonly file: string;
  /** SQLITE_OPEN_* */
  readonly flags: number;
}

function configured({ path, file, flags }: Target, prepare: (database: Database) => void): Database {
  let database: Database | null = null;
  try {
    // The first use of a statement costs more than ten others, and Bun would keep the first 20 for these.
    Database.MAX_QUERY_CACHE_SIZE = STATEMENTS_MAX;
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
    // SQLite would open a file that is not writable without an error, and fail later.
    if (isThere(options)) fs.accessSync(path, R_OK | W_OK);
    // Opens only a new file: closing a descriptor of the database would release the POSIX advisory locks this process
    // holds on it.
    else fs.closeSync(fs.openSync(path, O_WRONLY | O_CREAT | O_EXCL, 0o600));
  } catch (thrown) {
    // Another process created it first.
    if (errnoName(thrown) === "EEXIST" && isThere(options)) return;
    throw thrown instanceof BpfmanError ? thrown : fileFailure(thrown, "open database", path);
  }
}

const directoryOf = (path: string): string => path.slice(0, path.lastIndexOf("/")) || "/";

/**
 * Reports whether a complete database exists at the path, in a directory and files that nobody else can change. Rejects
 * anything but regular files before SQLite blocks on them or reports "disk I/O error". Throws DATABASE_UNUSABLE,
 * STATE_LOST.
 */
export function isThere({ path, isLive = () => true }: OpenOptions): boolean {
  try {
    const directory = ownDirectory(directoryOf(path));
    if (directory !== undefined) requireOwn({ ...OWN, ...directoryAt(path) }, directory);
    // Check the main file last: while another process creates the database, it exists before its WAL has content.
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

/** Follows a symlink that is trusted (isOwnLink). */
function ownDirectory(path: string): fs.Stats | undefined {
  const stats = fs.lstatSync(path);
  if (!isOwnLink(stats)) return stats;
  const target = fs.statSync(path);
  if (target !== undefined) return target;
  // Not read as an empty database: the target may be on a disk that is not mounted yet.
  throw new BpfmanError("DATABASE_UNUSABLE", `use the state directory "${path}": it is a dangling symbolic link`, {
    details: { path },
    hint: "make the directory it points to, or give another --state-dir",
  });
}

/** Reports whether a component of the path is a file, so that the path is not merely missing but cannot exist. */
function endsAtFile(path: string): boolean {
  const directory = path.slice(0, path.lastIndexOf("/"));
  if (directory === "") return false;
  const stat = fs.statSync(directory);
  return stat === undefined ? endsAtFile(directory) : stat.isFile();
}
