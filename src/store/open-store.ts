import type { Database, SQLQueryBindings } from "bun:sqlite";
import { linkId, type ProcessIdentity, programId, unfinishedOwner } from "../domain/ids.ts";
import type { ProgramType } from "../domain/kinds.ts";
import { DATABASE_BUSY_TIMEOUT_MS } from "../domain/limits.ts";
import type { Pin } from "../domain/pin.ts";
import type { RowState } from "../domain/program.ts";
import { BpfmanError } from "../errors/error.ts";
import type { RowInBrief, StorePort } from "../platform/store.ts";
import { disown, type Place, readerWarning, requireNotLost, takeOver } from "./belonging.ts";
import { openReader, openWriter } from "./connection.ts";
import { insertCopies, readCopies, withCopies } from "./copies.ts";
import { dispatcherRows } from "./dispatcher-rows.ts";
import { historyRows } from "./history-rows.ts";
import { LINKS, linkRows } from "./link-rows.ts";
import { PROGRAMS, programRows } from "./program-rows.ts";
import { readChanges } from "./read-changes.ts";
import { reserveOf, withReserve } from "./reserve.ts";
import { type Opened, records, transaction, update } from "./rows.ts";
import { named } from "./store-failure.ts";
import { countConnection } from "./whole.ts";

export interface StoreOptions {
  /** The SQLite file. */
  readonly path: string;
  /**
   * `read` changes nothing and reads a missing file as an empty database. Open it for one operation only, not for
   * longer.
   */
  readonly mode: "read" | "write";
  /** ID of this boot, /proc/sys/kernel/random/boot_id. Only its rows are visible. */
  readonly bootId: string;
  /** Where the objects described by the database are pinned; tests may omit it. */
  readonly runtimeDir?: string;
  /** Receives warnings for the user of a reader that continues regardless. */
  readonly warn?: (message: string) => void;
  /** How long SQLite waits for another process, in milliseconds. */
  readonly busyTimeoutMs?: number;
  /** Whether this boot has state that the database may describe. Defaults to true. */
  readonly isLive?: () => boolean;
  /** The owner of new rows, whose session they end with; null, the usual case, for rows that stay. */
  readonly owner?: ProcessIdentity | null;
}

/**
 * Opens the database of programs, links and operations. A writer takes ownership of an unowned runtime directory.
 * Throws DATABASE_UNUSABLE, SCHEMA_TOO_NEW, LOCK_TIMEOUT, STATE_FOREIGN, and for writers STATE_LOST.
 */
export function openStore(options: StoreOptions): StorePort {
  const { path, busyTimeoutMs = DATABASE_BUSY_TIMEOUT_MS } = options;
  if (options.mode === "read") return storeOn(openOwnForReading(options), options);
  requireNotLost(placeOf(options));
  const database = withReserve(path, () => openWriter({ ...options, busyTimeoutMs }));
  try {
    return writerOn(database, options);
  } catch (thrown) {
    database.close();
    throw thrown;
  }
}

function writerOn(database: Database, options: StoreOptions, close?: () => void): StorePort {
  const isFirst = takeOver(placeOf(options), idOf(database, options.path));
  const store = storeOn(database, options, close);
  if (isFirst) store.earlierBoots().dropOutdated();
  return store;
}

/**
 * Opens the database for repeated changes. `store` gives it to one of them, whose end is `ended`; it checks that nothing has
 * become of the runtime directory or the database meanwhile, as opening it does.
 */
export function openWritable(options: Omit<StoreOptions, "mode" | "owner">): {
  store(owner: ProcessIdentity | null, ended: () => void): StorePort;
  /** Whether the file's schema is unchanged, and no earlier change has left a transaction open. */
  isCurrent(): boolean;
  close(): void;
} {
  const { path, busyTimeoutMs = DATABASE_BUSY_TIMEOUT_MS } = options;
  requireNotLost(placeOf(options));
  const database = withReserve(path, () => openWriter({ ...options, busyTimeoutMs }));
  // Counted while it is open, whether a store uses it or not.
  const closed = countConnection();
  const hasSameSchema = schemaWatch(database);
  return {
    store: (owner, ended) => writerOn(database, { ...options, mode: "write", owner }, ended),
    isCurrent: () => !database.inTransaction && hasSameSchema(),
    close() {
      database.close();
      closed();
    },
  };
}

/**
 * Another command may create the database and take ownership of the directory just after this one found none and used
 * an empty one. That is not a foreign database, and a second look finds it.
 */
function openOwnForReading(options: Omit<StoreOptions, "mode" | "owner">): Database {
  const { path, busyTimeoutMs = DATABASE_BUSY_TIMEOUT_MS } = options;
  for (let again = false; ; again = true) {
    const database = withReserve(path, () => openReader({ ...options, busyTimeoutMs }));
    const standsIn = database.filename !== path;
    try {
      requireReadable(options, database);
      return database;
    } catch (thrown) {
      database.close();
      const foreign = thrown instanceof BpfmanError && thrown.code === "STATE_FOREIGN";
      if (again || !standsIn || !foreign) throw thrown;
    }
  }
}

const placeOf = ({ path, bootId, runtimeDir }: Omit<StoreOptions, "mode">): Place => ({
  path,
  bootId,
  runtimeDir: runtimeDir ?? null,
});

function idOf(database: Database, path: string): string {
  const sql = "SELECT database_id FROM identity";
  return named("read", path, () => database.query<{ database_id: string }, []>(sql).get()?.database_id ?? "");
}

function requireReadable(options: Omit<StoreOptions, "mode">, database: Database): void {
  const warning = readerWarning(placeOf(options), idOf(database, options.path));
  if (warning !== null) options.warn?.(warning);
}

/**
 * Opens the database for repeated reads. `isCurrent` reports whether the file's schema is unchanged; it is null if a
 * copy was opened, which never sees a change.
 */
export function openReadable(options: Omit<StoreOptions, "mode" | "owner">): {
  readonly store: StorePort;
  readonly isCurrent: (() => boolean) | null;
  /** Checks, at each later use, that the runtime directory still belongs to this database. Throws STATE_FOREIGN. */
  check(): void;
} {
  const { path } = options;
  const database = openOwnForReading(options);
  const store = storeOn(database, { ...options, mode: "read" });
  const check = (): void => requireReadable(options, database);
  if (database.filename !== path) return { store, check, isCurrent: null };
  return { store, check, isCurrent: schemaWatch(database) };
}

/** Returns a function that reports whether the schema is still that of now. It is not if the file can no longer be read. */
function schemaWatch(database: Database): () => boolean {
  const version = database.query<{ user_version: number }, []>("PRAGMA user_version");
  const found = version.get()?.user_version;
  return () => {
    try {
      return version.get()?.user_version === found;
    } catch {
      return false;
    }
  };
}

/** A row of the query across all tables. */
interface BriefRow {
  /** 1 programs, 2 links, 3 dispatchers, 4 volumes. */
  readonly rank: number;
  readonly id: number;
  readonly state: RowState;
  readonly owner: string | null;
  readonly pin_path: string;
  readonly map_pin_path: string;
  readonly bytecode_path: string;
  readonly type: ProgramType;
}

/**
 * Returns the columns unchecked: code that acts on a row reads and validates it in full. A row that cannot be decoded
 * therefore only affects commands that concern it or show all rows.
 */
function rowInBrief({ rank, id, state, owner, type, ...paths }: BriefRow): RowInBrief {
  if (rank === 3) return { kind: "dispatcher", state, owner };
  if (rank === 4) return { kind: "volume", state, owner };
  const { pin_path: pinPath, map_pin_path: mapPinPath, bytecode_path: bytecodePath } = paths;
  if (rank === 2) return { kind: "link", id: linkId(id), state, owner, pinPath };
  return { kind: "program", id: programId(id), state, owner, pinPath, mapPinPath, bytecodePath, type };
}

const SELECT_BRIEF = `SELECT 1 AS rank, program_id AS id, state, owner, pin_path, map_pin_path, bytecode_path, type
    FROM programs WHERE boot_id = ?1
  UNION ALL SELECT 2, link_id, state, owner, pin_path, NULL, NULL, NULL FROM links WHERE boot_id = ?1
  UNION ALL SELECT 3, 0, iif(pending_revision IS NULL, 'ready', 'pending'), NULL, NULL, NULL, NULL, NULL
    FROM dispatchers WHERE boot_id = ?1
  UNION ALL SELECT 4, 0, 'pending', NULL, NULL, NULL, NULL, NULL FROM volumes WHERE boot_id = ?1 AND is_ready = 0`;

/**
 * One scan of each table, as that is faster than looking for each row by an index, and one text, because each value that is passed
 * to JavaScript costs as much as reading its row.
 */
const SELECT_OUTLINE = `SELECT ifnull(programs.unsettled, 0) + ifnull(links.unsettled, 0)
    + (SELECT count(*) FROM dispatchers WHERE boot_id = ?1)
    + (SELECT count(*) FROM volumes WHERE boot_id = ?1 AND is_ready = 0) AS unsettled,
  ids, ifnull(elsewhere, 0) AS elsewhere, bytecode, pins FROM
  (SELECT sum(state <> 'ready' OR owner IS NOT NULL) AS unsettled, group_concat(program_id) AS ids,
    sum(pin_path <> ?2 || program_id) AS elsewhere, json_group_array(DISTINCT bytecode_path) AS bytecode
    FROM programs NOT INDEXED WHERE boot_id = ?1) AS programs,
  (SELECT sum(state <> 'ready' OR owner IS NOT NULL) AS unsettled, group_concat(pin_path, '\n') AS pins
    FROM links NOT INDEXED WHERE boot_id = ?1) AS links`;

interface OutlineRow {
  readonly unsettled: number;
  readonly ids: string | null;
  readonly elsewhere: number;
  readonly bytecode: string;
  readonly pins: string | null;
}

/** Matches a path and everything below it: paths from `PATH/` up to `PATH0`, as 0 is the character after the slash. */
const AT_OR_BELOW = "boot_id = ? AND (path = ? OR (path > ? AND path < ?))";

function storeOn(
  database: Database,
  { path, bootId, mode, owner = null, runtimeDir }: StoreOptions,
  close = () => database.close(),
): StorePort {
  const closed = countConnection();
  const reserve = reserveOf(path);
  // Then the WAL stays small, and keeps the space it has, so that nobody else takes it.
  if (mode === "write" && reserve.keep()) {
    database.run("PRAGMA journal_size_limit = -1; PRAGMA wal_autocheckpoint = 25");
  }
  const on: Opened = { database, path, bootId, mode, owner };
  const store: StorePort = {
    ...programRows(on),
    ...linkRows(on),
    ...dispatcherRows(on),
    ...pinRows(on),
    ...historyRows(on, reserve),
    makeRoom: () => reserve.release(),

    transaction: (work) => transaction(on, work),

    brief: () =>
      named("read what there is", path, () =>
        database
          .query<BriefRow, SQLQueryBindings[]>(SELECT_BRIEF)
          .all(bootId)
          // SQLite would sort each table by itself, and merge them.
          .sort((a, b) => a.rank - b.rank || a.id - b.id)
          .map(rowInBrief),
      ),

    outline: (programPin) =>
      named("read what there is", path, () => {
        const row = database.query<OutlineRow, SQLQueryBindings[]>(SELECT_OUTLINE).get(bootId, programPin);
        return {
          unsettled: row?.unsettled ?? 0,
          programs: row?.ids ?? "",
          pinnedElsewhere: row?.elsewhere ?? 0,
          links: row?.pins?.split("\n") ?? [],
          bytecode: row === null ? [] : JSON.parse(row.bytecode),
        };
      }),

    beginChange(operationId) {
      on.owner = unfinishedOwner(operationId);
    },
    settleChange() {
      const change = on.owner;
      transaction(on, () => {
        for (const table of ["programs", "links"]) {
          const sql = `UPDATE ${table} SET owner = ? WHERE boot_id = ? AND owner = ?`;
          named(`update ${table}`, path, () => database.query(sql).run(owner, bootId, change));
        }
      });
      on.owner = owner;
    },
    ownedBy: (process) => ({
      programs: records(on, PROGRAMS, "state = 'ready' AND owner = ?", process),
      links: records(on, LINKS, "state = 'ready' AND owner = ?", process),
    }),
    applied: () => {
      const originsIn = <Id>(table: string, key: string, idOf: (value: number) => Id): ReadonlyMap<Id, string> =>
        named(`read ${table}`, path, () => {
          const sql = `SELECT ${key} AS id, applied FROM ${table} WHERE boot_id = ? AND applied IS NOT NULL`;
          const rows = database.query<{ id: number; applied: string }, SQLQueryBindings[]>(sql).all(bootId);
          return new Map(rows.map(({ id, applied }) => [idOf(id), applied]));
        });
      return {
        programs: originsIn("programs", "program_id", programId),
        links: originsIn("links", "link_id", linkId),
      };
    },
    setApplied: (what, id, applied) => update(on, what === "program" ? PROGRAMS : LINKS, id, { applied }),
    setMetadata: (what, id, metadata) =>
      update(on, what === "program" ? PROGRAMS : LINKS, id, { metadata: JSON.stringify(metadata) }),
    changes: (after, limit) => named("read changes", path, () => readChanges(database, { bootId, after, limit })),

    // Seldom needed.
    volumes: () => (require("./volume-rows.ts") as typeof import("./volume-rows.ts")).volumeRows(on),
    earlierBoots: () => (require("./earlier-rows.ts") as typeof import("./earlier-rows.ts")).earlierBoots(on),

    copies: () => (runtimeDir === undefined ? [] : readCopies(runtimeDir, bootId)),
    restore: (copies) => insertCopies(on, copies),
    refreshCopies: () => {},

    disown: () => disown({ runtimeDir: runtimeDir ?? null }),
    close: () => {
      reserve.takeBack();
      close();
      closed();
    },
  };
  return mode === "write" && runtimeDir !== undefined ? withCopies(on, runtimeDir, store) : store;
}

/** Pins that were created, or were about to be, outside the rows of programs and links. */
function pinRows(on: Opened) {
  const { database, path, bootId } = on;
  return {
    recordPins(pins) {
      named("record pins", path, () => {
        const insert = database.query(
          "INSERT OR REPLACE INTO pins (boot_id, path, kind, object_id) VALUES (?, ?, ?, ?)",
        );
        transaction(on, () => pins.forEach((pin) => insert.run(bootId, pin.path, pin.kind, pin.id)));
      });
    },
    recordedPins: (place) =>
      named("read pins", path, () => {
        const sql = `SELECT path, kind, object_id AS id FROM pins WHERE ${AT_OR_BELOW} ORDER BY path`;
        return database.query<Pin, SQLQueryBindings[]>(sql).all(bootId, place, `${place}/`, `${place}0`);
      }),
    forgetPins(place) {
      named("forget pins", path, () => {
        database.query(`DELETE FROM pins WHERE ${AT_OR_BELOW}`).run(bootId, place, `${place}/`, `${place}0`);
      });
    },
  } satisfies Partial<StorePort>;
}
