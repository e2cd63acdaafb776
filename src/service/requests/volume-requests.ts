import * as v from "valibot";
import { GROUP_ID_MAX, PATH_BYTES_MAX, VOLUME_ID_CHARS_MAX, VOLUME_MAPS_MAX } from "../../domain/limits.ts";
import * as fields from "./request-fields.ts";

const name = fields.name();
const text = fields.text();

/** Also the name of a directory. */
const volumeId = v.pipe(
  v.string(),
  v.maxLength(VOLUME_ID_CHARS_MAX),
  v.regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]*$/,
    "letters, digits, dots, underscores and hyphens, and a letter or digit first",
  ),
);

/** Directories in which programs expect their files: what is mounted there hides them. */
const OF_THE_SYSTEM = ["bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "sbin", "sys", "usr"];
/** NAME_MAX (include/uapi/linux/limits.h): bytes in the name of a file. */
const NAME_BYTES_MAX = 255;

function isPlainPath(path: string): boolean {
  const [root, ...names] = path.split("/");
  const isName = (part: string) =>
    part !== "" && part !== "." && part !== ".." && Buffer.byteLength(part) <= NAME_BYTES_MAX;
  return (
    root === "" && names.every(isName) && Buffer.byteLength(path) <= PATH_BYTES_MAX && !/[\p{Cc}\p{Cs}]/u.test(path)
  );
}

function isOfTheSystem(path: string): boolean {
  const [, first = "", second] = path.split("/");
  return second === undefined || OF_THE_SYSTEM.includes(first);
}

const targetPath = v.pipe(
  v.string(),
  v.regex(/^(\/[^/]+)+$/, "an absolute path without empty parts"),
  v.check(isPlainPath, "an absolute path without empty parts, dots and control characters"),
  v.check((path) => !isOfTheSystem(path), "a path outside the directories of the system, and not at the top"),
);

export const publishVolumeRequest = v.strictObject({
  volumeId,
  targetPath,
  /** What the programs whose maps it has have as metadata `bpfman.io/ProgramName`. */
  program: v.pipe(text, v.minLength(1)),
  maps: v.pipe(v.array(name), v.minLength(1), v.maxLength(VOLUME_MAPS_MAX)),
  readOnly: v.optional(v.boolean(), false),
  /** Number of the group that may use the maps. */
  group: v.optional(v.nullable(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(GROUP_ID_MAX))), null),
});
export type PublishVolumeRequest = v.InferOutput<typeof publishVolumeRequest>;

export const unpublishVolumeRequest = v.strictObject({ volumeId, targetPath });
export type UnpublishVolumeRequest = v.InferOutput<typeof unpublishVolumeRequest>;
