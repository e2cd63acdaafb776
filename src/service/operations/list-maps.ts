import type { MapListAnswer, MapStatusAnswer } from "../../domain/answer.ts";
import type { MapId } from "../../domain/ids.ts";
import { MAP_ENTRIES_COUNTED_MAX } from "../../domain/limits.ts";
import { ifPermitted } from "../../inspect/map-answer.ts";
import type { Host } from "../../platform/host.ts";
import type { MapOpener } from "../../platform/kernel.ts";
import { type KnownMap, knownMaps, stranger } from "../map/find-map.ts";
import { countEntries, mapStatus, usersOfMaps } from "../map/map-status.ts";
import { typesOf } from "../map/typed-map.ts";
import { type Context, operation } from "../operation.ts";
import { programIdOf, programMissing } from "../require-record.ts";
import { type ListMapsRequest, listMapsRequest } from "../requests/map-requests.ts";

interface Subject {
  readonly id: MapId;
  /** Undefined for a map that none of bpfman's programs uses. */
  readonly known: KnownMap | undefined;
  readonly users: readonly number[] | undefined;
  readonly openMap: MapOpener;
}

/** Empty for a map that is gone, or not to be seen. */
function statusOf(
  host: Host,
  { id, known, users, openMap }: Subject,
  view: ListMapsRequest["view"],
): MapStatusAnswer[] {
  const open = ifPermitted(() => openMap(id));
  if (open === null) return [];
  try {
    const map = known ?? stranger(id, open.map.name);
    const types = view === "full" ? typesOf(host, map, open, false) : null;
    const answer = mapStatus(host, map, open, {
      entries: countEntries(open, MAP_ENTRIES_COUNTED_MAX),
      key_type: types?.typed.key ? types.key.name : null,
      value_type: types?.typed.value ? types.value.name : null,
      users,
    });
    return [answer];
  } finally {
    open.close();
  }
}

async function listMaps(
  host: Host,
  { programId: named, all, view }: ListMapsRequest,
  context: Context,
): Promise<MapListAnswer> {
  const known = knownMaps(host.store.programs());
  const only = named === null ? null : programIdOf(host, named, context);
  const program = only === null ? null : host.kernel.program(only);
  if (only !== null && program === null) throw programMissing(host, only);
  const ours = [...known.keys()].sort((a, b) => a - b);
  const ids = program?.mapIds ?? (all ? host.kernel.mapIds() : ours);
  const users = all || program !== null ? usersOfMaps(host) : null;
  const openMap = await host.kernel.mapOpener();
  return {
    maps: ids.flatMap((id) => statusOf(host, { id, known: known.get(id), users: users?.get(id), openMap }, view)),
  };
}

export const implementation = operation({
  get request() {
    return listMapsRequest();
  },
  run: listMaps,
});
