import type { SQLQueryBindings } from "bun:sqlite";
import type { VolumeRecord } from "../domain/volume.ts";
import { BpfmanError } from "../errors/error.ts";
import type { VolumeRow, VolumeRows } from "../platform/store.ts";
import { type Fields, json, listOf, nullable, text, Undecodable, whole } from "./decode.ts";
import { type Opened, transaction } from "./rows.ts";
import { named } from "./store-failure.ts";

function volumeRow(row: Fields): VolumeRow {
  const record: VolumeRecord = {
    id: text(row.volume_id, "volume_id"),
    targetPath: text(row.target_path, "target_path"),
    program: text(row.program, "program"),
    maps: json(listOf(text))(row.maps, "maps"),
    readOnly: row.read_only === 1,
    group: nullable(whole(0))(row.gid, "gid"),
    device: nullable(whole(0))(row.device, "device"),
  };
  return { record, isReady: row.is_ready === 1 };
}

/** Volumes, which other tables know nothing of. */
export function volumeRows(on: Opened): VolumeRows {
  const { database, path, bootId } = on;
  const run = (sql: string, ...bindings: SQLQueryBindings[]): void =>
    named("change volumes", path, () => void database.query(sql).run(...bindings));
  const selectVolumes = (where: string, ...bindings: SQLQueryBindings[]): VolumeRow[] =>
    named("read volumes", path, () => {
      const sql = `SELECT * FROM volumes WHERE boot_id = ? AND ${where} ORDER BY volume_id`;
      try {
        return database
          .query<Fields, SQLQueryBindings[]>(sql)
          .all(bootId, ...bindings)
          .map(volumeRow);
      } catch (thrown) {
        if (!(thrown instanceof Undecodable)) throw thrown;
        const what = `read database "${path}": a row of table "volumes" cannot be understood: column ${thrown.message}`;
        throw new BpfmanError("DATABASE_UNUSABLE", what, { details: { path, table: "volumes" }, cause: thrown });
      }
    });
  return {
    insert: ({ id, targetPath, program, maps, readOnly, group, device }) =>
      transaction(on, () => {
        // Mounts do not survive a reboot.
        run("DELETE FROM volumes WHERE boot_id <> ?", bootId);
        const values = [bootId, id, targetPath, program, JSON.stringify(maps), readOnly ? 1 : 0, group, device];
        run(
          `INSERT OR REPLACE INTO volumes
            (is_ready, boot_id, volume_id, target_path, program, maps, read_only, gid, device)
            VALUES (0, ?, ?, ?, ?, ?, ?, ?, ?)`,
          ...values,
        );
      }),
    setReady: (id, isReady) =>
      run("UPDATE volumes SET is_ready = ? WHERE boot_id = ? AND volume_id = ?", isReady ? 1 : 0, bootId, id),
    delete: (id) => run("DELETE FROM volumes WHERE boot_id = ? AND volume_id = ?", bootId, id),
    find: (id) => selectVolumes("volume_id = ?", id)[0] ?? null,
    all: () => selectVolumes("TRUE"),
  };
}
