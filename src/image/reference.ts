/** Image references: `[REGISTRY/]PATH[:TAG][@DIGEST]` (distribution/reference), with docker's short names. */
import { BpfmanError } from "../errors/error.ts";
import { IMAGE_NAME_CHARS_MAX } from "../domain/limits.ts";
import type { Digest } from "./repository.ts";

export interface Reference {
  /** `host[:port]` in lower case; `docker.io` if the reference names no registry. */
  readonly registry: string;
  /** `library/debian` for docker's `debian`. */
  readonly path: string;
  /** `latest` if neither tag nor digest is given; null if only a digest is. */
  readonly tag: string | null;
  readonly digest: Digest | null;
}

const DOCKER = "docker.io";
const LABEL = "[a-z0-9](?:[a-z0-9-]*[a-z0-9])?";
const REGISTRY = new RegExp(`^(?:${LABEL}(?:\\.${LABEL})*|\\[[0-9a-f:.]+\\])(?::[0-9]{1,5})?$`);
const PATH = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;

const isTag = (text: string): boolean => TAG.test(text);
export const isDigest = (text: string): text is Digest => DIGEST.test(text);

/** Throws INVALID_REFERENCE, without quoting anything that may be a password. */
export function parseReference(text: string): Reference {
  const [named = "", ...digests] = text.split("@");
  if (!digests.every((each) => /^sha[0-9]+:/.test(each))) {
    throw invalid(
      "that was given: it contains a user name or password",
      "give credentials with --registry-auth, or log in with podman",
    );
  }
  const refuse = (reason: string, hint?: string): never => {
    throw invalid(`"${text.slice(0, IMAGE_NAME_CHARS_MAX)}": ${reason}`, hint);
  };
  const scheme = /^[a-z][a-z0-9+.-]*:\/\//.exec(text)?.[0];
  if (scheme !== undefined) refuse(`it begins with "${scheme}"`, `write it without: ${text.slice(scheme.length)}`);

  const [digest = null, second] = digests;
  if (second !== undefined) refuse('it has more than one "@"');
  if (digest !== null && !isDigest(digest)) refuse(`"${digest}" is not a digest: it must be sha256: and 64 hex digits`);

  const colon = named.lastIndexOf(":");
  const tagged = colon > named.lastIndexOf("/");
  const name = tagged ? named.slice(0, colon) : named;
  const tag = tagged ? named.slice(colon + 1) : null;
  if (tag !== null && !isTag(tag)) refuse(`"${tag}" is not a tag`);

  const { registry, path } = split(name);
  if (!REGISTRY.test(registry)) refuse(`"${registry}" is not a registry`);
  if (Number(/:([0-9]+)$/.exec(registry)?.[1] ?? 1) > 65_535) refuse(`"${registry}" has no valid port`);
  if (path === "") refuse("it names no image", `write ${registry}/NAME:TAG`);
  if (!PATH.test(path)) {
    const lower = path.toLowerCase();
    const hint = lower !== path && PATH.test(lower) ? "image names are lower-case" : undefined;
    refuse(`"${path}" is not an image name`, hint);
  }
  if (name.length > IMAGE_NAME_CHARS_MAX) refuse(`its name has more than ${IMAGE_NAME_CHARS_MAX} characters`);
  return { registry, path, tag: tag ?? (digest === null ? "latest" : null), digest: digest as Digest | null };
}

/** The first part is a registry if it cannot be part of a path: it contains a dot or a port, or is `localhost`. */
function split(name: string): { registry: string; path: string } {
  const slash = name.indexOf("/");
  const first = name.slice(0, slash);
  const isRegistry = slash >= 0 && (/[.:]/.test(first) || first.toLowerCase() === "localhost");
  const registry = isRegistry ? first.toLowerCase() : DOCKER;
  const path = isRegistry ? name.slice(slash + 1) : name;
  if (registry !== DOCKER && registry !== `index.${DOCKER}`) return { registry, path };
  return { registry: DOCKER, path: path === "" || path.includes("/") ? path : `library/${path}` };
}

/** Returns `host[:port]/path`, like {@link Repository.name}. */
export const repositoryName = ({ registry, path }: Reference): string => `${registry}/${path}`;

/** Returns the complete reference, with all defaults filled in. */
export function formatReference(reference: Reference): string {
  const tag = reference.tag === null ? "" : `:${reference.tag}`;
  return `${repositoryName(reference)}${tag}${reference.digest === null ? "" : `@${reference.digest}`}`;
}

/** Returns what to request a manifest by: the digest if there is one, since it is more specific than the tag. */
export const manifestKey = ({ digest, tag }: Reference): string => digest ?? tag ?? "latest";

function invalid(reason: string, hint?: string): BpfmanError {
  return new BpfmanError("INVALID_REFERENCE", `read the image reference ${reason}`, hint === undefined ? {} : { hint });
}
