import type { MapChangeAnswer } from "../../domain/answer.ts";
import type { Host } from "../../platform/host.ts";
import { changingMap, factsOf, requireDeletable } from "../map/change-map.ts";
import { entryMissing, keyBytes } from "../map/typed-map.ts";
import { type Context, operation } from "../operation.ts";
import { type DeleteEntryRequest, deleteEntryRequest } from "../requests/map-requests.ts";

/** Removes one entry. */
const deleteEntry = (host: Host, request: DeleteEntryRequest, context: Context): Promise<MapChangeAnswer> =>
  changingMap(host, request, context, (map) => {
    const { known, open } = map;
    requireDeletable(map);
    const key = keyBytes(map, request.key);
    context.note(factsOf(map, key));
    if (key === null || !open.delete(key)) throw entryMissing(map, key);
    return { map_id: known.id, name: known.name, changed: 1 };
  });

export const implementation = operation({
  get request() {
    return deleteEntryRequest();
  },
  run: deleteEntry,
});
