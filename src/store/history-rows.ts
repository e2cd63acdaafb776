import type { SQLQueryBindings } from "bun:sqlite";
import type { Facts, PastOperation } from "../domain/history.ts";
import { OPERATION_IDS_MAX, OPERATION_TEXT_CHARS_MAX } from "../domain/limits.ts";
import * as fs from "../../ffi/safe/file-system.ts";
import { failing } from "../errors/sys-failure.ts";
import type { StorePort } from "../platform/store.ts";
import { type Fields, fields, json } from "./decode.ts";
import type { Reserve } from "./reserve.ts";
import type { Opened } from "./rows.ts";
import { named } from "./store-failure.ts";
import { vouchForLog } from "./whole.ts";

const INSERT = `INSERT INTO operations (boot_id, operation, started_at_ms, duration_ms, uid, login_uid, sudo_uid,
  parent_pid, parent_command, result, details) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;
const SELECT = "SELECT * FROM operations WHERE started_at_ms >= ? ORDER BY operation_id DESC";

/** The history of operations. */
export function historyRows({ database, path, bootId }: Opened, reserve: Reserve) {
  return {
    appendOperation({ operation, startedAt, durationMs, caller, result, facts }) {
      const { uid, loginUid, sudoUid, parentPid, parentCommand } = caller;
      const who = [uid, loginUid, sudoUid, parentPid, parentCommand];
      const values = [bootId, operation, startedAt.getTime(), durationMs, ...who, result, JSON.stringify(cut(facts))];
      try {
        named("append to the history", path, () => database.query(INSERT).run(...values));
      } finally {
        reserve.takeBack();
      }
    },

    flush: () =>
      failing("write", path, () => {
        // SQLite has no locks on its log, which closing a descriptor of it would release.
        const log = fs.openSync(`${path}-wal`, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW);
        try {
          fs.fsyncSync(log);
        } finally {
          fs.closeSync(log);
        }
        vouchForLog(path);
      }),

    *operations(since) {
      const rows = named("read the history", path, () =>
        database.query<Row, SQLQueryBindings[]>(SELECT).iterate(since?.getTime() ?? 0),
      );
      for (const row of rows) yield pastOperation(row);
    },
  } satisfies Partial<StorePort>;
}

const cut = (facts: Facts): Facts =>
  Object.fromEntries(
    Object.entries(facts).map(([name, value]) => [
      name,
      Array.isArray(value)
        ? value.slice(0, OPERATION_IDS_MAX)
        : typeof value === "string"
          ? value.slice(0, OPERATION_TEXT_CHARS_MAX)
          : value,
    ]),
  );

interface Row {
  readonly operation_id: number;
  readonly boot_id: string;
  readonly operation: string;
  readonly started_at_ms: number;
  readonly duration_ms: number;
  readonly uid: number;
  readonly login_uid: number | null;
  readonly sudo_uid: number | null;
  readonly parent_pid: number;
  readonly parent_command: string | null;
  readonly result: string;
  readonly details: string;
}

const pastOperation = (row: Row): PastOperation => ({
  id: row.operation_id,
  bootId: row.boot_id,
  operation: row.operation,
  startedAt: new Date(row.started_at_ms),
  durationMs: row.duration_ms,
  caller: {
    uid: row.uid,
    loginUid: row.login_uid,
    sudoUid: row.sudo_uid,
    parentPid: row.parent_pid,
    parentCommand: row.parent_command,
  },
  result: row.result,
  facts: factsIn(row.details),
});

const details = json(fields);
const numbers = (value: unknown): number[] =>
  [value].flat().filter((each) => typeof each === "number" && Number.isSafeInteger(each)) as number[];

/**
 * Rows of earlier versions have other names: `program`, `deleted`, `link`, `detached`. What cannot be understood is
 * left out: the rest of the entry is still worth reading.
 */
function factsIn(text: string): Facts {
  let found: Fields;
  try {
    found = details(text, "details");
  } catch {
    return {};
  }
  const ids = (...names: readonly string[]): number[] => [...new Set(names.flatMap((name) => numbers(found[name])))];
  const counts = numbers(found.verified_instructions);
  const [loadMs] = [found.load_ms].filter((each) => typeof each === "number");
  const words = ["place", "source", "message"].filter((name) => typeof found[name] === "string");
  return {
    ...Object.fromEntries(words.map((name) => [name, found[name]])),
    programs: ids("programs", "program", "deleted"),
    links: ids("links", "link", "detached"),
    ...(counts.length === 0 ? {} : { verified_instructions: counts.reduce((sum, each) => sum + each, 0) }),
    ...(loadMs === undefined ? {} : { load_ms: loadMs as number }),
  };
}
