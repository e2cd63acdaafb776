/** Manifests and indexes of OCI and of docker (image spec manifest.md, image-index.md; docker's schema 2). */
import { BpfmanError } from "../errors/error.ts";

export const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
export const OCI_INDEX = "application/vnd.oci.image.index.v1+json";
export const DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";
export const DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json";

/** What registries are asked for. */
export const MANIFEST_TYPES: readonly string[] = [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST];

type Fields = Readonly<Record<string, unknown>>;

/**
 * What a manifest says it is. Its digest covers its bytes and not the header it came with, so the header is not asked;
 * one that could be read as a manifest and as an index is refused. Throws INVALID_IMAGE.
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

/** A JSON object. Throws INVALID_IMAGE. */
export function parseJson(bytes: Uint8Array, what: string): Fields {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw invalid(what, "it is no JSON");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw invalid(what, "it is no JSON object");
  return value as Fields;
}

export const invalid = (what: string, reason: string, hint?: string): BpfmanError =>
  new BpfmanError("INVALID_IMAGE", `read ${what}: ${reason}`, hint === undefined ? {} : { hint });
