import * as v from "valibot";
import { CHECK_FILES_MAX, PROGRAMS_PER_LOAD_MAX, TOLERANCE_PERCENT_MAX } from "../../domain/limits.ts";
import { inspectImageRequest } from "./image-requests.ts";
import { globalData, globals, programSelector } from "./load-request.ts";
import * as fields from "./request-fields.ts";

const objectBytes = fields.objectBytes();
const path = fields.path();

const TOLERANCE = `a percentage from 0 to ${TOLERANCE_PERCENT_MAX}`;

export const checkRequest = v.strictObject({
  /** Objects, and C sources by their ending `.c`; or the bytes of objects. */
  files: v.pipe(
    v.array(v.union([path, objectBytes], "a path, or the name and base64 of an object")),
    v.minLength(1),
    v.maxLength(CHECK_FILES_MAX),
  ),
  /** All programs if empty, or with the name `all`. The type is needed where the section says nothing. */
  programs: v.optional(v.pipe(v.array(programSelector), v.maxLength(PROGRAMS_PER_LOAD_MAX)), []),
  globalData,
  globals,
  /** A file that `save` wrote earlier. */
  baseline: v.optional(v.nullable(path), null),
  /** Where the costs are written to. */
  save: v.optional(v.nullable(path), null),
  /** How many percent more instructions than in the baseline are accepted. */
  tolerancePercent: v.optional(
    v.pipe(v.number(TOLERANCE), v.minValue(0, TOLERANCE), v.maxValue(TOLERANCE_PERCENT_MAX, TOLERANCE)),
    10,
  ),
});
export type CheckRequest = v.InferOutput<typeof checkRequest>;

export const inspectObjectRequest = v.pipe(
  v.strictObject({
    file: v.optional(path),
    image: v.optional(inspectImageRequest),
    object: v.optional(objectBytes),
  }),
  v.check(
    ({ file, image, object }) => [file, image, object].filter((each) => each !== undefined).length === 1,
    "one of file, image and object is needed",
  ),
);
export type InspectObjectRequest = v.InferOutput<typeof inspectObjectRequest>;
