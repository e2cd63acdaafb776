import * as v from "valibot";
import { MAP_PAGE_ENTRIES_MAX } from "../../domain/limits.ts";
import { id, idOrName, mapName as map, name, offset, path } from "./request-fields.ts";

/** JSON of the key's or value's type: docs/howto/maps.md. Queues and stacks have no keys. */
const written = v.optional(v.unknown());
/** Keys and values as bytes in hex, whatever their types. */
const raw = v.optional(v.boolean(), false);
/** Change the map even if another tool made it. */
const foreign = v.optional(v.boolean(), false);

const shown = {
  raw,
  /** The sum of the values of all processors. */
  sum: v.optional(v.boolean(), false),
  /**
   * What integers beyond 2^53 are: `strings` of digits, which every parser keeps, or numbers with all their `digits`.
   */
  integers: v.optional(v.picklist(["strings", "digits"]), "strings"),
};

export const listMapsRequest = v.strictObject({
  /** Only the maps that this program uses. */
  programId: v.optional(v.nullable(idOrName), null),
  /** Also the maps of programs that bpfman did not load. */
  all: v.optional(v.boolean(), false),
  /** `summary` leaves out the types, which take time to find. */
  view: v.optional(v.picklist(["summary", "full"]), "full"),
});
export type ListMapsRequest = v.InferOutput<typeof listMapsRequest>;

export const getMapRequest = v.strictObject({ map });
export type GetMapRequest = v.InferOutput<typeof getMapRequest>;

export const dumpMapRequest = v.strictObject({
  map,
  ...shown,
  /** `next` of the page before; null for the first one. */
  cursor: v.optional(v.nullable(v.pipe(v.string(), v.maxLength(1024 * 1024))), null),
  /** How many entries a page has at most; there may be fewer. */
  limit: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(MAP_PAGE_ENTRIES_MAX)), 1000),
});
export type DumpMapRequest = v.InferOutput<typeof dumpMapRequest>;

export const lookupMapRequest = v.strictObject({ map, key: written, ...shown });
export type LookupMapRequest = v.InferOutput<typeof lookupMapRequest>;

export const updateMapRequest = v.strictObject({
  map,
  key: written,
  value: written,
  /** The program that the entry runs: of a devmap or cpumap beside its value, of an array of programs in place of it. */
  program: v.optional(v.nullable(idOrName), null),
  /** `create` fails if there is an entry with that key, `existing` if there is none. */
  mode: v.optional(v.picklist(["any", "create", "existing"]), "any"),
  raw,
  foreign,
});
export type UpdateMapRequest = v.InferOutput<typeof updateMapRequest>;

export const deleteEntryRequest = v.strictObject({ map, key: written, raw, foreign });
export type DeleteEntryRequest = v.InferOutput<typeof deleteEntryRequest>;

export const clearMapRequest = v.strictObject({ map, foreign });
export type ClearMapRequest = v.InferOutput<typeof clearMapRequest>;

/** How long to go on; null until it is cancelled. */
const extent = {
  /** Ends after so many. */
  count: v.optional(
    v.nullable(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(Number.MAX_SAFE_INTEGER))),
    null,
  ),
  /** Ends after so many milliseconds. */
  forMs: v.optional(v.nullable(offset), null),
};

export const followEventsRequest = v.strictObject({
  /** A ring buffer or perf buffer, named like a map; or a program that has only one, by its ID, name or application. */
  source: v.union([id, path]),
  /** The struct that events are, or several of different sizes; null for those that they can be. */
  type: v.optional(v.nullable(v.union([name, v.array(name)])), null),
  ...extent,
  raw,
  integers: shown.integers,
  /** Read a perf buffer that another tool made or reads, which then gets no more events. */
  foreign,
});
export type FollowEventsRequest = v.InferOutput<typeof followEventsRequest>;

export const traceRequest = v.strictObject(extent);
export type TraceRequest = v.InferOutput<typeof traceRequest>;
