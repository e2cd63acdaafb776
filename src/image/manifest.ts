/** Manifests and indexes of OCI and docker (image spec manifest.md, image-index.md; docker's schema 2). */
import { IMAGE_ENTRIES_MAX } from "../domain/limits.ts";
import { BpfmanError } from "../errors/error.ts";
import { isDigest } from "./reference.ts";
import type { Descriptor, Manifest } from "./repository.ts";

export const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
export const OCI_INDEX = "application/vnd.oci.image.index.v1+json";
export const DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";
export const DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json";

/** The media types accepted from registries. */
export const MANIFEST_TYPES: readonly string[] = [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST];

type Fields = Readonly<Record<string, unknown>>;

/**
 * Returns a manifest's media type according to its content. The digest covers the bytes but not the HTTP header they
 * came with, so the header is ignored, and content that could be both a manifest and an index is rejected. Throws
 * INVALID_IMAGE.
 */
export function mediaTypeOf(bytes: Uint8Array, name: string): string {
  const fields = parseJson(bytes, `the manifest of ${name}`);
  const isIndex = "manifests" in fields;
  if (isIndex && ("layers" in fields || "config" in fields)) {
    throw invalid(`the manifest of ${name}`, "it is an index and a manifest at once");
  }
  if (typeof fields.mediaType === "string") return fields.mediaType;
  return isIndex ? OCI_INDEX : OCI_MANIFEST;
}

/** Parses a JSON object. Throws INVALID_IMAGE. */
export function parseJson(bytes: Uint8Array, what: string): Fields {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw invalid(what, "it is not JSON");
  }
  const fields = recordOf(value);
  if (fields === null) throw invalid(what, "it is not a JSON object");
  return fields;
}

export const invalid = (what: string, reason: string, hint?: string): BpfmanError =>
  new BpfmanError("INVALID_IMAGE", `read ${what}: ${reason}`, hint === undefined ? {} : { hint });

/** A parsed manifest: one image, or the entries of an index. */
export type ReadManifest =
  | { readonly kind: "image"; readonly config: Descriptor; readonly layers: readonly Descriptor[] }
  | { readonly kind: "index"; readonly entries: readonly Descriptor[] };

/** Throws INVALID_IMAGE. */
export function readManifest({ bytes, mediaType }: Manifest, name: string): ReadManifest {
  const what = `the manifest of ${name}`;
  const fields = parseJson(bytes, what);
  if (mediaType === OCI_INDEX || mediaType === DOCKER_LIST) {
    return { kind: "index", entries: descriptors(fields.manifests, `${what}, its manifests`) };
  }
  if (mediaType !== OCI_MANIFEST && mediaType !== DOCKER_MANIFEST) {
    throw invalid(what, `it is of type "${mediaType.slice(0, 200)}"`, `bpfman reads ${MANIFEST_TYPES.join(", ")}`);
  }
  return {
    kind: "image",
    config: descriptor(fields.config, `${what}, its config`),
    layers: descriptors(fields.layers, `${what}, its layers`),
  };
}

function descriptors(value: unknown, what: string): Descriptor[] {
  if (!Array.isArray(value)) throw invalid(what, "they are not a list");
  if (value.length > IMAGE_ENTRIES_MAX) throw invalid(what, `there are more than ${IMAGE_ENTRIES_MAX}`);
  return value.map((each) => descriptor(each, what));
}

function descriptor(value: unknown, what: string): Descriptor {
  const { mediaType, digest, size, annotations, platform } = recordOf(value) ?? {};
  if (typeof mediaType !== "string" || typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) {
    throw invalid(what, "an entry lacks its type or size");
  }
  if (typeof digest !== "string" || !isDigest(digest)) throw invalid(what, "an entry is not named by a SHA-256 digest");
  const { os, architecture, variant } = recordOf(platform) ?? {};
  const hasPlatform = typeof os === "string" && typeof architecture === "string";
  const notes = Object.entries(recordOf(annotations) ?? {}).filter((pair) => typeof pair[1] === "string");
  return {
    mediaType,
    digest,
    size,
    annotations: Object.fromEntries(notes) as Record<string, string>,
    ...(hasPlatform ? { platform: { os, architecture, ...(typeof variant === "string" ? { variant } : {}) } } : {}),
  };
}

/** Returns null unless the value is a JSON object. */
export const recordOf = (value: unknown): Fields | null =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : null;
