/** Finds the map that a user names, and whose it is. */
import { type MapId, mapId, programId } from "../../domain/ids.ts";
import { ID_MAX, LISTED_NAMES_MAX } from "../../domain/limits.ts";
import { mapPin } from "../../domain/pin.ts";
import { applicationOf, type ProgramMap, type ProgramRecord } from "../../domain/program.ts";
import { BpfmanError } from "../../errors/error.ts";
import { whatThereIs } from "../../errors/suggest.ts";
import { ifPermitted } from "../../inspect/map-answer.ts";
import type { Host } from "../../platform/host.ts";
import type { Adapter } from "../../platform/runtime.ts";

interface Named {
  readonly id: MapId;
  /** In full; of a map that none of bpfman's programs uses, up to 15 characters. */
  readonly name: string;
}

/** A map as bpfman's programs have it. */
export interface KnownMap extends Named {
  /** bpfman's programs that use it. Ascending. */
  readonly programs: readonly ProgramRecord[];
  /** Where bpfman knows it to be pinned. */
  readonly pins: readonly string[];
  /** One of bpfman's programs made it: it was not there before. */
  readonly managed: boolean;
}

/** The maps of these programs of bpfman's, by ID. */
export function knownMaps(records: readonly ProgramRecord[]): ReadonlyMap<MapId, KnownMap> {
  const uses = new Map<MapId, { readonly record: ProgramRecord; readonly map: ProgramMap }[]>();
  for (const record of records) {
    for (const map of record.maps) uses.set(map.id, [...(uses.get(map.id) ?? []), { record, map }]);
  }
  return new Map(
    [...uses].map(([id, each]) => [
      id,
      {
        id,
        name: each[0]?.map.name ?? "",
        programs: each.map(({ record }) => record),
        pins: [...new Set(each.flatMap(({ map }) => map.pinPath ?? []))],
        managed: each.some(({ map }) => map.foreign !== true),
      },
    ]),
  );
}

/** A map that none of bpfman's programs uses. */
export const stranger = (id: MapId, name: string): KnownMap => ({ id, name, programs: [], pins: [], managed: false });

const missing = (named: string, hint: string): BpfmanError =>
  new BpfmanError("MAP_NOT_FOUND", `no map "${named}"`, { details: { map: named, named }, hint });

const SEE_LIST = 'see "bpfman map list --all"';

function byId(host: Host, id: MapId): KnownMap {
  const known = knownMaps(host.store.programsWithMap("id", id)).get(id);
  if (known !== undefined) return known;
  const kernel = host.kernel.map(id);
  if (kernel === null) throw missing(String(id), SEE_LIST);
  return stranger(id, kernel.name);
}

/** Whether a map is named by its ID. */
export const isMapId = (named: string | number): boolean => /^\d+$/.test(String(named)) && Number(named) <= ID_MAX;

/** The adapters that reading this map uses (`Operation.uses`): a map that is named by its ID is read without the database. */
export const adaptersFor = (named: string | number): readonly Adapter[] =>
  isMapId(named) ? ["kernel"] : ["store", "kernel"];

/**
 * The map with that ID. The database and the kernel are asked only when somebody reads a field that is not given here, which throws
 * MAP_NOT_FOUND if there is no such map.
 */
export function mapWithId(host: Host, id: MapId, ownName?: string): KnownMap {
  let found: KnownMap | null = null;
  const known = (): KnownMap => {
    found ??= byId(host, id);
    return found;
  };
  return {
    id,
    get name() {
      return ownName ?? known().name;
    },
    get programs() {
      return known().programs;
    },
    get pins() {
      return known().pins;
    },
    get managed() {
      return known().managed;
    },
  };
}

/** The one of several that is meant. Throws MAP_AMBIGUOUS, MAP_NOT_FOUND. */
function only(named: string, found: readonly KnownMap[], others: readonly string[]): KnownMap {
  const [first, ...more] = found;
  if (first === undefined) {
    throw missing(
      named,
      `${whatThereIs(named, [...new Set(others)], { there: "there are", none: "there are none" })}; ${SEE_LIST}`,
    );
  }
  if (more.length === 0) return first;
  const candidates = found.map(({ id, name, programs }) => {
    const [program] = programs;
    return program === undefined ? `${id} (${name})` : `${id} (${program.id}/${name} of ${program.name})`;
  });
  const shown = candidates.slice(0, LISTED_NAMES_MAX).join(", ");
  throw new BpfmanError("MAP_AMBIGUOUS", `"${named}" fits ${found.length} maps: ${shown}`, {
    details: { map: named, map_ids: found.map(({ id }) => id) },
    hint: "name one by its id, or as PROGRAM_ID/NAME",
  });
}

/** The map pinned at a path. Throws MAP_NOT_FOUND, STATE_CONFLICT. */
function byPin(host: Host, path: string): KnownMap {
  const recorded = host.store.mapPinnedAt(path);
  const handle = host.kernel.openPin(recorded === null ? path : mapPin(path, recorded.id));
  if (handle === null) throw missing(path, 'nothing is pinned there; see "bpfman map list"');
  try {
    if (handle.kind !== "map") {
      throw new BpfmanError("STATE_CONFLICT", `pin "${path}" holds a ${handle.kind}, not a map`, {
        details: { path },
        hint: '"bpfman map list -o json" shows the pins of maps',
      });
    }
    return byId(host, handle.id);
  } finally {
    handle.close();
  }
}

/** Maps of a program of bpfman's, or of another. The kernel's names are shorter, but unique within most programs. */
function ofProgram(host: Host, id: number): readonly Named[] {
  const record = host.store.program(programId(id));
  if (record !== null) return record.maps;
  const program = host.kernel.program(programId(id));
  // Loaded only for a mistake.
  const failure = () => require("../require-record.ts") as typeof import("../require-record.ts");
  if (program === null) throw failure().programMissing(host, programId(id));
  return program.mapIds.map((map) => byId(host, map));
}

/**
 * Returns the map that is named by an ID, `PROGRAM_ID/NAME`, `APPLICATION/NAME`, a pin's path, or a name that only one map has;
 * of several, that of bpfman's programs counts. Throws MAP_NOT_FOUND, MAP_AMBIGUOUS, PROGRAM_NOT_FOUND, STATE_CONFLICT.
 */
export function findMap(host: Host, named: string | number): KnownMap {
  const word = String(named);
  if (/^\d+$/.test(word)) {
    if (Number(word) > ID_MAX) throw missing(word, SEE_LIST);
    return byId(host, mapId(Number(word)));
  }
  if (/^\.{0,2}\//.test(word)) return byPin(host, host.files.absolute(word));
  const slash = word.lastIndexOf("/");
  const [owner, name] = [word.slice(0, Math.max(slash, 0)), word.slice(slash + 1)];
  if (slash >= 0) {
    const all = /^\d+$/.test(owner) ? [] : [...knownMaps(host.store.programs()).values()];
    const maps = /^\d+$/.test(owner)
      ? ofProgram(host, Number(owner))
      : all.filter(({ programs }) => programs.some(({ metadata }) => applicationOf(metadata) === owner));
    // A word that names no application may be the name of a program, whose maps have names of their own.
    const others = maps.length > 0 ? maps.map((map) => `${owner}/${map.name}`) : all.map((map) => map.name);
    return only(word, mapsNamed(host, maps, name), others);
  }
  const exact = host.store.programsWithMap("name", name).flatMap(({ maps }) => maps);
  const known = exact.length > 0 ? exact : [...knownMaps(host.store.programs()).values()];
  const ours = mapsNamed(host, known, name);
  if (ours.length > 0) return only(word, ours, []);
  const all = host.kernel.mapIds().flatMap((id) => host.kernel.map(id) ?? []);
  const others = all.filter((map) => map.name === name).map((map) => stranger(map.id, map.name));
  return only(
    word,
    others,
    known.map((map) => map.name),
  );
}

/** Those of that name; if none has it in full, those that the kernel calls so. */
function mapsNamed(host: Host, maps: readonly Named[], name: string): readonly KnownMap[] {
  const exact = maps.filter((map) => map.name === name);
  const found =
    exact.length > 0 ? exact : maps.filter((map) => ifPermitted(() => host.kernel.map(map.id))?.name === name);
  const unique = new Map(found.map((map) => [map.id, map.name]));
  return [...unique].map(([id, own]) => mapWithId(host, id, own));
}

/** Throws MAP_NOT_MANAGED for a map that is not bpfman's, unless the user insists. */
export function requireOurs({ id, name, managed, programs }: KnownMap, foreign: boolean): void {
  if (managed || foreign) return;
  const whose = programs.length === 0 ? "no program of bpfman uses it" : "another tool made it";
  throw new BpfmanError("MAP_NOT_MANAGED", `map ${id} (${name}) is not bpfman's: ${whose}`, {
    details: { map_id: id },
    hint: "give --foreign to change it all the same",
  });
}
