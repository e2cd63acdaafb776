/** What is in the cache of images, and removing what nothing needs. */
import { BpfmanError } from "../errors/error.ts";
import type { ImageWork, PrunedImages, PruneRequest, StoredImage, StoredImages } from "../platform/images.ts";
import type { Cache, StoredReference } from "./cache.ts";
import { mediaTypeOf, readManifest } from "./manifest.ts";
import { parseReference } from "./reference.ts";
import type { Digest } from "./repository.ts";

interface Found extends StoredImage {
  /** All of them, including those that only repeat the digest. */
  readonly keys: readonly string[];
  readonly blobs: ReadonlySet<Digest>;
}

interface Contents {
  readonly images: readonly Found[];
  readonly sizes: ReadonlyMap<Digest, number>;
}

const sum = (sizes: ReadonlyMap<Digest, number>, digests: Iterable<Digest>): number =>
  [...digests].reduce((bytes, digest) => bytes + (sizes.get(digest) ?? 0), 0);

export function storedImages(cache: Cache): StoredImages {
  const { images, sizes } = contentsOf(cache);
  return { images: images.map(shown), bytes: sum(sizes, sizes.keys()) };
}

const shown = ({ references, digest, bytes, usedAt }: Found): StoredImage => ({ references, digest, bytes, usedAt });

function contentsOf(cache: Cache): Contents {
  const sizes = cache.blobs();
  const images = [...Map.groupBy(cache.references(), ({ digest }) => digest)].map(([digest, stored]) => {
    const blobs = blobsOf(cache, digest, sizes);
    const keys = stored.map(({ reference }) => reference);
    const usedAt = new Date(Math.max(...stored.map((each) => each.usedAt.getTime())));
    return { references: namesOf(stored), keys, digest, blobs, bytes: sum(sizes, blobs), usedAt };
  });
  return { images: images.sort((a, b) => ((a.references[0] ?? "") < (b.references[0] ?? "") ? -1 : 1)), sizes };
}

/** A pull saves what it resolved under the digest as well, which says nothing new. */
function namesOf(stored: readonly StoredReference[]): string[] {
  const all = stored.map(({ reference }) => reference).sort();
  const tagged = all.filter((reference) => isTagged(reference));
  return tagged.length > 0 ? tagged : all;
}

function isTagged(reference: string): boolean {
  try {
    return parseReference(reference).digest === null;
  } catch {
    return false;
  }
}

/** The blobs of an image that are in the cache: of an index, those of the entries that were pulled. */
function blobsOf(cache: Cache, digest: Digest, sizes: ReadonlyMap<Digest, number>, inIndex = false): Set<Digest> {
  const bytes = sizes.has(digest) ? cache.blob(digest) : null;
  if (bytes === null) return new Set();
  const found = new Set([digest]);
  try {
    const manifest = readManifest({ bytes, digest, mediaType: mediaTypeOf(bytes, digest) }, digest);
    if (manifest.kind === "image") {
      for (const each of [manifest.config, ...manifest.layers]) if (sizes.has(each.digest)) found.add(each.digest);
    } else if (!inIndex) {
      for (const entry of manifest.entries)
        for (const each of blobsOf(cache, entry.digest, sizes, true)) found.add(each);
    }
  } catch (thrown) {
    // A file that cannot be read is not part of a usable image.
    if (!(thrown instanceof BpfmanError)) throw thrown;
  }
  return found;
}

/**
 * References go first: if this is interrupted, the cache has files too many, and no image that lacks some. Images that are
 * kept need the files that they share with others.
 */
export async function pruneImages(
  cache: Cache,
  { keep, dryRun, timeoutMs }: PruneRequest,
  { signal, progress }: ImageWork,
): Promise<PrunedImages> {
  const release = dryRun ? () => {} : await cache.lock("alone", false, { signal, timeoutMs, progress });
  try {
    const { images, sizes } = contentsOf(cache);
    const unused = images.filter(({ digest }) => !keep.has(digest));
    const needed = new Set(images.filter(({ digest }) => keep.has(digest)).flatMap(({ blobs }) => [...blobs]));
    const files = [...sizes.keys()].filter((digest) => !needed.has(digest));
    if (!dryRun) {
      for (const key of unused.flatMap(({ keys }) => keys)) cache.removeReference(key);
      for (const digest of files) cache.removeBlob(digest);
    }
    return { images: unused.map(shown), files: files.length, bytes: sum(sizes, files) };
  } finally {
    release();
  }
}
