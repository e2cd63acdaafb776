/** Reads the change log, which triggers write (migrations.ts). */
import type { Database, SQLQueryBindings } from "bun:sqlite";
import { CHANGE_KINDS, type Change, type Changes } from "../domain/change.ts";
import { DISPATCHER_TYPES } from "../domain/dispatcher.ts";
import { linkId, programId } from "../domain/ids.ts";
import { type Fields, fields, id, json, oneOf, time, Undecodable, whole } from "./decode.ts";
import { dispatcherRecord } from "./dispatcher-rows.ts";
import { linkRecord } from "./link-rows.ts";
import { programRecord } from "./program-rows.ts";

const BOUNDS = `SELECT coalesce(max(sequence), 0) AS latest, coalesce(min(sequence), 1) AS oldest,
  coalesce(max(sequence) FILTER (WHERE boot_id <> ?), -1) AS earlier FROM changes`;
const SELECT = "SELECT * FROM changes WHERE boot_id = ? AND sequence > ? ORDER BY sequence LIMIT ?";

interface Part {
  readonly bootId: string;
  readonly after: number;
  readonly limit: number;
}

export function readChanges(database: Database, { bootId, after, limit }: Part): Changes {
  return database.transaction(() => {
    const bounds = database
      .query<{ latest: number; oldest: number; earlier: number }, SQLQueryBindings[]>(BOUNDS)
      .get(bootId);
    const { latest, oldest, earlier } = bounds ?? { latest: 0, oldest: 1, earlier: -1 };
    const rows = database.query<Fields, SQLQueryBindings[]>(SELECT).all(bootId, after, limit);
    // A client that only knows an earlier boot was not told that everything of it is gone.
    const complete = after >= oldest - 1 && after <= latest && after > earlier;
    return { entries: rows.map(change), complete, latest };
  })();
}

const kind = oneOf(CHANGE_KINDS);
const subject = json(fields);
const record = json(fields);
const type = oneOf(DISPATCHER_TYPES);

function change(row: Fields): Change {
  const what = kind(row.kind, "kind");
  const key = subject(row.subject, "subject");
  const numbered = { sequence: whole(1)(row.sequence, "sequence"), at: time(row.at_ms, "at_ms") };
  switch (what) {
    case "program/didLoad":
    case "program/didUnload": {
      const about = programId(id(key.program_id, "program_id"));
      return { ...numbered, kind: what, programId: about, record: decoded(row, programRecord) };
    }
    case "link/didAttach":
    case "link/didUpdate":
    case "link/didDetach": {
      const about = {
        linkId: linkId(id(key.link_id, "link_id")),
        programId: programId(id(key.program_id, "program_id")),
      };
      return { ...numbered, kind: what, ...about, record: decoded(row, linkRecord) };
    }
    case "dispatcher/didChange": {
      const about = {
        type: type(key.type, "type"),
        nsid: whole(1)(key.nsid, "nsid"),
        ifindex: id(key.ifindex, "ifindex"),
      };
      return { ...numbered, kind: what, key: about, dispatcher: decoded(row, dispatcherRecord) };
    }
  }
}

/** A row that cannot be decoded was written by another version: the change is reported without it. */
function decoded<T>(row: Fields, read: (row: Fields) => T): T | null {
  if (row.record === null) return null;
  try {
    return read(record(row.record, "record"));
  } catch (thrown) {
    if (thrown instanceof Undecodable) return null;
    throw thrown;
  }
}
