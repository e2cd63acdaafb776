import type { MapChangeAnswer } from "../../domain/answer.ts";
import { MAP_BATCH_ENTRIES_MAX } from "../../domain/limits.ts";
import { mapKind } from "../../domain/map-kinds.ts";
import { BpfmanError } from "../../errors/error.ts";
import type { Host } from "../../platform/host.ts";
import type { OpenMap } from "../../platform/kernel.ts";
import { changingMap } from "../map/change-map.ts";
import { type Context, operation } from "../operation.ts";
import { type ClearMapRequest, clearMapRequest } from "../requests/map-requests.ts";

/** Removes what is there now. Entries that programs add meanwhile may stay. */
function* removeAll({ map: { keySize }, batches, delete: remove }: OpenMap): Iterable<void> {
  for (const { keys, count } of batches(null, MAP_BATCH_ENTRIES_MAX)) {
    for (let i = 0; i < count; i++) if (remove(keys.subarray(i * keySize, (i + 1) * keySize))) yield;
  }
}

function* zeroAll({ map, valueBytes, update }: OpenMap): Iterable<void> {
  const [key, value] = [new Uint8Array(map.keySize), new Uint8Array(valueBytes)];
  for (let i = 0; i < map.maxEntries; i++) {
    new DataView(key.buffer).setUint32(0, i, true);
    update(key, value, { mode: "any" });
    yield;
  }
}

/** Programs may put values in meanwhile. */
function* takeAll({ map, take }: OpenMap): Iterable<void> {
  for (let i = 0; i < map.maxEntries && take(); i++) yield;
}

/** Counts the changes. The error of one that fails says how many came before it. */
function counted(changes: Iterable<void>): number {
  let done = 0;
  try {
    for (const _ of changes) done++;
  } catch (thrown) {
    if (!(thrown instanceof BpfmanError) || done === 0) throw thrown;
    const entries = done === 1 ? "1 entry was" : `${done} entries were`;
    throw thrown.with({ message: `${thrown.message}; ${entries} cleared before`, details: { changed: done } });
  }
  return done;
}

/** Removes all entries; those of an array, which are always there, become zero. */
const clearMap = (host: Host, request: ClearMapRequest, context: Context): Promise<MapChangeAnswer> =>
  changingMap(host, request, context, (map) => {
    const { known, open } = map;
    const { shape, fixed } = mapKind(open.map);
    if (shape === "filter") {
      throw new BpfmanError(
        "NOT_SUPPORTED",
        `cannot clear map ${known.id} (${known.name}): a bloom filter never forgets`,
        {
          details: { map_id: known.id },
        },
      );
    }
    const changed = counted(shape === "queue" ? takeAll(open) : fixed ? zeroAll(open) : removeAll(open));
    return { map_id: known.id, name: known.name, changed };
  });

export const implementation = operation({
  get request() {
    return clearMapRequest();
  },
  run: clearMap,
});
