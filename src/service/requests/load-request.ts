import * as v from "valibot";
import { MAP_ENTRIES_MAX, PROGRAMS_PER_LOAD_MAX } from "../../domain/limits.ts";
import { PROGRAM_TYPES } from "../../domain/kinds.ts";
import { pullImageRequest } from "./image-requests.ts";
import * as fields from "./request-fields.ts";

const id = fields.id();
const idOrName = fields.idOrName();
const metadata = fields.metadata();
const name = fields.name();
const objectBytes = fields.objectBytes();
const path = fields.path();
const table = fields.table();
const text = fields.text();

/** The name `all`, without a type, stands for every program of the object, unless one is called that. */
export const programSelector = v.strictObject({
  type: v.optional(v.nullable(v.picklist(PROGRAM_TYPES)), null),
  name,
  attachFunction: v.optional(v.nullable(name), null),
});
const loadedSelector = v.strictObject({
  ...programSelector.entries,
  actualType: v.optional(v.nullable(v.picklist(PROGRAM_TYPES))),
});

/** Global data: hex digits, two per byte, or base64. */
const globalValue = v.union(
  [
    v.pipe(v.string(), v.regex(/^([0-9a-fA-F]{2})+$/, "hex digits, two for each byte, without 0x")),
    v.strictObject({ base64: v.pipe(v.string(), v.base64()) }),
  ],
  'hex digits, two for each byte, or an object with "base64"',
);

/** Initial values of global variables, by name. */
export const globalData = v.optional(v.pipe(table, v.record(name, globalValue)), {});

/** Initial values of global variables, by name: JSON of their types, as in docs/howto/maps.md. */
export const globals = v.optional(v.pipe(table, v.record(name, v.unknown())), {});

const mapSource = v.union([path, id], "the path of a pin, or the id of a map");
const ENTRIES = `a whole number from 1 to ${MAP_ENTRIES_MAX}`;
const entries = v.pipe(
  v.number(ENTRIES),
  v.integer(ENTRIES),
  v.minValue(1, ENTRIES),
  v.maxValue(MAP_ENTRIES_MAX, ENTRIES),
);

const source = v.pipe(
  v.strictObject({
    file: v.optional(path),
    image: v.optional(pullImageRequest),
    object: v.optional(objectBytes),
  }),
  v.check(
    ({ file, image, object }) => [file, image, object].filter((each) => each !== undefined).length === 1,
    "one of file, image and object is needed",
  ),
  // Makes the type exclusive as well.
  v.transform(({ file = "", image, object }) => {
    if (object !== undefined) return { object };
    return image === undefined ? { file } : { image };
  }),
);

/** Also those of `program/run`. */
export const loadFields = {
  source,
  programs: v.pipe(v.array(loadedSelector), v.minLength(1), v.maxLength(PROGRAMS_PER_LOAD_MAX)),
  globalData,
  globals,
  metadata,
  application: v.optional(v.nullable(v.pipe(text, v.minLength(1))), null),
  mapOwnerId: v.optional(v.nullable(idOrName), null),
  /** Maps of the object, by name, and what they are: the pin or the id of one that is there. */
  maps: v.optional(v.pipe(table, v.record(name, mapSource)), {}),
  /** How many entries maps of the object are to have, by name. */
  mapEntries: v.optional(v.pipe(table, v.record(name, entries)), {}),
  /** Load it again after a reboot, when `bpfman-restore.service` runs. */
  keep: v.optional(v.boolean()),
};
export const loadRequest = v.strictObject({
  ...loadFields,
  /** Unload older programs with the same metadata `bpfman.io/uuid` then: for whoever loads an application again as a whole. */
  supersede: v.optional(v.boolean()),
});
export type LoadRequest = v.InferOutput<typeof loadRequest>;
