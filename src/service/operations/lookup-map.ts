import type { MapEntryAnswer, MapLookupAnswer } from "../../domain/answer.ts";
import { parseForWriting } from "../../domain/exact-json.ts";
import { mapKind } from "../../domain/map-kinds.ts";
import { JsonText } from "../../object/json-text.ts";
import type { Host } from "../../platform/host.ts";
import {
  entryMissing,
  entryWriter,
  keyBytes,
  requireKind,
  type TypedMap,
  valueBytes,
  withMap,
} from "../map/typed-map.ts";
import { adaptersFor } from "../map/find-map.ts";
import { operation } from "../operation.ts";
import { type LookupMapRequest, lookupMapRequest } from "../requests/map-requests.ts";

/** Whether a bloom filter may have a value, which stands where other maps have a key. */
function filtered(map: TypedMap, key: unknown): MapLookupAnswer {
  return { map_id: map.known.id, value: map.open.contains(valueBytes(map, key)) };
}

function lookUp(map: TypedMap, { key: written, integers, ...shown }: LookupMapRequest): MapLookupAnswer {
  const { open, known } = map;
  const key = keyBytes(map, written);
  const value = open.lookup(key);
  if (value === null) throw entryMissing(map, key);
  const out = new JsonText({ quotesLargeIntegers: integers === "strings" });
  entryWriter(map, shown)(key ?? new Uint8Array(0), value)(0, out);
  return { map_id: known.id, ...(parseForWriting(out.toString()) as MapEntryAnswer) };
}

const lookupMap = (host: Host, request: LookupMapRequest): Promise<MapLookupAnswer> =>
  withMap(host, request.map, request.raw, (map) => {
    requireKind(map, "unreadable", "read entries of");
    return mapKind(map.open.map).shape === "filter" ? filtered(map, request.key) : lookUp(map, request);
  });

export const implementation = operation({
  get request() {
    return lookupMapRequest();
  },
  uses: ({ map }) => adaptersFor(map),
  run: lookupMap,
});
