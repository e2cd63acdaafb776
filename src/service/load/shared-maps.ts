/** Determines which maps a load reuses instead of creating: those of a map owner, and those pinned by name. */
import { type ProgramId, programId } from "../../domain/ids.ts";
import { mapTypeJson } from "../../domain/kernel-words.ts";
import type { ObjectFile, ObjectMap } from "../../domain/object-file.ts";
import { mapPin, type Pin } from "../../domain/pin.ts";
import { BpfmanError } from "../../errors/error.ts";
import type { Host } from "../../platform/host.ts";
import type { KernelMap } from "../../platform/kernel.ts";

interface Shape {
  readonly type: number;
  readonly keySize: number | null;
  readonly valueSize: number | null;
}

const shapeText = (shape: Shape): string =>
  `${mapTypeJson(shape.type)}, key ${shape.keySize ?? "?"} bytes, value ${shape.valueSize ?? "?"} bytes`;

/** A size the object leaves open (null) matches any. */
const fits = (wanted: number | null, there: number): boolean => wanted === null || wanted === there;

function requireSameShape(wanted: ObjectMap, there: KernelMap, owner: string): void {
  const same =
    wanted.type === there.type && fits(wanted.keySize, there.keySize) && fits(wanted.valueSize, there.valueSize);
  if (same) return;
  throw new BpfmanError(
    "MAP_MISMATCH",
    `map "${wanted.name}" cannot be shared with ${owner}: the object has ${shapeText(wanted)}; the kernel has ${shapeText(there)}`,
    { details: { map: wanted.name, map_id: there.id }, hint: "make both definitions agree, or load without sharing" },
  );
}

/** A map to reuse. */
export interface SharedMap extends Pin {
  /** It was pinned by somebody else. */
  readonly foreign: boolean;
}

interface There {
  readonly pin: SharedMap;
  readonly map: KernelMap;
}

/**
 * Returns the map at a path, which must be the one that rows name there; null if there is no pin. Throws
 * STATE_CONFLICT.
 */
function pinnedMap(host: Host, path: string): There | null {
  const known = host.store.mapPinnedAt(path);
  const handle = host.kernel.openPin(known === null ? path : mapPin(path, known.id));
  if (handle === null) return null;
  try {
    if (handle.kind !== "map") {
      throw new BpfmanError("STATE_CONFLICT", `pin "${path}" holds a ${handle.kind}, not a map`, { details: { path } });
    }
    const map = host.kernel.map(handle.id);
    return map && { pin: { ...mapPin(path, map.id), foreign: known?.foreign ?? true }, map };
  } finally {
    handle.close();
  }
}

/** Returns the maps of all programs that use those of `owner`, by full name. Throws MAP_OWNER_NOT_FOUND. */
function ownedMaps(host: Host, owner: ProgramId): Map<string, string> {
  const record = host.store.program(owner);
  if (record === null || record.mapOwnerId !== null) {
    throw new BpfmanError("MAP_OWNER_NOT_FOUND", `map_owner_id ${owner} does not exist`, {
      details: { map_owner_id: owner },
      ...(record === null
        ? {}
        : { hint: `program ${owner} uses the maps of program ${record.mapOwnerId}; name that one` }),
    });
  }
  const pins = new Map<string, string>();
  for (const program of host.store.programs()) {
    if (program.mapPinPath !== record.mapPinPath) continue;
    for (const map of program.maps) if (map.pinPath !== null) pins.set(map.name, map.pinPath);
  }
  return pins;
}

/**
 * Returns every map to reuse by full name, after checking its definition. Throws MAP_OWNER_NOT_FOUND, MAP_MISMATCH, and
 * STATE_CONFLICT if an owner's pin is missing, or a pin holds another map than recorded.
 */
export function mapsToReuse(host: Host, object: ObjectFile, requestedOwner: number | null): Map<string, SharedMap> {
  const reuse = new Map<string, SharedMap>();
  const owned = requestedOwner === null ? new Map<string, string>() : ownedMaps(host, programId(requestedOwner));
  for (const map of object.maps) {
    const ofOwner = owned.get(map.name);
    if (ofOwner !== undefined) {
      const there = pinnedMap(host, ofOwner);
      if (there === null) {
        throw new BpfmanError(
          "STATE_CONFLICT",
          `map "${map.name}" of program ${requestedOwner} has lost its pin "${ofOwner}"`,
          {
            details: { map: map.name, path: ofOwner },
            hint: `unload program ${requestedOwner} and load it again`,
          },
        );
      }
      requireSameShape(map, there.map, `program ${requestedOwner}`);
      reuse.set(map.name, there.pin);
    } else if (map.pinByName) {
      const path = host.pins.paths.sharedMap(map.name);
      const there = pinnedMap(host, path);
      if (there === null) continue;
      requireSameShape(map, there.map, `"${path}"`);
      reuse.set(map.name, there.pin);
    }
  }
  return reuse;
}
