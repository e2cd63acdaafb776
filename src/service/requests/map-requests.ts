import * as v from "valibot";
import { MAP_PAGE_ENTRIES_MAX } from "../../domain/limits.ts";
import { id, idOrName, mapName as map, name, offset, path } from "./request-fields.ts";

/** JSON of the key's or value's type: docs/howto/maps.md. Queues and stacks have no keys. */
function written() {
  return v.optional(v.unknown());
}
/** Keys and values as bytes in hex, whatever their types. */
function raw() {
  return v.optional(v.boolean(), false);
}
/** Change the map even if another tool made it. */
function foreign() {
  return v.optional(v.boolean(), false);
}

function shown() {
  return {
    raw: raw(),
    /** The sum of the values of all processors. */
    sum: v.optional(v.boolean(), false),
    /**
     * What integers beyond 2^53 are: `strings` of digits, which every parser keeps, or numbers with all their `digits`.
     */
    integers: v.optional(v.picklist(["strings", "digits"]), "strings"),
  };
}

export function listMapsRequest() {
  return v.strictObject({
    /** Only the maps that this program uses. */
    programId: v.optional(v.nullable(idOrName()), null),
    /** Also the maps of programs that bpfman did not load. */
    all: v.optional(v.boolean(), false),
    /** `summary` leaves out the types, which take time to find. */
    view: v.optional(v.picklist(["summary", "full"]), "full"),
  });
}
export type ListMapsRequest = v.InferOutput<ReturnType<typeof listMapsRequest>>;

export function getMapRequest() {
  return v.strictObject({ map: map() });
}
export type GetMapRequest = v.InferOutput<ReturnType<typeof getMapRequest>>;

export function dumpMapRequest() {
  return v.strictObject({
    map: map(),
    ...shown(),
    /** `next` of the page before; null for the first one. */
    cursor: v.optional(v.nullable(v.pipe(v.string(), v.maxLength(1024 * 1024))), null),
    /** How many entries a page has at most; there may be fewer. */
    limit: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(MAP_PAGE_ENTRIES_MAX)), 1000),
  });
}
export type DumpMapRequest = v.InferOutput<ReturnType<typeof dumpMapRequest>>;

export function lookupMapRequest() {
  return v.strictObject({ map: map(), key: written(), ...shown() });
}
export type LookupMapRequest = v.InferOutput<ReturnType<typeof lookupMapRequest>>;

export function updateMapRequest() {
  return v.strictObject({
    map: map(),
    key: written(),
    value: written(),
    /** The program that the entry runs: of a devmap or cpumap beside its value, of an array of programs in place of it. */
    program: v.optional(v.nullable(idOrName()), null),
    /** `create` fails if there is an entry with that key, `existing` if there is none. */
    mode: v.optional(v.picklist(["any", "create", "existing"]), "any"),
    raw: raw(),
    foreign: foreign(),
  });
}
export type UpdateMapRequest = v.InferOutput<ReturnType<typeof updateMapRequest>>;

export function deleteEntryRequest() {
  return v.strictObject({ map: map(), key: written(), raw: raw(), foreign: foreign() });
}
export type DeleteEntryRequest = v.InferOutput<ReturnType<typeof deleteEntryRequest>>;

export function clearMapRequest() {
  return v.strictObject({ map: map(), foreign: foreign() });
}
export type ClearMapRequest = v.InferOutput<ReturnType<typeof clearMapRequest>>;

/** How long to go on; null until it is cancelled. */
function extent() {
  return {
    /** Ends after so many. */
    count: v.optional(
      v.nullable(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(Number.MAX_SAFE_INTEGER))),
      null,
    ),
    /** Ends after so many milliseconds. */
    forMs: v.optional(v.nullable(offset()), null),
  };
}

export function followEventsRequest() {
  return v.strictObject({
    /** A ring buffer or perf buffer, named like a map; or a program that has only one, by its ID, name or application. */
    source: v.union([id(), path()]),
    /** The struct that events are, or several of different sizes; null for those that they can be. */
    type: v.optional(v.nullable(v.union([name(), v.array(name())])), null),
    ...extent(),
    raw: raw(),
    integers: shown().integers,
    /** Read a perf buffer that another tool made or reads, which then gets no more events. */
    foreign: foreign(),
  });
}
export type FollowEventsRequest = v.InferOutput<ReturnType<typeof followEventsRequest>>;

export function traceRequest() {
  return v.strictObject(extent());
}
export type TraceRequest = v.InferOutput<ReturnType<typeof traceRequest>>;
