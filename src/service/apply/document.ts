/** The schema of a desired state. docs/desired-state.schema.json is generated from it. */
import * as v from "valibot";
import {
  DOCUMENT_ENTRIES_MAX,
  METADATA_CHARS_MAX,
  NAME_CHARS_MAX,
  PROGRAMS_PER_LOAD_MAX,
} from "../../domain/limits.ts";
import { attachTarget, type AttachTarget } from "../requests/attach-request.ts";
import { pullImageRequest } from "../requests/image-requests.ts";
import { loadRequest, programSelector } from "../requests/load-request.ts";
import * as fields from "../requests/request-fields.ts";

const metadata = fields.metadata();
const path = fields.path();
const table = fields.table();
const text = fields.text();

const described = <Schema extends v.GenericSchema>(schema: Schema, description: string) =>
  v.pipe(schema, v.description(description));

const withMetadata = attachTarget().options.map((target) => v.strictObject({ ...target.entries, metadata }));
/** A target as in a request to attach, with the link's metadata. */
const attachment = v.variant("kind", withMetadata as never) as unknown as v.GenericSchema<
  v.InferInput<ReturnType<typeof attachTarget>> & { metadata?: Record<string, string> },
  AttachTarget & { metadata: Record<string, string> }
>;

const list = <Entry extends v.GenericSchema>(entry: Entry) =>
  v.optional(
    v.pipe(v.array(entry), v.maxLength(DOCUMENT_ENTRIES_MAX, `must have at most ${DOCUMENT_ENTRIES_MAX} entries`)),
    [],
  );

const program = v.strictObject({
  ...programSelector.entries,
  attach: described(
    list(attachment),
    "Where it is attached, in the words of a request to attach. An interface can be a pattern: eth*, driver=veth.",
  ),
});

const { globals, globalData, maps, mapEntries } = loadRequest.entries;

const object = v.pipe(
  v.strictObject({
    path: described(v.optional(path), "The object file, relative to the document's directory."),
    image: described(v.optional(pullImageRequest), "The image that has the object, instead of a path."),
    programs: described(
      v.pipe(v.array(program), v.minLength(1), v.maxLength(PROGRAMS_PER_LOAD_MAX)),
      "The programs of the object that are loaded, together.",
    ),
    globals: described(globals, "Values of global variables, by their types."),
    globalData: described(globalData, "Bytes of global variables, in hex."),
    metadata: described(metadata, "Pairs that each program gets."),
    mapOwner: described(
      v.optional(
        v.nullable(v.pipe(v.string(), v.minLength(1), v.maxLength(METADATA_CHARS_MAX + 1 + NAME_CHARS_MAX))),
        null,
      ),
      "The program whose maps are shared: NAME of the same application, or APPLICATION/NAME.",
    ),
    maps: described(maps, "Maps that are there already, by the names that the object has for them."),
    mapEntries: described(mapEntries, "Numbers of entries, by the names of maps."),
  }),
  v.check(({ path: file, image }) => (file === undefined) !== (image === undefined), "needs either a path or an image"),
);

const objects = list(object);

const application = v.strictObject({
  metadata: described(metadata, "Pairs that all its programs get."),
  objects: described(objects, "The object files whose programs make up the application."),
});

const applicationName = v.pipe(text, v.minLength(1));

/** One document. Its words and defaults are those of the requests to load and attach. */
export const desiredState = v.strictObject({
  $schema: described(v.optional(v.string()), "For editors."),
  applications: described(
    v.optional(
      v.pipe(
        table,
        v.record(applicationName, application),
        v.maxEntries(DOCUMENT_ENTRIES_MAX, `must have at most ${DOCUMENT_ENTRIES_MAX} entries`),
      ),
      {},
    ),
    "Applications by name: all of each is there after an apply, or nothing is changed.",
  ),
  objects: described(objects, "Objects whose programs belong to no application."),
});
export type DesiredState = v.InferOutput<typeof desiredState>;
export type ObjectEntry = v.InferOutput<typeof object>;
export type AttachmentEntry = v.InferOutput<typeof attachment>;
