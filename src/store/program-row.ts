import { linkId, mapId, programId } from "../domain/ids.ts";
import { PROGRAM_TYPES } from "../domain/kinds.ts";
import {
  type ImageSource,
  PULL_POLICIES,
  type ProgramMap,
  type ProgramRecord,
  type RowState,
} from "../domain/program.ts";
import type { ProgramSummary } from "../platform/store.ts";
import { bytes, type Fields, fields, id, json, listOf, mapOf, nullable, oneOf, shape, text, time } from "./decode.ts";

/** Columns of table `programs` that form the record, in the order of {@link programColumns}. */
export const PROGRAM_COLUMNS = [
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
] as const;

export function programColumns(record: ProgramRecord): (string | number | null)[] {
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
  ];
}

export const ROW_STATES: readonly RowState[] = ["pending", "ready", "removing"];

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
    const { foreign, ...rest } = fields(value, place);
    return foreign === true ? { ...own(rest, place), foreign } : own(value, place);
  }),
);
export const metadata = json(mapOf(text));

const linkIds = json(listOf((value, place) => linkId(id(value, place))));

/** Throws Undecodable. */
export function programSummary(row: Fields): ProgramSummary {
  return {
    id: aProgramId(row.program_id, "program_id"),
    name: text(row.name, "name"),
    type: programType(row.type, "type"),
    metadata: metadata(row.metadata, "metadata"),
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
  };
}
