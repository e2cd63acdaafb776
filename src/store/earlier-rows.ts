/**
 * What was there before a reboot and can be restored: the rows of the newest earlier boot that has any, older ones that an
 * attempt to restore them could not bring back, and links that wait while their program is loaded again.
 */
import type { SQLQueryBindings } from "bun:sqlite";
import { XDP_MODES } from "../domain/config.ts";
import type { EarlierBoots, EarlierLink, EarlierProgram, EarlierRef } from "../platform/store.ts";
import { type Fields, nullable, oneOf, text } from "./decode.ts";
import { linkRecord } from "./link-rows.ts";
import { PROGRAMS } from "./program-rows.ts";
import { decoded, type Opened, transaction } from "./rows.ts";
import { named } from "./store-failure.ts";

/** Rows that stay, of other boots than ?1. */
const EARLIER = "boot_id <> ?1 AND state = 'ready' AND owner IS NULL";
/** Rows are inserted in the order of boots; times depend on the clock. */
const NEWEST = `(SELECT boot_id FROM programs WHERE ${EARLIER} AND wanted = 0 ORDER BY rowid DESC LIMIT 1)`;
const WAITING = `${EARLIER} AND (wanted = 1 OR boot_id = ${NEWEST})`;
const MODE = `(SELECT mode FROM dispatchers AS d WHERE d.boot_id = links.boot_id AND d.type = 'xdp'
  AND links.details ->> 'kind' = 'xdp' AND d.nsid = links.details ->> 'nsid' AND d.ifindex = links.details ->> 'ifindex')`;
const SELECT_LINKS = `SELECT link_id, program_id, details, metadata, created_at_ms, ${MODE} AS xdp_mode FROM links
    WHERE boot_id = ?1 AND program_id = ?2 AND state = 'ready' AND owner IS NULL
  UNION ALL SELECT link_id, program_id, details, metadata, created_at_ms, xdp_mode FROM wishes
    WHERE boot_id = ?1 AND program_id = ?2
  ORDER BY link_id`;

const mode = nullable(oneOf(XDP_MODES));

export function earlierBoots(on: Opened): EarlierBoots {
  const { database, path, bootId } = on;
  const run = (sql: string, ...bindings: SQLQueryBindings[]): number => database.query(sql).run(...bindings).changes;
  const linksOf = (boot: string, program: number): EarlierLink[] =>
    database
      .query<Fields, SQLQueryBindings[]>(SELECT_LINKS)
      .all(boot, program)
      .map((row) => ({
        record: linkRecord({ ...row, kernel_link_id: null, pin_path: "" }),
        xdpMode: mode(row.xdp_mode, "xdp_mode"),
      }));

  function forget({ bootId: boot, id }: EarlierRef): void {
    run("DELETE FROM links WHERE boot_id = ? AND program_id = ?", boot, id);
    run("DELETE FROM programs WHERE boot_id = ? AND program_id = ?", boot, id);
  }

  return {
    programs: () =>
      named("read what there was", path, () =>
        database
          .query<Fields, SQLQueryBindings[]>(`SELECT * FROM programs WHERE ${WAITING} ORDER BY rowid`)
          .all(bootId)
          .map((row): EarlierProgram => {
            const { record } = decoded(row, PROGRAMS, path);
            const boot = text(row.boot_id, "boot_id");
            return { bootId: boot, id: record.id, record, links: linksOf(boot, record.id) };
          }),
      ),
    wishes: () =>
      named("read what waits", path, () =>
        database
          .query<{ program_id: number }, SQLQueryBindings[]>("SELECT DISTINCT program_id FROM wishes WHERE boot_id = ?")
          .all(bootId)
          .flatMap(({ program_id: program }) => {
            const waiting = new Set(
              database
                .query<{ link_id: number }, SQLQueryBindings[]>(
                  "SELECT link_id FROM wishes WHERE boot_id = ? AND program_id = ?",
                )
                .all(bootId, program)
                .map(({ link_id: id }) => id),
            );
            return linksOf(bootId, program).filter(({ record }) => waiting.has(record.id));
          }),
      ),

    comeBack({ bootId: boot, id }, now) {
      named("restore a program", path, () =>
        transaction(on, () => {
          const chain =
            "UPDATE successors SET successor_boot_id = ?, successor_id = ? WHERE successor_boot_id = ? AND successor_id = ?";
          run(chain, bootId, now, boot, id);
          run("INSERT OR REPLACE INTO successors VALUES (?, ?, ?, ?)", boot, id, bootId, now);
          for (const { record, xdpMode } of linksOf(boot, id)) {
            const { details, metadata, createdAt } = record;
            const row = [JSON.stringify(details), JSON.stringify(metadata), createdAt.getTime(), xdpMode] as const;
            run("INSERT OR REPLACE INTO wishes VALUES (?, ?, ?, ?, ?, ?, ?)", record.id, bootId, now, ...row);
          }
          forget({ bootId: boot, id });
        }),
      );
    },
    want({ bootId: boot, id }) {
      named("update programs", path, () =>
        run("UPDATE programs SET wanted = 1 WHERE boot_id = ? AND program_id = ?", boot, id),
      );
    },
    forgetProgram(what) {
      named("forget a program", path, () => transaction(on, () => forget(what)));
    },
    forgetLink(id) {
      named("forget a link", path, () =>
        transaction(on, () => {
          run("DELETE FROM wishes WHERE link_id = ?", id);
          run("DELETE FROM links WHERE link_id = ? AND boot_id <> ?", id, bootId);
        }),
      );
    },
    dropOutdated() {
      named("forget what cannot be restored", path, () =>
        transaction(on, () => {
          const gone = `SELECT boot_id, program_id FROM programs WHERE boot_id <> ?1 AND NOT (${WAITING})`;
          run(
            `DELETE FROM links WHERE boot_id <> ?1
              AND (state <> 'ready' OR owner IS NOT NULL OR (boot_id, program_id) IN (${gone}))`,
            bootId,
          );
          run(`DELETE FROM programs WHERE (boot_id, program_id) IN (${gone})`, bootId);
          run("DELETE FROM pins WHERE boot_id <> ?", bootId);
          run("DELETE FROM dispatchers WHERE boot_id <> ?1 AND boot_id NOT IN (SELECT boot_id FROM links)", bootId);
          run(
            "DELETE FROM successors WHERE (successor_boot_id, successor_id) NOT IN (SELECT boot_id, program_id FROM programs)",
          );
        }),
      );
    },
  };
}
