/** Resolves a reference and returns the object file of the image. */
import { IMAGE_CONFIG_BYTES_MAX, LAYER_BYTES_MAX } from "../domain/limits.ts";
import { BpfmanError } from "../errors/error.ts";
import type { ImageWork, PulledImage, PullRequest } from "../platform/images.ts";
import type { Cache } from "./cache.ts";
import { readLabels } from "./read-labels.ts";
import { objectIn } from "./layer.ts";
import { invalid, mediaTypeOf, readManifest } from "./manifest.ts";
import { selectEntry } from "./platform.ts";
import { formatReference, manifestKey, parseReference, type Reference, repositoryName } from "./reference.ts";
import type { Descriptor, Digest, Manifest, Repository } from "./repository.ts";
import type { ImageVerifier } from "./verifier.ts";

export interface PullNeeds {
  readonly cache: Cache;
  /** Called if the cache is incomplete, and never for policy Never. */
  openRepository(): Promise<Repository>;
  readonly verifier: ImageVerifier;
  /** As images name it: `amd64`. */
  readonly architecture: string;
}

/** The cache key of a reference. Next to a digest, the tag is irrelevant. */
const keyOf = (reference: Reference): string =>
  formatReference(reference.digest === null ? reference : { ...reference, tag: null });

/** One pull: the request, and everything needed to carry it out. */
interface Pull extends PullNeeds {
  readonly request: PullRequest;
  readonly reference: Reference;
  /** The complete reference, for messages. */
  readonly name: string;
  readonly work: ImageWork;
}

/**
 * Throws IMAGE_NOT_FOUND, IMAGE_NOT_CACHED, IMAGE_DAMAGED, IMAGE_PLATFORM_MISSING, INVALID_IMAGE, and whatever the
 * registry, the cache and the verifier throw.
 */
export async function pullImage(request: PullRequest, needs: PullNeeds, work: ImageWork): Promise<PulledImage> {
  const { cache, verifier } = needs;
  const { pullPolicy, digest = null } = request;
  const asked = parseReference(request.reference);
  const name = formatReference(asked);
  const reference = digest === null ? asked : { ...asked, digest: digest as Digest };
  const pull: Pull = { ...needs, request, reference, name, work };
  const known = pullPolicy === "Always" && digest === null ? null : cache.resolved(keyOf(reference));

  const wait = { signal: work.signal, timeoutMs: 0, progress: (message: string) => work.progress(message) };
  if (known !== null) {
    const release = await cache.lock("shared", false, wait);
    try {
      if (known.rules !== verifier.policy) await acceptAgain(pull, known.digest);
      const image = await contentOf(pull, known.digest);
      cache.touch(keyOf(reference));
      return image;
    } catch (thrown) {
      // If the image a tag referred to is gone from both cache and registry, the tag refers to another one by now.
      const gone = thrown instanceof BpfmanError && thrown.code === "IMAGE_NOT_FOUND" && reference.digest === null;
      if (pullPolicy === "Never" || !gone) throw thrown;
    } finally {
      release();
    }
  }
  if (pullPolicy === "Never") throw notCached(name, "it is not in the cache");
  work.progress(`pulling ${name}`);
  const repository = await needs.openRepository();
  const manifest = await repository.manifest(manifestKey(reference));
  if (manifest === null) throw notFound(pull);
  await verifier.verify(repository, manifest.digest, work);
  const release = await cache.lock("shared", true, wait);
  try {
    cache.saveBlob(manifest.digest, manifest.bytes);
    const image = await contentOf(pull, manifest.digest);
    // Saved last, so that everything a saved reference needs is in the cache.
    saveResolved(pull, manifest.digest);
    return image;
  } finally {
    release();
  }
}

function saveResolved({ cache, verifier, reference }: Pull, digest: Digest): void {
  for (const each of new Set([keyOf(reference), keyOf({ ...reference, digest })])) {
    cache.saveResolved(each, { digest, rules: verifier.policy });
  }
}

/** The rules have changed since the image was pulled. */
async function acceptAgain(pull: Pull, digest: Digest): Promise<void> {
  if (pull.request.pullPolicy === "Never") {
    throw notCached(pull.name, "the rules on signatures have changed since it was pulled");
  }
  await pull.verifier.verify(await pull.openRepository(), digest, pull.work);
  saveResolved(pull, digest);
}

/** Returns an image whose digest was accepted, from the cache or else the registry. */
async function contentOf(pull: Pull, digest: Digest): Promise<PulledImage> {
  const { name, architecture, request, work } = pull;
  const manifest = await manifestOf(pull, digest);
  let read = readManifest(manifest, name);
  if (read.kind === "index") {
    const entry = selectEntry(read.entries, { architecture, name });
    read = readManifest(await manifestOf(pull, entry.digest), `${name}, its manifest for ${architecture},`);
    if (read.kind === "index") throw invalid(`the manifest of ${name}`, "it is an index within an index");
  }
  const [layer] = read.layers;
  if (layer === undefined) throw invalid(`the manifest of ${name}`, "it has no layers");
  const config = await blobOf(pull, read.config, "configuration", IMAGE_CONFIG_BYTES_MAX);
  const { programs, maps, fileName } = readLabels(config, name);
  if (programs === null)
    work.log.warn("the image has no labels; only its object file says what it contains", { image: name });
  const bytes = await blobOf(pull, layer, "first layer", LAYER_BYTES_MAX);
  return {
    reference: name,
    source: { url: request.reference, digest, pullPolicy: request.pullPolicy },
    mediaType: manifest.mediaType,
    programs,
    maps,
    object: await objectIn({ mediaType: layer.mediaType, bytes, name, fileName }),
  };
}

async function manifestOf(pull: Pull, digest: Digest): Promise<Manifest> {
  const { cache, name } = pull;
  const cached = cache.blob(digest);
  if (cached !== null) return { bytes: cached, digest, mediaType: mediaTypeOf(cached, name) };
  if (pull.request.pullPolicy === "Never") throw notCached(name, "its manifest is damaged in the cache, or missing");
  const manifest = await (await pull.openRepository()).manifest(digest);
  if (manifest === null) throw notFound(pull);
  cache.saveBlob(digest, manifest.bytes);
  return manifest;
}

/** `what` names the blob in messages. */
async function blobOf(pull: Pull, descriptor: Descriptor, what: string, bytesMax: number): Promise<Uint8Array> {
  const { cache, name } = pull;
  if (descriptor.size > bytesMax) {
    throw invalid(`the ${what} of ${name}`, `it has ${descriptor.size} bytes; at most ${bytesMax} are read`);
  }
  const cached = cache.blob(descriptor.digest);
  if (cached !== null) return cached;
  if (pull.request.pullPolicy === "Never") throw notCached(name, `its ${what} is damaged in the cache, or missing`);
  const bytes = await (await pull.openRepository()).blob(descriptor);
  cache.saveBlob(descriptor.digest, bytes);
  return bytes;
}

function notCached(name: string, reason: string): BpfmanError {
  return new BpfmanError("IMAGE_NOT_CACHED", `use image ${name} without pulling it: ${reason}`, {
    details: { reference: name },
  });
}

function notFound({ name, reference }: Pull): BpfmanError {
  return new BpfmanError("IMAGE_NOT_FOUND", `pull ${name}: the registry has no such image or tag`, {
    details: { reference: name },
    hint: `see what it has: skopeo list-tags docker://${repositoryName(reference)}`,
  });
}
