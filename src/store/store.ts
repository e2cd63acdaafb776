import type { Database, SQLQueryBindings } from "bun:sqlite";
import { type LinkId, linkId, mapId, type ProgramId, programId } from "../domain/ids.ts";
import { DATABASE_BUSY_TIMEOUT_MS } from "../domain/limits.ts";
import type { DispatcherKey, DispatcherRecord } from "../domain/dispatcher.ts";
import type { LinkRecord } from "../domain/link.ts";
import type { Pin } from "../domain/pin.ts";
import type { ProgramRecord, RowState } from "../domain/program.ts";
import type { ProcessIdentity } from "../domain/session.ts";
import { BpfmanError } from "../errors/error.ts";
import type { LinkDraft, OperationEntry, ProgramSummary, StorePort } from "../platform/store.ts";
import { disown, type Place, readerWarning, requireNotLost, takeOver } from "./belonging.ts";
import { readChanges } from "./changes.ts";
import { type Fields, id as anId, oneOf, Undecodable } from "./decode.ts";
import { dispatcherRecord } from "./dispatcher-row.ts";
import { named } from "./failure.ts";
import { linkRecord } from "./link-row.ts";
import { openReader, openWriter } from "./connection.ts";
import { countConnection, vouchForLog } from "./whole.ts";
import { type BriefRow, rowInBrief } from "./brief-row.ts";
import { PROGRAM_COLUMNS, programColumns, programRecord, programSummary, ROW_STATES } from "./program-row.ts";

export interface StoreOptions {
  /** The SQLite file. */
  readonly path: string;
  /** `read` changes nothing, and reads a missing file as an empty database: open it for one operation, not for long. */
  readonly mode: "read" | "write";
  /** This boot's id, /proc/sys/kernel/random/boot_id; only its rows are seen. */
  readonly bootId: string;
  /** Where what the database knows of is pinned; tests may have none. */
  readonly runtimeDir?: string;
  /** Told to the user of a reader that goes on all the same. */
  readonly warn?: (message: string) => void;
  /** How long SQLite waits for another process, in milliseconds. */
  readonly busyTimeoutMs?: number;
  /** Whether this boot has something that the database may know of; yes when absent. */
  readonly isLive?: () => boolean;
  /** Whose session new rows belong to; null, which is usual, for those that stay. */
  readonly owner?: ProcessIdentity | null;
}

/**
 * Opens the database of programs, links and operations; a writer takes a runtime directory that belongs to nobody. Throws
 * DATABASE_UNUSABLE, SCHEMA_TOO_NEW, LOCK_TIMEOUT, STATE_FOREIGN, and for writers STATE_LOST.
 */
export function openStore(options: StoreOptions): StorePort {
  const { path, mode, busyTimeoutMs = DATABASE_BUSY_TIMEOUT_MS } = options;
  if (mode === "write") requireNotLost(placeOf(options));
  const database = (mode === "write" ? openWriter : openReader)({ ...options, busyTimeoutMs });
  try {
    if (mode === "write") takeOver(placeOf(options), idOf(database, path));
    else requireReadable(options, database);
  } catch (thrown) {
    database.close();
    throw thrown;
  }
  return storeOn(database, options);
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
 * Opens it for reading more than once. `isCurrent` says whether the file's schema is still the one that was found; null
 * when what was opened is a copy, which never sees a change.
 */
export function openReadable(options: Omit<StoreOptions, "mode" | "owner">): {
  readonly store: StorePort;
  readonly isCurrent: (() => boolean) | null;
  /** What is asked at each use: whether the runtime directory is still this database's. Throws STATE_FOREIGN. */
  check(): void;
} {
  const { path, busyTimeoutMs = DATABASE_BUSY_TIMEOUT_MS } = options;
  const database = openReader({ ...options, busyTimeoutMs });
  const store = storeOn(database, { ...options, mode: "read" });
  const check = (): void => requireReadable(options, database);
  if (database.filename !== path) return { store, check, isCurrent: null };
  const version = database.query<{ user_version: number }, []>("PRAGMA user_version");
  const found = version.get()?.user_version;
  return { store, check, isCurrent: () => version.get()?.user_version === found };
}

interface Reading<T> {
  readonly table: "programs" | "links";
  readonly key: "program_id" | "link_id";
  readonly record: (row: Fields) => T;
}
const PROGRAMS: Reading<ProgramRecord> = { table: "programs", key: "program_id", record: programRecord };
const LINKS: Reading<LinkRecord> = { table: "links", key: "link_id", record: linkRecord };

const SUMMARIES: Reading<ProgramSummary> = { table: "programs", key: "program_id", record: programSummary };

const SELECT_SUMMARIES = `SELECT program_id, name, type, metadata, state, (
    SELECT json_group_array(link_id) FROM links
    WHERE links.boot_id = programs.boot_id AND links.program_id = programs.program_id AND links.state = 'ready'
  ) AS links FROM programs WHERE boot_id = ? AND state = 'ready' ORDER BY program_id`;
const SELECT_MAP_PINS = `SELECT DISTINCT map.value ->> 'pinPath' AS pin
    FROM programs, json_each(iif(json_valid(maps), maps, '[]')) AS map
    WHERE boot_id = ?1 AND program_id <> ?2 AND map.type = 'object' AND pin IS NOT NULL
  UNION ALL SELECT NULL FROM programs WHERE boot_id = ?1 AND program_id <> ?2 AND NOT json_valid(maps)`;
const SELECT_MAP_AT = `SELECT map.value ->> 'id' AS id, map.value ->> 'foreign' AS "foreign"
    FROM programs, json_each(iif(json_valid(maps), maps, '[]')) AS map
    WHERE boot_id = ? AND map.type = 'object' AND map.value ->> 'pinPath' = ? LIMIT 1`;
const INSERT_PROGRAM = `INSERT INTO programs (boot_id, owner, state, ${PROGRAM_COLUMNS.join(", ")})
  VALUES (?, ?, ?, ${PROGRAM_COLUMNS.map(() => "?").join(", ")})`;
const INSERT_LINK = `INSERT INTO links (boot_id, owner, program_id, state, pin_path, details, metadata, created_at_ms)
  VALUES (?, ?, ?, 'pending', '', ?, ?, ?) RETURNING link_id`;
const SELECT_BRIEF = `SELECT 1 AS rank, program_id AS id, state, owner, pin_path, map_pin_path, type
    FROM programs WHERE boot_id = ?1
  UNION ALL SELECT 2, link_id, state, owner, pin_path, NULL, NULL FROM links WHERE boot_id = ?1
  UNION ALL SELECT 3, 0, iif(pending_revision IS NULL, 'ready', 'pending'), NULL, NULL, NULL, NULL
    FROM dispatchers WHERE boot_id = ?1
  ORDER BY rank, id`;
const INSERT_OPERATION = `INSERT INTO operations
  (boot_id, operation, started_at_ms, duration_ms, uid, parent_pid, result, details) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`;

/** A path, or what begins with it and a slash, behind which comes the character 0. */
const AT_OR_BELOW = "boot_id = ? AND (path = ? OR (path > ? AND path < ?))";
const THIS_HOOK = "boot_id = ? AND type = ? AND nsid = ? AND ifindex = ?";
const BEGIN_REVISION = `INSERT INTO dispatchers
  (boot_id, type, nsid, ifindex, interface, netns, filter_priority, filter_handle, revision, pending_revision)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 1)
  ON CONFLICT (boot_id, type, nsid, ifindex) DO UPDATE SET pending_revision = revision + 1`;
const SETTLE_REVISION = `UPDATE dispatchers SET revision = ?, pending_revision = NULL, program_id = ?, kernel_link_id = ?,
  filter_priority = ?, filter_handle = ?, mode = ? WHERE ${THIS_HOOK}`;
const keyOf = ({ type, nsid, ifindex }: DispatcherKey): [string, number, number] => [type, nsid, ifindex];

const rowState = oneOf(ROW_STATES);

function storeOn(database: Database, { path, bootId, mode, owner = null, runtimeDir }: StoreOptions): StorePort {
  const closed = countConnection();
  /** Rows of one table, decoded; a row that does not decode names itself. */
  const select = <T>(
    reading: Reading<T>,
    where: string,
    bindings: SQLQueryBindings[],
  ): { record: T; state: RowState }[] =>
    named(`read ${reading.table}`, path, () => {
      const sql = `SELECT * FROM ${reading.table} WHERE boot_id = ? AND ${where} ORDER BY ${reading.key}`;
      const rows = database.query<Fields, SQLQueryBindings[]>(sql).all(bootId, ...bindings);
      return rows.map((row) => decoded(row, reading, path));
    });
  const records = <T>(reading: Reading<T>, where: string, ...bindings: SQLQueryBindings[]): T[] =>
    select(reading, where, bindings).map(({ record }) => record);

  /** Changes the one row that `where` names; a row that is not there means that our picture of the state is wrong. */
  const update = (reading: Reading<unknown>, rowId: number, set: Readonly<Record<string, SQLQueryBindings>>): void => {
    const columns = Object.keys(set).map((column) => `${column} = ?`);
    const sql = `UPDATE ${reading.table} SET ${columns.join(", ")} WHERE boot_id = ? AND ${reading.key} = ?`;
    const action = `update ${reading.table}`;
    const { changes } = named(action, path, () => database.query(sql).run(...Object.values(set), bootId, rowId));
    if (changes === 1) return;
    throw new BpfmanError("STATE_CONFLICT", `${action} in database "${path}": no row ${rowId} of this boot`, {
      details: { path, table: reading.table, id: rowId },
    });
  };
  const remove = (reading: Reading<unknown>, rowId: number): void =>
    named(`delete from ${reading.table}`, path, () => {
      database.query(`DELETE FROM ${reading.table} WHERE boot_id = ? AND ${reading.key} = ?`).run(bootId, rowId);
    });

  const selectDispatchers = (where: string, ...bindings: SQLQueryBindings[]): DispatcherRecord[] =>
    named("read dispatchers", path, () => {
      const sql = `SELECT * FROM dispatchers WHERE boot_id = ? AND ${where} ORDER BY type, nsid, ifindex`;
      const rows = database.query<Fields, SQLQueryBindings[]>(sql).all(bootId, ...bindings);
      return rows.map((row) => decodedDispatcher(row, path));
    });

  function transaction<T>(work: () => T): T {
    const run = database.transaction(() => {
      const result = work();
      if (result instanceof Promise)
        throw new TypeError("a transaction cannot wait: it would commit at the first await");
      return result;
    });
    // Readers get one snapshot, writers the write lock from the start: a read lock that has to grow could fail halfway.
    return named("run a transaction", path, () => (mode === "read" ? run.deferred() : run.immediate()));
  }

  return {
    transaction,

    brief: () =>
      named("read what there is", path, () =>
        database.query<BriefRow, SQLQueryBindings[]>(SELECT_BRIEF).all(bootId).map(rowInBrief),
      ),

    insertProgram(record, state) {
      named("insert a program", path, () => {
        database.query(INSERT_PROGRAM).run(bootId, owner, state, ...programColumns(record));
      });
    },
    setProgramState: (id, state) => update(PROGRAMS, id, { state }),
    deleteProgram: (id) => remove(PROGRAMS, id),
    program: (id) => records(PROGRAMS, "state = 'ready' AND program_id = ?", id)[0] ?? null,
    programs: () => records(PROGRAMS, "state = 'ready'"),
    programSummaries: () =>
      named("read programs", path, () => {
        const rows = database.query<Fields, SQLQueryBindings[]>(SELECT_SUMMARIES).all(bootId);
        return rows.map((row) => decoded(row, SUMMARIES, path).record);
      }),
    namesBytecode: (id) =>
      named(
        "read programs",
        path,
        () => database.query("SELECT 1 FROM programs WHERE program_id = ? LIMIT 1").get(id) !== null,
      ),
    unsettledPrograms: () => select(PROGRAMS, "state <> 'ready'", []),
    mapUsers(owner: ProgramId): ProgramId[] {
      const sql = `SELECT program_id FROM programs WHERE boot_id = ? AND (program_id = ? OR map_owner_id = ?) ORDER BY 1`;
      const rows = named("read programs", path, () =>
        database.query<{ program_id: number }, SQLQueryBindings[]>(sql).all(bootId, owner, owner),
      );
      return rows.map((row) => programId(row.program_id));
    },

    mapPinsOfOthers: (id) =>
      named("read map pins", path, () => {
        const rows = database.query<{ pin: string | null }, SQLQueryBindings[]>(SELECT_MAP_PINS).all(bootId, id);
        const pins = rows.flatMap(({ pin }) => pin ?? []);
        return pins.length < rows.length ? null : pins;
      }),

    mapPinnedAt: (pin) =>
      named("read map pins", path, () => {
        const row = database
          .query<{ id: number; foreign: number | null }, SQLQueryBindings[]>(SELECT_MAP_AT)
          .get(bootId, pin);
        return row && { id: mapId(row.id), foreign: row.foreign === 1 };
      }),

    insertLink(draft: LinkDraft, pinPath: (id: LinkId) => string): LinkRecord {
      const { programId: program, details, metadata, createdAt } = draft;
      return transaction(() => {
        const row = database
          .query<{ link_id: number }, SQLQueryBindings[]>(INSERT_LINK)
          .get(bootId, owner, program, JSON.stringify(details), JSON.stringify(metadata), createdAt.getTime());
        const id = linkId(anId(row?.link_id, "link_id"));
        const record: LinkRecord = { ...draft, id, kernelLinkId: null, pinPath: pinPath(id) };
        update(LINKS, id, { pin_path: record.pinPath });
        return record;
      });
    },
    expectLink: (id, kernelLinkId) => update(LINKS, id, { kernel_link_id: kernelLinkId }),
    settleLink: (id, kernelLinkId) => update(LINKS, id, { kernel_link_id: kernelLinkId, state: "ready" }),
    setLinkState: (id, state) => update(LINKS, id, { state }),
    deleteLink: (id) => remove(LINKS, id),
    link: (id) => records(LINKS, "state = 'ready' AND link_id = ?", id)[0] ?? null,
    links: (program) =>
      program === undefined
        ? records(LINKS, "state = 'ready'")
        : records(LINKS, "state = 'ready' AND program_id = ?", program),
    unsettledLinks: () => select(LINKS, "state <> 'ready'", []),

    dispatcher: (key) => selectDispatchers("type = ? AND nsid = ? AND ifindex = ?", ...keyOf(key))[0] ?? null,
    dispatchers: () => selectDispatchers("TRUE"),
    beginRevision(key, place) {
      const filter = [place.filter?.priority ?? null, place.filter?.handle ?? null];
      named("begin a revision", path, () => {
        database.query(BEGIN_REVISION).run(bootId, ...keyOf(key), place.interface, place.netns, ...filter);
      });
      return selectDispatchers("type = ? AND nsid = ? AND ifindex = ?", ...keyOf(key))[0] as DispatcherRecord;
    },
    settleRevision(key, { revision, programId: program, seat }) {
      const held =
        seat.type === "xdp"
          ? [seat.kernelLinkId, null, null, seat.mode]
          : [null, seat.filter.priority, seat.filter.handle, null];
      const values = [revision, program, ...held];
      named("settle a revision", path, () => {
        database.query(SETTLE_REVISION).run(...values, bootId, ...keyOf(key));
      });
    },
    abandonRevision(key) {
      named("abandon a revision", path, () => {
        database.query(`UPDATE dispatchers SET pending_revision = NULL WHERE ${THIS_HOOK}`).run(bootId, ...keyOf(key));
        database.query(`DELETE FROM dispatchers WHERE revision = 0 AND ${THIS_HOOK}`).run(bootId, ...keyOf(key));
      });
    },
    deleteDispatcher(key) {
      named("delete a dispatcher", path, () => {
        database.query(`DELETE FROM dispatchers WHERE ${THIS_HOOK}`).run(bootId, ...keyOf(key));
      });
    },
    moveLink: (id, { details, pinPath, kernelLinkId }) =>
      update(LINKS, id, {
        details: JSON.stringify(details),
        pin_path: pinPath,
        kernel_link_id: kernelLinkId,
        state: "ready",
      }),

    recordPins(pins) {
      named("record pins", path, () => {
        const insert = database.query(
          "INSERT OR REPLACE INTO pins (boot_id, path, kind, object_id) VALUES (?, ?, ?, ?)",
        );
        database.transaction(() => pins.forEach((pin) => insert.run(bootId, pin.path, pin.kind, pin.id)))();
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

    ownedBy: (process) => ({
      programs: records(PROGRAMS, "state = 'ready' AND owner = ?", process),
      links: records(LINKS, "state = 'ready' AND owner = ?", process),
    }),
    changes: (after, limit) => named("read changes", path, () => readChanges(database, { bootId, after, limit })),

    appendOperation(entry: OperationEntry): void {
      const { operation, startedAt, durationMs, uid, parentPid, result, details } = entry;
      const values = [operation, startedAt.getTime(), durationMs, uid, parentPid, result, JSON.stringify(details)];
      named("append to the history", path, () => {
        // The last commit of an operation waits until the disk has all of them.
        database.run("PRAGMA synchronous = FULL");
        database.query(INSERT_OPERATION).run(bootId, ...values);
        database.run("PRAGMA synchronous = NORMAL");
        vouchForLog(path);
      });
    },

    disown: () => disown({ runtimeDir: runtimeDir ?? null }),
    close: () => {
      database.close();
      closed();
    },
  };
}

function decodedDispatcher(row: Fields, path: string): DispatcherRecord {
  try {
    return dispatcherRecord(row);
  } catch (thrown) {
    if (!(thrown instanceof Undecodable)) throw thrown;
    throw new BpfmanError(
      "DATABASE_UNUSABLE",
      `read database "${path}": a row of table "dispatchers" cannot be understood: column ${thrown.message}`,
      { details: { path, table: "dispatchers" }, cause: thrown },
    );
  }
}

function decoded<T>(row: Fields, reading: Reading<T>, path: string): { record: T; state: RowState } {
  try {
    return { record: reading.record(row), state: rowState(row.state, "state") };
  } catch (thrown) {
    if (!(thrown instanceof Undecodable)) throw thrown;
    const { table, key } = reading;
    throw new BpfmanError(
      "DATABASE_UNUSABLE",
      `read database "${path}": row ${row[key]} of table "${table}" cannot be understood: column ${thrown.message}`,
      { details: { path, table, id: row[key] }, cause: thrown },
    );
  }
}
