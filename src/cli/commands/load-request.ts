import type { Flag, Line } from "../command.ts";
import { parseGlobals } from "../parse/global.ts";
import { parseMetadata } from "../parse/metadata.ts";
import { parseProgramId } from "../parse/number.ts";
import { parseSelector } from "../parse/selector.ts";
import { APPLICATION, GLOBAL, MAP_OWNER_ID, METADATA, PROGRAMS } from "./load-flags.ts";

export const LOAD_FLAGS: readonly Flag[] = [GLOBAL, APPLICATION, METADATA, MAP_OWNER_ID];

/** All of a load's request but its source. */
export function loadRequest(line: Line) {
  const mapOwnerId = line.value(MAP_OWNER_ID);
  return {
    programs: line.values(PROGRAMS).map(parseSelector),
    globalData: parseGlobals(line.values(GLOBAL)),
    metadata: parseMetadata(line.values(METADATA)),
    application: line.value(APPLICATION),
    mapOwnerId: mapOwnerId === null ? null : parseProgramId(mapOwnerId),
  };
}
