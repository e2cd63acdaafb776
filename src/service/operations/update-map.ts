import type { MapChangeAnswer } from "../../domain/answer.ts";
import { mapKind } from "../../domain/map-kinds.ts";
import { wrongValue } from "../../object/btf-value.ts";
import type { Host } from "../../platform/host.ts";
import { changingMap, factsOf } from "../map/change-map.ts";
import { keyBytes, referenceOf, valueBytes } from "../map/typed-map.ts";
import { type Context, operation } from "../operation.ts";
import { type UpdateMapRequest, updateMapRequest } from "../requests/map-requests.ts";

/** Writes one entry. */
const updateMap = (host: Host, request: UpdateMapRequest, context: Context): Promise<MapChangeAnswer> =>
  changingMap(host, request, context, (map) => {
    const { known, open } = map;
    const { shape } = mapKind(open.map);
    if (shape !== "entries" && request.mode !== "any")
      throw wrongValue("mode", "values without keys are only added", "leave --create and --existing out");
    const key = keyBytes(map, request.key);
    context.note(factsOf(map, key));
    const value = valueBytes(map, request.value);
    const reference = referenceOf(map, value);
    open.update(key, value, { mode: request.mode, ...(reference === undefined ? {} : { reference }) });
    return { map_id: known.id, name: known.name, changed: 1 };
  });

export const implementation = operation({ request: updateMapRequest, run: updateMap });
