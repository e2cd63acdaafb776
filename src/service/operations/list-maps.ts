import type { MapListAnswer, MapStatusAnswer } from "../../domain/answer.ts";
import type { MapId } from "../../domain/ids.ts";
import { MAP_ENTRIES_COUNTED_MAX } from "../../domain/limits.ts";
import type { Host } from "../../platform/host.ts";
import { type KnownMap, knownMaps } from "../map/find-map.ts";
import { countEntries, mapStatus } from "../map/map-status.ts";
import { typesOf } from "../map/typed-map.ts";
import { type Context, operation } from "../operation.ts";
import { programIdOf, programMissing } from "../require-record.ts";
import { type ListMapsRequest, listMapsRequest } from "../requests/map-requests.ts";

/** The programs of each map, also those that bpfman did not load. */
function users(host: Host): ReadonlyMap<MapId, readonly number[]> {
  const found = new Map<MapId, number[]>();
  for (const id of host.kernel.programIds()) {
    for (const map of host.kernel.program(id)?.mapIds ?? []) found.set(map, [...(found.get(map) ?? []), id]);
  }
  return found;
}

function statusOf(host: Host, known: KnownMap, view: ListMapsRequest["view"]): MapStatusAnswer[] {
  const open = host.kernel.openMap(known.id);
  if (open === null) return [];
  try {
    const types = view === "full" ? typesOf(host, known, open, false) : null;
    const answer = mapStatus(host, known, {
      entries: countEntries(open, MAP_ENTRIES_COUNTED_MAX),
      key_type: types?.typed.key ? types.key.name : null,
      value_type: types?.typed.value ? types.value.name : null,
    });
    return answer === null ? [] : [answer];
  } finally {
    open.close();
  }
}

function listMaps(host: Host, { programId: named, all, view }: ListMapsRequest, context: Context): MapListAnswer {
  const known = knownMaps(host);
  const only = named === null ? null : programIdOf(host, named, context);
  const program = only === null ? null : host.kernel.program(only);
  if (only !== null && program === null) throw programMissing(host, only);
  const ours = [...known.keys()].sort((a, b) => a - b);
  const ids = program?.mapIds ?? (all ? host.kernel.mapIds() : ours);
  const byMap = all || program !== null ? users(host) : null;
  const maps = ids.flatMap((id) => {
    const stranger = { id, name: host.kernel.map(id)?.name ?? "", programs: [], pins: [], managed: false };
    return statusOf(host, known.get(id) ?? stranger, view).map((map) =>
      byMap === null ? map : { ...map, programs: byMap.get(id) ?? map.programs },
    );
  });
  return { maps };
}

export const implementation = operation({ request: listMapsRequest, run: listMaps });
