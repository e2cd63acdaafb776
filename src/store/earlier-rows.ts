/**
 * What was there before a reboot and can be restored: the rows of the newest earlier boot that has any, older ones that an
 * attempt to restore them could not bring back, and links that wait while their program is loaded again.
 */
import type { SQLQueryBindings } from "bun:sqlite";
import { XDP_MODES } from "../domain/config.ts";
import { SUCCESSORS_MAX } from "../domain/limits.ts";
import type { EarlierBoots, EarlierLink, EarlierProgram, EarlierRef, UnreadableRow } from "../platform/store.ts";
import { type Fields, nullable, oneOf, text, Undecodable } from "./decode.ts";
import { linkRecord } from "./link-rows.ts";
import { programRecord, TRIM_SUCCESSORS } from "./program-rows.ts";
import { type Opened, transaction } from "./rows.ts";
import { named } from "./store-failure.ts";

/** Rows that stay, of other boots than ?1. */
const EARLIER = "boot_id <> ?1 AND state = 'ready' AND owner IS NULL";
/** Rows are inserted in the order of boots; times depend on the clock. */
const NEWEST = `(SELECT boot_id FROM programs WHERE ${EARLIER} AND wanted = 0 ORDER BY rowid DESC LIMIT 1)`;
const WAITING = `${EARLIER} AND (wanted = 1 OR boot_id = ${NEWEST})`;
const MODE = `iif(json_valid(details), (SELECT mode FROM dispatchers AS d WHERE d.boot_id = links.boot_id AND d.type = 'xdp'
  AND links.details ->> 'kind' = 'xdp' AND d.nsid = links.details ->> 'nsid' AND d.ifindex = links.details ->> 'ifindex'), NULL)`;
const SELECT_WISHES = `SELECT link_id, program_id, details, metadata, created_at_ms, xdp_mode, applied FROM wishes
    WHERE boot_id = ?1 AND program_id = ?2 ORDER BY link_id`;
const SELECT_LINKS = `SELECT link_id, program_id, details, metadata, created_at_ms, ${MODE} AS xdp_mode, applied FROM links
    WHERE boot_id = ?1 AND program_id = ?2 AND state = 'ready' AND owner IS NULL
  UNION ALL ${SELECT_WISHES}`;

/** Links that a replacement had moved when the machine stopped go back to the programs that they had: it was not finished. */
const GIVE_BACK = `UPDATE links SET program_id = s.program_id FROM successors AS s
  JOIN programs AS old ON old.boot_id = s.boot_id AND old.program_id = s.program_id AND old.state = 'ready'
  JOIN programs AS next ON next.boot_id = s.boot_id AND next.program_id = s.successor_id
    AND (next.state = 'pending' OR next.owner IS NOT NULL)
  WHERE links.boot_id <> ?1 AND s.boot_id = links.boot_id AND s.successor_boot_id = links.boot_id
    AND s.successor_id = links.program_id`;

const mode = nullable(oneOf(XDP_MODES));

type Skip = (row: Fields, why: Undecodable) => void;

/** Decodes rows one by one: one that cannot be decoded is left out, and holds up no others. */
function understood<T>(rows: readonly Fields[], skip: Skip | undefined, read: (row: Fields) => T): T[] {
  return rows.flatMap((row) => {
    try {
      return [read(row)];
    } catch (thrown) {
      if (!(thrown instanceof Undecodable)) throw thrown;
      skip?.(row, thrown);
      return [];
    }
  });
}

export function earlierBoots(on: Opened): EarlierBoots {
  const { database, path, bootId } = on;
  const run = (sql: string, ...bindings: SQLQueryBindings[]): number => database.query(sql).run(...bindings).changes;
  const all = (sql: string, ...bindings: SQLQueryBindings[]): Fields[] =>
    database.query<Fields, SQLQueryBindings[]>(sql).all(...bindings);
  const readLinks = (rows: readonly Fields[], skip?: Skip): EarlierLink[] =>
    understood(rows, skip, (row) => ({
      record: linkRecord({ ...row, kernel_link_id: null, pin_path: "" }),
      xdpMode: mode(row.xdp_mode, "xdp_mode"),
    }));
  const linksOf = (boot: string, program: number, skip?: Skip): EarlierLink[] =>
    readLinks(all(SELECT_LINKS, boot, program), skip);
  const waiting = (): Fields[] => all(`SELECT * FROM programs WHERE ${WAITING} ORDER BY rowid`, bootId);
  /** Programs of this boot with links that wait. */
  const restored = (): Fields[] =>
    all(
      "SELECT * FROM programs WHERE boot_id = ?1 AND program_id IN (SELECT program_id FROM wishes WHERE boot_id = ?1)",
      bootId,
    );
  const wishesOf = (program: number, skip?: Skip): EarlierLink[] =>
    readLinks(all(SELECT_WISHES, bootId, program), skip);

  function forget({ bootId: boot, id }: EarlierRef): void {
    run("DELETE FROM links WHERE boot_id = ? AND program_id = ?", boot, id);
    run("DELETE FROM programs WHERE boot_id = ? AND program_id = ?", boot, id);
  }

  return {
    programs: () =>
      named("read what there was", path, () =>
        understood(waiting(), undefined, (row): EarlierProgram => {
          const record = programRecord(row);
          const boot = text(row.boot_id, "boot_id");
          return { bootId: boot, id: record.id, record, links: linksOf(boot, record.id) };
        }),
      ),
    wishes: () =>
      named("read what waits", path, () => restored().flatMap(({ program_id: id }) => wishesOf(Number(id)))),
    unreadable: () =>
      named("read what there was", path, () => {
        const found: UnreadableRow[] = [];
        const about = ({ boot_id: boot, name, keep }: Fields) => ({
          bootId: String(boot),
          name: String(name),
          keep: keep === 1,
        });
        const noteLink =
          (program: Fields): Skip =>
          (row, { message: reason }) =>
            found.push({ kind: "link", id: Number(row.link_id), ...about(program), reason });
        const noteProgram: Skip = (row, { message: reason }) =>
          found.push({ kind: "program", id: Number(row.program_id), ...about(row), reason });
        understood(waiting(), noteProgram, (row) => {
          programRecord(row);
          linksOf(String(row.boot_id), Number(row.program_id), noteLink(row));
        });
        for (const row of restored()) wishesOf(Number(row.program_id), noteLink(row));
        return found;
      }),

    comeBack({ bootId: boot, id }, now) {
      named("restore a program", path, () =>
        transaction(on, () => {
          const chain =
            "UPDATE successors SET successor_boot_id = ?, successor_id = ? WHERE successor_boot_id = ? AND successor_id = ?";
          run(chain, bootId, now, boot, id);
          run("INSERT OR REPLACE INTO successors VALUES (?, ?, ?, ?)", boot, id, bootId, now);
          run(TRIM_SUCCESSORS, SUCCESSORS_MAX);
          run(
            `INSERT OR REPLACE INTO wishes
              SELECT link_id, ?3, ?4, details, metadata, created_at_ms, xdp_mode, applied FROM (${SELECT_LINKS})`,
            boot,
            id,
            bootId,
            now,
          );
          run(
            `UPDATE programs SET applied = (SELECT applied FROM programs WHERE boot_id = ?1 AND program_id = ?2)
              WHERE boot_id = ?3 AND program_id = ?4`,
            boot,
            id,
            bootId,
            now,
          );
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
          run(GIVE_BACK, bootId);
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
