import type { MapChangeAnswer } from "../../domain/answer.ts";
import { mapKind } from "../../domain/map-kinds.ts";
import { mapTypeJson } from "../../domain/map-type-words.ts";
import { BpfmanError } from "../../errors/error.ts";
import { shown, wrongValue } from "../../object/btf-value.ts";
import type { Host } from "../../platform/host.ts";
import { changingMap, factsOf } from "../map/change-map.ts";
import { keyBytes, referenceOf, type TypedMap, valueBytes, valueWithProgram } from "../map/typed-map.ts";
import { type Context, operation } from "../operation.ts";
import { programIdOf } from "../require-record.ts";
import { type UpdateMapRequest, updateMapRequest } from "../requests/map-requests.ts";

/** Writes one entry. */
const updateMap = (host: Host, request: UpdateMapRequest, context: Context): Promise<MapChangeAnswer> =>
  changingMap(host, request, context, (map) => {
    const { known, open } = map;
    const { shape } = mapKind(open.map);
    if (shape !== "entries" && request.mode !== "any")
      throw wrongValue("mode", "values without keys are only added", "leave --create and --existing out");
    const program = request.program === null ? null : programIdOf(host, request.program, context);
    requireBoth(map, request);
    if (program === null && !request.raw) requireId(map, request);
    const key = keyBytes(map, request.key);
    context.note(factsOf(map, key));
    const value = program === null ? valueBytes(map, request.value) : valueWithProgram(map, request.value, program);
    const reference = referenceOf(map, value);
    open.update(key, value, { mode: request.mode, ...(reference === undefined ? {} : { reference }) });
    return { map_id: known.id, name: known.name, changed: 1 };
  });

/** Throws INVALID_VALUE for a word that may be the name of a program: alone, a value is an ID. */
function requireId({ open, known }: TypedMap, { value }: UpdateMapRequest): void {
  const { reference } = mapKind(open.map);
  if (reference?.kind !== "program" || !reference.required || typeof value !== "string" || /^[-+\d]/.test(value))
    return;
  const hint = `to name a program, type "bpfman map update ${known.id} KEY prog NAME"`;
  throw wrongValue("value", `must be the ID of a program, not ${shown(value)}`, hint);
}

/** Throws INVALID_VALUE if one of two words is missing: the command line cannot tell which. */
function requireBoth({ open, known }: TypedMap, { key, value, program }: UpdateMapRequest): void {
  const { shape, indexed } = mapKind(open.map);
  const given = [key, program === null ? value : program].filter((each) => each !== undefined);
  if (shape !== "entries" || given.length !== 1) return;
  const type = mapTypeJson(open.map.type);
  const indexes = indexed ? `; keys are indexes from 0 to ${open.map.maxEntries - 1}` : "";
  throw new BpfmanError(
    "INVALID_VALUE",
    `an entry of map ${known.id} (${known.name}) of type ${type} has a key and a value, and only one of them is given`,
    { details: { map_id: known.id }, hint: `type "bpfman map update ${known.id} KEY VALUE"${indexes}` },
  );
}

export const implementation = operation({
  get request() {
    return updateMapRequest();
  },
  run: updateMap,
});
