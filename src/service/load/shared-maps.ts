/** Finds the existing maps that a load uses: maps named in the request, a map owner's, and maps pinned by name. */
import { mapId, type ProgramId } from "../../domain/ids.ts";
import type { ProgramRecord } from "../../domain/program.ts";
import type { ObjectFile, ObjectMap } from "../../domain/object-file.ts";
import { mapPin } from "../../domain/pin.ts";
import { BpfmanError } from "../../errors/error.ts";
import type { ObjectForLibbpf } from "../../object/object-file.ts";
import { whatThereIs } from "../../errors/suggest.ts";
import type { Host } from "../../platform/host.ts";
import type { MapToReuse } from "../../platform/kernel.ts";
import type { LoadRequest } from "../requests/load-request.ts";
import { isStruct, needsSize, requireSameShape, type There } from "./map-shape.ts";

/** An existing map to use. */
export interface SharedMap extends MapToReuse {
  /** It was pinned by somebody else. */
  readonly foreign: boolean;
}

interface Found extends There {
  readonly pin: SharedMap;
}

/**
 * Returns the map at a path, which must be the one that rows name there; null if there is no pin. Throws
 * STATE_CONFLICT.
 */
function pinnedMap(host: Host, path: string, owner = `"${path}"`): Found | null {
  const known = host.store.mapPinnedAt(path);
  const handle = host.kernel.openPin(known === null ? path : mapPin(path, known.id));
  if (handle === null) return null;
  try {
    if (handle.kind !== "map") {
      throw new BpfmanError("STATE_CONFLICT", `pin "${path}" holds a ${handle.kind}, not a map`, { details: { path } });
    }
    const map = host.kernel.map(handle.id);
    return map && { pin: { ...mapPin(path, map.id), foreign: known?.foreign ?? true }, map, path, owner };
  } finally {
    handle.close();
  }
}

/** Returns the pins of the maps of all programs that share this one's, by full name; its own before those of others. */
export function mapsInUse(host: Host, record: ProgramRecord): Map<string, string> {
  const sharing = host.store.programs().filter(({ mapPinPath }) => mapPinPath === record.mapPinPath);
  const maps = [...sharing, record].flatMap((program) => program.maps);
  return new Map(maps.flatMap(({ name, pinPath }) => (pinPath === null ? [] : [[name, pinPath] as const])));
}

/** Pins of the maps of a program, by full name. */
export interface OwnedMaps {
  readonly owner: ProgramId;
  readonly pins: ReadonlyMap<string, string>;
}

/** Throws MAP_OWNER_NOT_FOUND. */
function ownedMaps(host: Host, owner: ProgramId): OwnedMaps {
  const record = host.store.program(owner);
  if (record === null || record.mapOwnerId !== null) {
    throw new BpfmanError("MAP_OWNER_NOT_FOUND", `map_owner_id ${owner} does not exist`, {
      details: { map_owner_id: owner },
      ...(record === null
        ? {}
        : { hint: `program ${owner} uses the maps of program ${record.mapOwnerId}; name that one` }),
    });
  }
  return { owner, pins: mapsInUse(host, record) };
}

/** Returns the map that a request names. Throws MAP_NOT_FOUND, STATE_CONFLICT. */
function namedMap(host: Host, name: string, source: string | number): Found {
  if (typeof source === "number") {
    const map = host.kernel.map(mapId(source));
    if (map === null) {
      throw new BpfmanError("MAP_NOT_FOUND", `share map "${name}": the kernel has no map ${source}`, {
        details: { map: name, map_id: source },
        hint: 'see "bpfman map list --all" for the maps that there are',
      });
    }
    return {
      ...{ pin: { kind: "map", id: map.id, path: null, foreign: false }, map, path: null },
      ...{ owner: `map ${source}`, by: "request" },
    };
  }
  const path = host.files.absolute(source);
  const found = pinnedMap(host, path);
  if (found !== null) return { ...found, by: "request" };
  throw new BpfmanError("MAP_NOT_FOUND", `share map "${name}": nothing is pinned at "${path}"`, {
    details: { map: name, path },
    hint: 'see "bpfman map list", which names the pins with -o json',
  });
}

/** If an owner's pin is gone, its map must not be replaced with a new one. Throws STATE_CONFLICT. */
function ownersMap(
  host: Host,
  name: string,
  { path, owner }: { readonly path: string; readonly owner: number },
): Found {
  const found = pinnedMap(host, path, `program ${owner} ("${path}")`);
  if (found !== null) return { ...found, by: "owner" };
  throw new BpfmanError("STATE_CONFLICT", `map "${name}" of program ${owner} has lost its pin "${path}"`, {
    details: { map: name, path },
    hint: `unload program ${owner} and load it again`,
  });
}

interface Asked {
  /** The object file's contents. */
  readonly bytes: Uint8Array;
  readonly object: ObjectFile;
  readonly unusedMaps: ReadonlySet<string>;
  readonly structs: ObjectForLibbpf["structs"];
  readonly request: Pick<LoadRequest, "maps" | "mapEntries"> & {
    readonly mapOwnerId: ProgramId | null;
    /** Those of a program whose place is taken. */
    readonly kept?: OwnedMaps | null;
  };
}

/** Throws MAP_NOT_FOUND if the object lacks one of the names. */
function requireKnown({ maps }: ObjectFile, names: readonly string[]): void {
  const known = maps.map(({ name }) => name);
  const unknown = names.find((name) => !known.includes(name));
  if (unknown === undefined) return;
  throw new BpfmanError("MAP_NOT_FOUND", `no map "${unknown}" in the object`, {
    details: { map: unknown, maps: known },
    hint: whatThereIs(unknown, known, { there: "the object has", none: "the object has no maps" }),
  });
}

/** How a load handles the object's maps. */
export interface MapPlan {
  /** Existing maps to use, by full name. */
  readonly reuse: ReadonlyMap<string, SharedMap>;
  /** Sizes from the request, by full name. */
  readonly maxEntries: ReadonlyMap<string, number>;
}

/**
 * Returns the existing maps to use, after checking their shapes, and the sizes of maps to create, without those in `unusedMaps`.
 * Throws MAP_OWNER_NOT_FOUND, MAP_NOT_FOUND, MAP_MISMATCH, MAP_SIZE_MISSING, and STATE_CONFLICT if an owner's pin is gone or
 * a pin holds a different map than our rows say.
 */
export function planMaps(host: Host, { bytes, object, unusedMaps, structs, request }: Asked): MapPlan {
  const { maps: named, mapEntries, mapOwnerId, kept = null } = request;
  requireKnown(object, [...Object.keys(named), ...Object.keys(mapEntries)]);
  const owned = mapOwnerId === null ? kept : ownedMaps(host, mapOwnerId);

  const find = ({ name, pinByName }: ObjectMap): Found | null => {
    const source = named[name];
    if (source !== undefined) return namedMap(host, name, source);
    const path = owned?.pins.get(name);
    if (path !== undefined && owned !== null) return ownersMap(host, name, { path, owner: owned.owner });
    return pinByName ? pinnedMap(host, host.pins.paths.sharedMap(name)) : null;
  };

  const reuse = new Map<string, SharedMap>();
  for (const defined of object.maps) {
    if (unusedMaps.has(defined.name)) continue;
    const map = { ...defined, maxEntries: mapEntries[defined.name] ?? defined.maxEntries };
    const found = find(map);
    if (found === null) {
      requireSize(map);
      continue;
    }
    const content = host.kernel.mapContent(found.map.id);
    requireSameShape(map, found, content && { content, bytes });
    reuse.set(map.name, found.pin);
  }
  // Of the same struct, more members: the kernel checks each program by itself.
  for (const name of structs.keys()) {
    const path = owned?.pins.get(name);
    if (path === undefined || owned === null) continue;
    const { map, pin, owner } = ownersMap(host, name, { path, owner: owned.owner });
    if (!isStruct(map)) {
      throw new BpfmanError("MAP_MISMATCH", `share struct "${name}": the map "${name}" of ${owner} is no struct`, {
        details: { map: name },
        hint: "leave out the owner",
      });
    }
    reuse.set(name, pin);
  }
  return { reuse, maxEntries: new Map(Object.entries(mapEntries)) };
}

function requireSize({ name, type, maxEntries }: ObjectMap): void {
  if ((maxEntries ?? 0) > 0 || !needsSize(type)) return;
  throw new BpfmanError("MAP_SIZE_MISSING", `map "${name}" has no max_entries: its own loader sets its size`, {
    details: { map: name },
    hint: `choose a size, for example --map-entries ${name}=65536`,
  });
}
