import type { MapStatusAnswer } from "../../domain/answer.ts";
import { programId } from "../../domain/ids.ts";
import { BpfmanError } from "../../errors/error.ts";
import type { Host } from "../../platform/host.ts";
import { countEntries, mapStatus } from "../map/map-status.ts";
import { withMap } from "../map/typed-map.ts";
import { operation } from "../operation.ts";
import { type GetMapRequest, getMapRequest } from "../requests/map-requests.ts";

/** Everything about one map, also which programs that bpfman did not load use it. */
const getMap = (host: Host, { map: named }: GetMapRequest): Promise<MapStatusAnswer> =>
  withMap(host, named, false, ({ known, open, key, value, typed }) => {
    const types = { key_type: typed.key ? key.name : null, value_type: typed.value ? value.name : null };
    const answer = mapStatus(host, known, { ...types, entries: countEntries(open) });
    if (answer === null) throw new BpfmanError("MAP_NOT_FOUND", `map ${known.id} does not exist any more`);
    const users = host.kernel
      .programIds()
      .filter((id) => host.kernel.program(programId(id))?.mapIds.includes(known.id));
    return { ...answer, programs: [...new Set([...answer.programs, ...users])].sort((a, b) => a - b) };
  });

export const implementation = operation({ request: getMapRequest, run: getMap });
