/** Which maps a load takes over instead of creating: those of a map owner, and those pinned by name. */
import { type ProgramId, programId } from "../../domain/ids.ts";
import { mapTypeJson } from "../../domain/kernel-words.ts";
import type { ObjectFile, ObjectMap } from "../../domain/object-file.ts";
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

/** A size that the object leaves open (null) fits any. */
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

/** The map behind a pin; null when there is no pin. */
function pinnedMap(host: Host, path: string): KernelMap | null {
  const handle = host.kernel.openPin(path);
  if (handle === null) return null;
  try {
    if (handle.kind !== "map") {
      throw new BpfmanError("STATE_CONFLICT", `pin "${path}" holds a ${handle.kind}, not a map`, { details: { path } });
    }
    return host.kernel.map(handle.id as KernelMap["id"]);
  } finally {
    handle.close();
  }
}

/** Pins of all maps that live in the folder of `owner`, by full name. Throws MAP_OWNER_NOT_FOUND. */
function ownerPins(host: Host, owner: ProgramId): Map<string, string> {
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
 * Full map name -> pin path for every map to take over, shapes checked. Throws MAP_OWNER_NOT_FOUND, MAP_MISMATCH, and
 * STATE_CONFLICT when an owner's pin has gone.
 */
export function mapsToReuse(host: Host, object: ObjectFile, requestedOwner: number | null): Map<string, string> {
  const reuse = new Map<string, string>();
  const pins = requestedOwner === null ? new Map<string, string>() : ownerPins(host, programId(requestedOwner));
  for (const map of object.maps) {
    const owned = pins.get(map.name);
    if (owned !== undefined) {
      const there = pinnedMap(host, owned);
      if (there === null) {
        throw new BpfmanError(
          "STATE_CONFLICT",
          `map "${map.name}" of program ${requestedOwner} has lost its pin "${owned}"`,
          {
            details: { map: map.name, path: owned },
            hint: `unload program ${requestedOwner} and load it again`,
          },
        );
      }
      requireSameShape(map, there, `program ${requestedOwner}`);
      reuse.set(map.name, owned);
    } else if (map.pinByName) {
      const path = host.pins.paths.sharedMap(map.name);
      const there = pinnedMap(host, path);
      if (there === null) continue;
      requireSameShape(map, there, `"${path}"`);
      reuse.set(map.name, path);
    }
  }
  return reuse;
}
