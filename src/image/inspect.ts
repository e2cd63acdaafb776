/** Describes an image from its registry without fetching its layers. */
import { IMAGE_CONFIG_BYTES_MAX, INSPECTED_ENTRIES_MAX } from "../domain/limits.ts";
import { BpfmanError } from "../errors/error.ts";
import type { ImageDescription, IndexDescription } from "../platform/images.ts";
import { readLabels } from "./read-labels.ts";
import { invalid, readManifest } from "./manifest.ts";
import { imagesIn } from "./platform.ts";
import { formatReference, manifestKey, type Reference } from "./reference.ts";
import type { Descriptor, Manifest, Repository } from "./repository.ts";

/** Throws IMAGE_NOT_FOUND, INVALID_IMAGE, and whatever the repository throws. */
export async function inspectImage(
  reference: Reference,
  repository: Repository,
): Promise<ImageDescription | IndexDescription> {
  const name = formatReference(reference);
  const manifest = await manifestOf(manifestKey(reference));
  const read = readManifest(manifest, name);
  if (read.kind === "image") return describe(manifest);

  const images = imagesIn(read.entries);
  if (images.length > INSPECTED_ENTRIES_MAX) {
    throw invalid(`the manifest of ${name}`, `it has ${images.length} entries, more than ${INSPECTED_ENTRIES_MAX}`);
  }
  const manifests = [];
  for (const entry of images) {
    const image = await describe(await manifestOf(entry.digest));
    manifests.push({ ...image, size: entry.size, platform: platformOf(entry) });
  }
  return { digest: manifest.digest, mediaType: manifest.mediaType, manifests };

  async function manifestOf(key: string): Promise<Manifest> {
    const found = await repository.manifest(key);
    if (found !== null) return found;
    throw new BpfmanError("IMAGE_NOT_FOUND", `inspect ${name}: the registry has no such image or tag`, {
      details: { reference: name },
    });
  }

  async function describe(manifest: Manifest): Promise<ImageDescription> {
    const read = readManifest(manifest, name);
    if (read.kind === "index") throw invalid(`the manifest of ${name}`, "it is an index within an index");
    if (read.config.size > IMAGE_CONFIG_BYTES_MAX) {
      throw invalid(`the configuration of ${name}`, `it has more than ${IMAGE_CONFIG_BYTES_MAX} bytes`);
    }
    const { programs, maps } = readLabels(await repository.blob(read.config), name);
    const layers = read.layers.map(({ digest, mediaType, size }) => ({ digest, mediaType, size }));
    return { digest: manifest.digest, mediaType: manifest.mediaType, programs, maps, layers };
  }
}

function platformOf({ platform }: Descriptor): string {
  const { os, architecture, variant } = platform ?? {};
  return [os ?? "unknown", architecture ?? "unknown", ...(variant === undefined ? [] : [variant])].join("/");
}
