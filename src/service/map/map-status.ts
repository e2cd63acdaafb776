import type { MapStatusAnswer } from "../../domain/answer.ts";
import { mapKind } from "../../domain/map-kinds.ts";
import { MAP_BATCH_ENTRIES_MAX } from "../../domain/limits.ts";
import { mapAnswer } from "../../inspect/map-answer.ts";
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

/** Null if the map does not exist any more. */
export function mapStatus(
  host: Host,
  { id, name, programs, pins, managed }: KnownMap,
  { entries, key_type, value_type }: Pick<MapStatusAnswer, "entries" | "key_type" | "value_type">,
): MapStatusAnswer | null {
  const map = mapAnswer(host, id, pins[0] ?? null);
  return (
    map && { ...map, name, managed, key_type, value_type, entries, pins, programs: programs.map((each) => each.id) }
  );
}
