import type { SQLQueryBindings } from "bun:sqlite";
import type { DispatcherKey } from "../domain/dispatcher.ts";
import { BpfmanError } from "../errors/error.ts";
import type { StorePort } from "../platform/store.ts";
import { Undecodable } from "./decode.ts";
import type { Opened } from "./rows.ts";
import { named } from "./store-failure.ts";
import { DISPATCHER_TYPES, type DispatcherRecord, type DispatcherSeat } from "../domain/dispatcher.ts";
import { XDP_MODES } from "../domain/config.ts";
import { kernelLinkId, programId } from "../domain/ids.ts";
import { type Fields, id, nullable, oneOf, text, whole } from "./decode.ts";

const type = oneOf(DISPATCHER_TYPES);
const mode = nullable(oneOf(XDP_MODES));
const optionalText = nullable(text);
const optionalId = nullable(id);
const optionalNumber = nullable(whole(0));

/** Throws Undecodable. */
export function dispatcherRecord(row: Fields): DispatcherRecord {
  const program = optionalId(row.program_id, "program_id");
  return {
    nsid: whole(1)(row.nsid, "nsid"),
    ifindex: whole(1)(row.ifindex, "ifindex"),
    interface: text(row.interface, "interface"),
    netns: optionalText(row.netns, "netns"),
    revision: whole(0)(row.revision, "revision"),
    pendingRevision: optionalNumber(row.pending_revision, "pending_revision"),
    programId: program === null ? null : programId(program),
    ...seat(row),
  };
}

function seat(row: Fields): DispatcherSeat {
  const hook = type(row.type, "type");
  if (hook === "xdp") {
    const link = optionalId(row.kernel_link_id, "kernel_link_id");
    return { type: hook, kernelLinkId: link === null ? null : kernelLinkId(link), mode: mode(row.mode, "mode") };
  }
  const priority = whole(0)(row.filter_priority, "filter_priority");
  return { type: hook, filter: { priority, handle: whole(0)(row.filter_handle, "filter_handle") } };
}

const THIS_HOOK = "boot_id = ? AND type = ? AND nsid = ? AND ifindex = ?";
const BEGIN_REVISION = `INSERT INTO dispatchers
  (boot_id, type, nsid, ifindex, interface, netns, filter_priority, filter_handle, revision, pending_revision)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 1)
  ON CONFLICT (boot_id, type, nsid, ifindex) DO UPDATE SET pending_revision = revision + 1`;
const SETTLE_REVISION = `UPDATE dispatchers SET revision = ?, pending_revision = NULL, program_id = ?, kernel_link_id = ?,
  filter_priority = ?, filter_handle = ?, mode = ? WHERE ${THIS_HOOK}`;
const keyOf = ({ type, nsid, ifindex }: DispatcherKey): [string, number, number] => [type, nsid, ifindex];

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

/** Chains, one per hook, with the revision being created. */
export function dispatcherRows({ database, path, bootId }: Opened) {
  const selectDispatchers = (where: string, ...bindings: SQLQueryBindings[]): DispatcherRecord[] =>
    named("read dispatchers", path, () => {
      const sql = `SELECT * FROM dispatchers WHERE boot_id = ? AND ${where} ORDER BY type, nsid, ifindex`;
      const rows = database.query<Fields, SQLQueryBindings[]>(sql).all(bootId, ...bindings);
      return rows.map((row) => decodedDispatcher(row, path));
    });
  return {
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
  } satisfies Partial<StorePort>;
}
