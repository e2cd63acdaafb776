import type { SQLQueryBindings } from "bun:sqlite";
import type { ProgramId } from "../domain/ids.ts";
import type { StorePort } from "../platform/store.ts";
import { decoded, type Opened, type Reading, records, remove, select, update } from "./rows.ts";
import { named } from "./store-failure.ts";
import { linkId, mapId, programId } from "../domain/ids.ts";
import { PROGRAM_TYPES } from "../domain/kinds.ts";
import { SUCCESSORS_MAX } from "../domain/limits.ts";
import { type ImageSource, PULL_POLICIES, type ProgramMap, type ProgramRecord } from "../domain/program.ts";
import type { ProgramSummary } from "../platform/store.ts";
import {
  bytes,
  type Fields,
  fields,
  id,
  json,
  listOf,
  mapOf,
  nullable,
  oneOf,
  shape,
  text,
  time,
  whole,
} from "./decode.ts";

/** Columns of table `programs` that form the record, in the order of {@link programColumns}. */
const PROGRAM_COLUMNS = [
  "program_id",
  "name",
  "type",
  "attach_function",
  "section",
  "bytecode_path",
  "source_path",
  "image",
  "license",
  "gpl_compatible",
  "globals",
  "pin_path",
  "map_pin_path",
  "map_owner_id",
  "requested_map_owner_id",
  "maps",
  "metadata",
  "created_at_ms",
  "absolute_source_path",
  "loaded_at_ms",
  "bytecode_digest",
  "keep",
] as const;

function programColumns(record: ProgramRecord): (string | number | null)[] {
  const globals = Object.entries(record.globals).map(([name, value]) => [name, value.toBase64()]);
  return [
    record.id,
    record.name,
    record.type,
    record.attachFunction,
    record.section,
    record.bytecodePath,
    record.sourcePath,
    record.image === null ? null : JSON.stringify(record.image),
    record.license,
    record.gplCompatible ? 1 : 0,
    JSON.stringify(Object.fromEntries(globals)),
    record.pinPath,
    record.mapPinPath,
    record.mapOwnerId,
    record.requestedMapOwnerId,
    JSON.stringify(record.maps),
    JSON.stringify(record.metadata),
    record.createdAt.getTime(),
    record.absoluteSourcePath,
    record.loadedAt?.getTime() ?? null,
    record.bytecodeDigest,
    record.keep ? 1 : 0,
  ];
}

const aProgramId = (value: unknown, place: string) => programId(id(value, place));
const optionalText = nullable(text);
const optionalTime = nullable(time);
const optionalProgramId = nullable(aProgramId);
const programType = oneOf(PROGRAM_TYPES);
const image = nullable(json(shape<ImageSource>({ url: text, digest: text, pullPolicy: oneOf(PULL_POLICIES) })));
const globals = json(mapOf(bytes));
const own = shape<ProgramMap>({ id: (value, place) => mapId(id(value, place)), name: text, pinPath: optionalText });
const maps = json(
  listOf<ProgramMap>((value, place) => {
    const { foreign, entries, ...rest } = fields(value, place);
    return {
      ...own(rest, place),
      ...(foreign === true ? { foreign } : {}),
      ...(entries === undefined ? {} : { entries: whole(1)(entries, `${place}.entries`) }),
    };
  }),
);
export const metadata = json(mapOf(text));

const linkIds = json(listOf((value, place) => linkId(id(value, place))));

/** Throws Undecodable. */
function programSummary(row: Fields): ProgramSummary {
  return {
    id: aProgramId(row.program_id, "program_id"),
    name: text(row.name, "name"),
    type: programType(row.type, "type"),
    metadata: metadata(row.metadata, "metadata"),
    createdAt: time(row.created_at_ms, "created_at_ms"),
    links: linkIds(row.links, "links").sort((a, b) => a - b),
  };
}

/** Throws Undecodable. */
export function programRecord(row: Fields): ProgramRecord {
  return {
    id: aProgramId(row.program_id, "program_id"),
    name: text(row.name, "name"),
    type: programType(row.type, "type"),
    attachFunction: optionalText(row.attach_function, "attach_function"),
    section: text(row.section, "section"),
    bytecodePath: text(row.bytecode_path, "bytecode_path"),
    sourcePath: optionalText(row.source_path, "source_path"),
    // Missing in change log entries written before this column existed.
    absoluteSourcePath: optionalText(row.absolute_source_path ?? row.source_path, "absolute_source_path"),
    image: image(row.image, "image"),
    license: text(row.license, "license"),
    gplCompatible: row.gpl_compatible === 1,
    globals: globals(row.globals, "globals"),
    pinPath: text(row.pin_path, "pin_path"),
    mapPinPath: text(row.map_pin_path, "map_pin_path"),
    mapOwnerId: optionalProgramId(row.map_owner_id, "map_owner_id"),
    requestedMapOwnerId: optionalProgramId(row.requested_map_owner_id, "requested_map_owner_id"),
    maps: maps(row.maps, "maps"),
    metadata: metadata(row.metadata, "metadata"),
    createdAt: time(row.created_at_ms, "created_at_ms"),
    // Missing in those entries as well.
    loadedAt: optionalTime(row.loaded_at_ms ?? null, "loaded_at_ms"),
    bytecodeDigest: optionalText(row.bytecode_digest ?? null, "bytecode_digest"),
    keep: row.keep === 1,
  };
}

export const PROGRAMS: Reading<ProgramRecord> = { table: "programs", key: "program_id", record: programRecord };

const SUMMARIES: Reading<ProgramSummary> = { table: "programs", key: "program_id", record: programSummary };

const SELECT_SUMMARIES = `SELECT program_id, name, type, metadata, created_at_ms, state, (
    SELECT json_group_array(link_id) FROM links
    WHERE links.boot_id = programs.boot_id AND links.program_id = programs.program_id AND links.state = 'ready'
  ) AS links FROM programs WHERE boot_id = ? AND state = 'ready' ORDER BY program_id`;
const SELECT_MAP_USES = `SELECT program_id, map_pin_path, iif(json_valid(maps), (
    SELECT json_group_array(map.value ->> 'pinPath') FROM json_each(maps) AS map
    WHERE map.type = 'object' AND map.value ->> 'pinPath' IS NOT NULL
  ), NULL) AS map_pins FROM programs WHERE boot_id = ?`;
/** The text is searched as it stands, which takes a fifth of the time; it may have a path without using it. */
const NAMES_PATH = "map_pin_path = ? OR instr(maps, ?) > 0";
const SELECT_MAP_AT = `SELECT map.value ->> 'id' AS id, map.value ->> 'foreign' AS "foreign"
    FROM programs, json_each(iif(json_valid(maps), maps, '[]')) AS map
    WHERE boot_id = ? AND map.type = 'object' AND map.value ->> 'pinPath' = ? LIMIT 1`;
const HAS_MAP = `EXISTS (SELECT 1 FROM json_each(iif(json_valid(maps), maps, '[]')) AS map
    WHERE map.type = 'object' AND map.value ->> ? = ?)`;
/** Read from one end to the other: no index leads to the few programs of that type. */
const SELECT_REPLACING = `SELECT program_id FROM programs NOT INDEXED
    WHERE boot_id = ? AND type = 'freplace' AND attach_function LIKE ?`;
const INSERT_PROGRAM = `INSERT INTO programs (boot_id, owner, state, ${PROGRAM_COLUMNS.join(", ")})
  VALUES (?, ?, ?, ${PROGRAM_COLUMNS.map(() => "?").join(", ")})`;

/** Older rows than those are forgotten. */
export const TRIM_SUCCESSORS = "DELETE FROM successors WHERE rowid <= (SELECT max(rowid) FROM successors) - ?";

interface MapUseRow {
  readonly program_id: number;
  readonly map_pin_path: string;
  readonly map_pins: string | null;
}

/** Programs and their maps. */
export function programRows(on: Opened) {
  const { database, path, bootId } = on;
  return {
    insertProgram(record, state) {
      named("insert a program", path, () => {
        database.query(INSERT_PROGRAM).run(bootId, on.owner, state, ...programColumns(record));
      });
    },
    setProgramState: (id, state) => update(on, PROGRAMS, id, { state }),
    setMaps: (id, maps) => update(on, PROGRAMS, id, { maps: JSON.stringify(maps) }),
    forgetBytecode: (id) => update(on, PROGRAMS, id, { bytecode_digest: null }),
    deleteProgram: (id) => remove(on, PROGRAMS, id),
    program: (id) => records(on, PROGRAMS, "state = 'ready' AND program_id = ?", id)[0] ?? null,
    programs: () => records(on, PROGRAMS, "state = 'ready'"),
    programsReplacing: (target) =>
      records(on, PROGRAMS, `state = 'ready' AND program_id IN (${SELECT_REPLACING})`, bootId, `${target}/%`),
    programsWithMap: (key, value) => records(on, PROGRAMS, `state = 'ready' AND ${HAS_MAP}`, key, value),
    programSummaries: () =>
      named("read programs", path, () => {
        const rows = database.query<Fields, SQLQueryBindings[]>(SELECT_SUMMARIES).all(bootId);
        return rows.map((row) => decoded(row, SUMMARIES, path).record);
      }),
    bytecodeUses: (bytecode) =>
      named("read programs", path, () => {
        const sql = "SELECT count(*) AS uses FROM programs WHERE bytecode_path = ?";
        return database.query<{ uses: number }, SQLQueryBindings[]>(sql).get(bytecode)?.uses ?? 0;
      }),
    bytecodePaths: () =>
      named("read programs", path, () => {
        const sql = "SELECT DISTINCT bytecode_path FROM programs";
        return new Set(
          database
            .query<{ bytecode_path: string }, []>(sql)
            .values()
            .map(([each]) => String(each)),
        );
      }),
    unsettledPrograms: () => select(on, PROGRAMS, "state <> 'ready'"),
    mapUsers(owner: ProgramId): ProgramId[] {
      const sql = `SELECT program_id FROM programs NOT INDEXED WHERE boot_id = ? AND (program_id = ? OR map_owner_id = ?) ORDER BY 1`;
      const rows = named("read programs", path, () =>
        database.query<{ program_id: number }, SQLQueryBindings[]>(sql).all(bootId, owner, owner),
      );
      return rows.map((row) => programId(row.program_id));
    },

    addSuccessor: (id, next) =>
      named("record a successor", path, () => {
        const sql = "INSERT OR REPLACE INTO successors VALUES (?, ?, ?, ?)";
        database.query(sql).run(bootId, id, bootId, next);
        database.query(TRIM_SUCCESSORS).run(SUCCESSORS_MAX);
      }),
    dropSuccessor: (id) =>
      named("forget a successor", path, () => {
        database.query("DELETE FROM successors WHERE boot_id = ? AND program_id = ?").run(bootId, id);
      }),
    successor: (id, from) =>
      named("read successors", path, () => {
        const sql = `SELECT successor_id AS id, boot_id <> successor_boot_id AS restored FROM successors
          WHERE program_id = ?1 AND successor_boot_id = ?2 AND boot_id = ifnull(?3, boot_id)
          ORDER BY restored, rowid DESC LIMIT 1`;
        const row = database
          .query<{ id: number; restored: number }, SQLQueryBindings[]>(sql)
          .get(id, bootId, from ?? null);
        return row && { id: programId(row.id), restored: row.restored === 1 };
      }),
    predecessor: (id) =>
      named("read successors", path, () => {
        const sql =
          "SELECT program_id AS id FROM successors WHERE successor_id = ?1 AND boot_id = ?2 AND successor_boot_id = ?2";
        const row = database.query<{ id: number }, SQLQueryBindings[]>(sql).get(id, bootId);
        return row && programId(row.id);
      }),
    takeOver: (id, next, { maps }) =>
      named("update programs", path, () => {
        const columns = ["owner", "keep", "applied", ...(maps ? ["map_owner_id", "requested_map_owner_id"] : [])];
        const set = columns.map((column) => `${column} = old.${column}`).join(", ");
        const sql = `UPDATE programs SET ${set} FROM programs AS old
          WHERE programs.boot_id = ?1 AND programs.program_id = ?2 AND old.boot_id = ?1 AND old.program_id = ?3`;
        database.query(sql).run(bootId, next, id);
        database
          .query("UPDATE wishes SET program_id = ?2 WHERE boot_id = ?1 AND program_id = ?3")
          .run(bootId, next, id);
        if (!maps) return;
        for (const column of ["map_owner_id", "requested_map_owner_id"]) {
          const rename = `UPDATE programs SET ${column} = ?2 WHERE boot_id = ?1 AND ${column} = ?3`;
          database.query(rename).run(bootId, next, id);
        }
      }),

    mapDirectories: () =>
      named("read map pins", path, () => {
        const sql = "SELECT map_pin_path FROM programs NOT INDEXED WHERE boot_id = ?";
        const rows = database.query<unknown, SQLQueryBindings[]>(sql).values(bootId);
        return new Set(rows.map(([each]) => String(each)));
      }),

    mapUses: (paths) =>
      named("read map pins", path, () => {
        const near = paths?.flatMap((each) => [each, JSON.stringify(each).slice(1, -1)]) ?? [];
        const only = paths && ` AND (${["NOT json_valid(maps)", ...paths.map(() => NAMES_PATH)].join(" OR ")})`;
        const sql = `${SELECT_MAP_USES}${only ?? ""}`;
        const rows = database.query<MapUseRow, SQLQueryBindings[]>(sql).all(bootId, ...near);
        return rows.map(({ program_id, map_pin_path, map_pins }) => ({
          id: programId(program_id),
          mapPinPath: map_pin_path,
          mapPins: map_pins === null ? null : (JSON.parse(map_pins) as string[]),
        }));
      }),

    mapPinnedAt: (pin) =>
      named("read map pins", path, () => {
        const row = database
          .query<{ id: number; foreign: number | null }, SQLQueryBindings[]>(SELECT_MAP_AT)
          .get(bootId, pin);
        return row && { id: mapId(row.id), foreign: row.foreign === 1 };
      }),
  } satisfies Partial<StorePort>;
}
