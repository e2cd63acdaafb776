import * as v from "valibot";
import { PLATFORMS } from "../../domain/bytecode-slot.ts";
import { CONTAINER_TOOLS } from "../../domain/container-tool.ts";
import { IMAGE_REFERENCE_CHARS_MAX } from "../../domain/limits.ts";
import * as fields from "./request-fields.ts";

const path = fields.path();

const platformFile = v.strictObject({
  platform: v.picklist(PLATFORMS),
  file: path,
});

/** The object files: one for this machine's architecture, a directory of bpf2go output, or one per platform. */
export const bytecode = v.pipe(
  v.strictObject({
    file: v.optional(v.nullable(path), null),
    project: v.optional(v.nullable(path), null),
    files: v.optional(v.nullable(v.pipe(v.array(platformFile), v.minLength(1), v.maxLength(PLATFORMS.length))), null),
  }),
  v.check(
    (given) => Object.values(given).filter((each) => each !== null).length === 1,
    'exactly one of "file", "project" and "files" is needed',
  ),
);
export type Bytecode = v.InferOutput<typeof bytecode>;

export const generateBuildArgsRequest = v.strictObject({ bytecode });

export const buildImageRequest = v.strictObject({
  /** The image's destination: `[REGISTRY/]NAME[:TAG]`. */
  tag: v.pipe(v.string(), v.minLength(1), v.maxLength(IMAGE_REFERENCE_CHARS_MAX)),
  bytecode,
  /** Null to assemble the image without a container tool. */
  containerFile: v.optional(v.nullable(path), null),
  /** Only with a Containerfile. Null uses docker if it can build, else podman. */
  runtime: v.optional(v.nullable(v.picklist(CONTAINER_TOOLS)), null),
  /** Build context directory, which must contain all object files; null for the current directory. */
  contextDirectory: v.optional(v.nullable(path), null),
});
export type BuildImageRequest = v.InferOutput<typeof buildImageRequest>;
