import type { MapStatusAnswer } from "../../domain/answer.ts";
import type { Host } from "../../platform/host.ts";
import { countEntries, mapStatus, usersOfMaps } from "../map/map-status.ts";
import { withMap } from "../map/typed-map.ts";
import { operation } from "../operation.ts";
import { type GetMapRequest, getMapRequest } from "../requests/map-requests.ts";

/** Everything about one map, including which programs use it that bpfman did not load. */
const getMap = (host: Host, { map: named }: GetMapRequest): Promise<MapStatusAnswer> =>
  withMap(host, named, false, ({ known, open, key, value, typed }) =>
    mapStatus(host, known, open, {
      entries: countEntries(open),
      key_type: typed.key ? key.name : null,
      value_type: typed.value ? value.name : null,
      users: usersOfMaps(host).get(known.id),
    }),
  );

export const implementation = operation({
  get request() {
    return getMapRequest();
  },
  run: getMap,
});
