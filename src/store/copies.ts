/**
 * Copies of the rows of this boot, as files in the runtime directory, next to the pins and with their lifetime. The kernel
 * does not know link IDs, priorities, metadata, or where a TC filter's interface is; `repair` reads them here if the
 * database is lost. Copies are written after each commit, and prove nothing by themselves: whoever uses one asks the kernel
 * first whether the object is there.
 *
 * The directory is there from the first writer on, until the runtime directory belongs to no database. Nothing fails on the
 * usual way, because the first error that a command throws costs it 0.5 ms.
 */
import type { SQLQueryBindings } from "bun:sqlite";
import * as fs from "../../ffi/safe/file-system.ts";
import type { DispatcherKey } from "../domain/dispatcher.ts";
import type { LinkId, ProgramId } from "../domain/ids.ts";
import { ROW_COPY_BYTES_MAX } from "../domain/limits.ts";
import type { RowState } from "../domain/program.ts";
import { requireOwn } from "../errors/ownership.ts";
import { errnoName } from "../errors/sys-failure.ts";
import type { RowCopy, StorePort } from "../platform/store.ts";
import { type Fields, oneOf } from "./decode.ts";
import { dispatcherRecord } from "./dispatcher-rows.ts";
import { linkRecord } from "./link-rows.ts";
import { programRecord } from "./program-rows.ts";
import { type Opened, transaction } from "./rows.ts";
import { named } from "./store-failure.ts";

/** The tables in an order in which rows can be inserted, and the columns that, with the boot, identify a row. */
const TABLES = {
  programs: ["program_id"],
  links: ["link_id"],
  dispatchers: ["type", "nsid", "ifindex"],
} as const;
type Table = keyof typeof TABLES;
const TABLE_NAMES = Object.keys(TABLES) as Table[];

const directoryOf = (runtimeDir: string): string => `${runtimeDir}/records`;

type Row = Readonly<Record<string, SQLQueryBindings>>;

const fileName = (table: Table, key: readonly unknown[]): string => `${table}_${key.join("_")}.json`;

/** Returns the store with methods that keep the copies up to date. Failures to write a copy are ignored: it is a spare. */
export function withCopies(on: Opened, runtimeDir: string, store: StorePort): StorePort {
  const { database, bootId } = on;
  const directory = directoryOf(runtimeDir);
  /** The rows that were changed since the last commit: file name -> row. */
  const touched = new Map<string, readonly [Table, readonly (string | number)[]]>();

  function flush(): void {
    if (database.inTransaction) return;
    for (const [name, [table, key]] of touched) {
      const where = TABLES[table].map((column) => `${column} = ?`).join(" AND ");
      const sql = `SELECT * FROM ${table} WHERE boot_id = ? AND ${where}`;
      // The change is committed, so nothing that happens to its copy may fail it.
      quietly(() => {
        const row = database.query<Row, SQLQueryBindings[]>(sql).get(bootId, ...key);
        if (row === null) remove(directory, name);
        else write(directory, name, JSON.stringify(row));
      });
    }
    touched.clear();
  }
  function touch(table: Table, ...key: readonly (string | number)[]): void {
    touched.set(fileName(table, key), [table, key]);
    flush();
  }
  const program = (id: ProgramId): void => touch("programs", id);
  const link = (id: LinkId): void => touch("links", id);
  const chain = ({ type, nsid, ifindex }: DispatcherKey): void => touch("dispatchers", type, nsid, ifindex);
  /** Calls a method, then updates the copy of the row that its first parameter names. */
  const then =
    <First, Rest extends unknown[], Result>(
      method: (first: First, ...rest: Rest) => Result,
      changed: (first: First) => void,
    ) =>
    (first: First, ...rest: Rest): Result => {
      const result = method(first, ...rest);
      changed(first);
      return result;
    };

  function refreshCopies(): void {
    quietly(() => fs.mkdirSync(directory, { recursive: true, mode: 0o700 }));
    for (const table of TABLE_NAMES) {
      const sql = `SELECT ${TABLES[table].join(", ")} FROM ${table} WHERE boot_id = ?`;
      const keys = database.query(sql).values(bootId) as (string | number)[][];
      for (const key of keys) touched.set(fileName(table, key), [table, key]);
    }
    for (const name of namesIn(directory)) if (!touched.has(name) && tableOf(name) !== null) remove(directory, name);
    flush();
  }

  // An earlier version kept none.
  if (fs.lstatSync(directory) === undefined) refreshCopies();
  return {
    ...store,
    refreshCopies,
    transaction: (work) => {
      try {
        return store.transaction(work);
      } finally {
        flush();
      }
    },
    // Pending rows need none: if the database is lost then, nothing has been pinned, or too little to be used.
    insertProgram: (record, state) => {
      store.insertProgram(record, state);
      if (state !== "pending") program(record.id);
    },
    // Nor does it matter that rows are being removed: `repair` would bring back what is still pinned.
    setProgramState: (id, state) => {
      store.setProgramState(id, state);
      if (state !== "removing") program(id);
    },
    setMaps: then(store.setMaps, program),
    setApplied: (what, id, origin) => {
      store.setApplied(what, id, origin);
      touch(what === "program" ? "programs" : "links", id);
    },
    setMetadata: (what, id, metadata) => {
      store.setMetadata(what, id, metadata);
      touch(what === "program" ? "programs" : "links", id);
    },
    forgetBytecode: then(store.forgetBytecode, program),
    deleteProgram: then(store.deleteProgram, program),
    settleLink: then(store.settleLink, link),
    setLinkState: (id, state) => {
      store.setLinkState(id, state);
      if (state !== "removing") link(id);
    },
    deleteLink: then(store.deleteLink, link),
    moveLink: then(store.moveLink, link),
    beginRevision: then(store.beginRevision, chain),
    settleRevision: then(store.settleRevision, chain),
    abandonRevision: then(store.abandonRevision, chain),
    deleteDispatcher: then(store.deleteDispatcher, chain),
    takeOver: (id, next, what) => {
      store.takeOver(id, next, what);
      for (const each of new Set([next, ...(what.maps ? store.mapUsers(next) : [])])) program(each);
    },
    settleChange: () => {
      const { links, programs } = on.owner === null ? { links: [], programs: [] } : store.ownedBy(on.owner);
      store.settleChange();
      for (const { id } of programs) program(id);
      for (const { id } of links) link(id);
    },
    disown: () => {
      store.disown();
      quietly(() => fs.rmdirSync(directory));
    },
  };
}

function write(directory: string, name: string, text: string): void {
  const path = `${directory}/${name}`;
  try {
    const fd = openNew(directory, `${path}.new`);
    try {
      for (let rest = new TextEncoder().encode(text); rest.length > 0; ) rest = rest.subarray(fs.writeSync(fd, rest));
    } finally {
      fs.closeSync(fd);
    }
    fs.renameSync(`${path}.new`, path);
  } catch {
    // An old copy would be worse than none.
    remove(directory, name);
  }
}

function openNew(directory: string, path: string): number {
  const { O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW } = fs.constants;
  const open = () => fs.openSync(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0o600);
  try {
    return open();
  } catch (thrown) {
    if (errnoName(thrown) !== "ENOENT") throw thrown;
    fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
    return open();
  }
}

function remove(directory: string, name: string): void {
  for (const path of [`${directory}/${name}`, `${directory}/${name}.new`]) {
    quietly(() => {
      if (fs.lstatSync(path) !== undefined) fs.unlinkSync(path);
    });
  }
}

function quietly(work: () => void): void {
  try {
    work();
  } catch {
    // The copy is lost, or the directory has others in it.
  }
}

function namesIn(directory: string): string[] {
  return fs.lstatSync(directory) === undefined ? [] : fs.readdirSync(directory);
}

const tableOf = (name: string): Table | null => TABLE_NAMES.find((table) => name.startsWith(`${table}_`)) ?? null;

const rowState = oneOf<RowState>(["pending", "ready", "removing"]);

/**
 * Returns the copies of this boot's rows that can be understood. Throws STATE_CONFLICT if others can write to their
 * directory.
 */
export function readCopies(runtimeDir: string, bootId: string): RowCopy[] {
  const directory = directoryOf(runtimeDir);
  const stats = fs.lstatSync(directory);
  if (stats === undefined) return [];
  const otherwise = "move it away";
  requireOwn(
    { action: "read the copies in", path: directory, kind: "directory", code: "STATE_CONFLICT", otherwise },
    stats,
  );
  const names = namesIn(directory);
  return TABLE_NAMES.flatMap((table) =>
    names
      .filter((name) => tableOf(name) === table && name.endsWith(".json"))
      .flatMap((name) => copyAt(`${directory}/${name}`, { table, bootId }) ?? []),
  );
}

function copyAt(path: string, { table, bootId }: { readonly table: Table; readonly bootId: string }): RowCopy | null {
  const stats = fs.lstatSync(path);
  if (stats?.isFile() !== true || stats.size > ROW_COPY_BYTES_MAX) return null;
  try {
    const row = JSON.parse(fs.readTextSync(path)) as Fields;
    if (row.boot_id !== bootId) return null;
    switch (table) {
      case "programs":
        return { kind: "program", record: programRecord(row), state: rowState(row.state, "state"), row };
      case "links":
        return { kind: "link", record: linkRecord(row), state: rowState(row.state, "state"), row };
      case "dispatchers":
        return { kind: "dispatcher", record: dispatcherRecord(row), row };
    }
  } catch {
    // Written by another version, or in part.
    return null;
  }
}

const TABLE_OF = { program: "programs", link: "links", dispatcher: "dispatchers" } as const;

/** Writes the rows of copies, over those that there are. Throws DATABASE_UNUSABLE. */
export function insertCopies(on: Opened, copies: readonly RowCopy[]): void {
  const { database, path } = on;
  transaction(on, () => {
    for (const { kind, row } of copies) {
      const table = TABLE_OF[kind];
      const known = database.query<{ name: string }, []>(`PRAGMA table_info(${table})`).all();
      const columns = known.map(({ name }) => name).filter((name) => Object.hasOwn(row, name));
      const update = columns.map((name) => `${name} = excluded.${name}`).join(", ");
      const sql = `INSERT INTO ${table} (${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")})
        ON CONFLICT DO UPDATE SET ${update}`;
      named("restore a row", path, () =>
        database.query(sql).run(...columns.map((name) => row[name] as SQLQueryBindings)),
      );
    }
  });
}
