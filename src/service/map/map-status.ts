import type { MapStatusAnswer } from "../../domain/answer.ts";
import { mapKind } from "../../domain/map-kinds.ts";
import { MAP_BATCH_ENTRIES_MAX } from "../../domain/limits.ts";
import type { MapId } from "../../domain/ids.ts";
import { answerOf, ifPermitted } from "../../inspect/map-answer.ts";
import type { Host } from "../../platform/host.ts";
import type { OpenMap } from "../../platform/kernel.ts";
import type { KnownMap } from "./find-map.ts";

/** How many entries a map has; null if there are no entries to count, or more than `most`. */
export function countEntries({ map, batches }: OpenMap, most = Number.POSITIVE_INFINITY): number | null {
  const { fixed, shape, unreadable } = mapKind(map);
  if (unreadable !== null || shape !== "entries") return null;
  if (fixed) return map.maxEntries;
  let entries = 0;
  let reads = 0;
  for (const { count } of batches(null, MAP_BATCH_ENTRIES_MAX)) {
    entries += count;
    // Arrays with holes are read index by index.
    if (entries > most || ++reads * MAP_BATCH_ENTRIES_MAX > 2 * most) return null;
  }
  return entries;
}

/** Programs that use each map, including those that bpfman did not load: it takes CAP_SYS_ADMIN to see any. */
export function usersOfMaps(host: Host): ReadonlyMap<MapId, readonly number[]> {
  const found = new Map<MapId, number[]>();
  for (const id of ifPermitted(() => host.kernel.programIds()) ?? []) {
    for (const map of host.kernel.program(id)?.mapIds ?? []) found.set(map, [...(found.get(map) ?? []), id]);
  }
  return found;
}

export function mapStatus(
  host: Host,
  { name, programs, pins, managed }: KnownMap,
  { map }: OpenMap,
  {
    users = [],
    ...facts
  }: Pick<MapStatusAnswer, "entries" | "key_type" | "value_type"> & { readonly users?: readonly number[] | undefined },
): MapStatusAnswer {
  const ids = new Set([...programs.map(({ id }) => id), ...users]);
  return {
    ...answerOf(host, map, pins[0] ?? null),
    ...{ name, managed, pins, ...facts },
    programs: [...ids].sort((a, b) => a - b),
  };
}
