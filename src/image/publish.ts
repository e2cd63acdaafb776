/** Assembles and uploads bytecode images without a container tool. */
import { BpfmanError } from "../errors/error.ts";
import type { PlatformObject } from "../platform/image-build.ts";
import { configBytes, descriptorOf, indexBytes, manifestBytes, OCI_CONFIG, OCI_LAYER } from "./documents.ts";
import { layerOf } from "./pack.ts";
import { OCI_INDEX, OCI_MANIFEST } from "./manifest.ts";
import { type Descriptor, type Digest, digestOf, type Repository } from "./repository.ts";

/** The largest time in a tar header (11 octal digits), in the year 2242. */
const SECONDS_MAX = 0o77777777777;

export interface Publication {
  readonly tag: string;
  /** In the order of the index. A single object needs no index. */
  readonly objects: readonly PlatformObject[];
  /** Seconds since 1970: the timestamp of everything in the image. */
  readonly createdAt: number;
  progress(message: string): void;
}

/** Uploads content first and the tag last, so that a tag never refers to an incomplete image. */
export async function publishObjects(repository: Repository, publication: Publication): Promise<Digest> {
  const { tag, objects, createdAt, progress } = publication;
  const uploaded: { descriptor: Descriptor; bytes: Uint8Array }[] = [];
  for (const object of objects) {
    const layer = layerOf({ name: object.fileName, bytes: object.bytes, modifiedAt: createdAt });
    const diffId = digestOf(layer.tar);
    const config = configBytes({ ...object, diffId, createdAt: new Date(createdAt * 1000) });
    progress(`upload ${object.fileName} for linux/${object.architecture} to ${repository.name}`);
    await repository.putBlob(layer.packed);
    await repository.putBlob(config);
    const bytes = manifestBytes(descriptorOf(OCI_CONFIG, config), descriptorOf(OCI_LAYER, layer.packed));
    const platform = { architecture: object.architecture, os: "linux" };
    uploaded.push({ descriptor: { ...descriptorOf(OCI_MANIFEST, bytes), platform }, bytes });
  }
  progress(`tag ${repository.name}:${tag}`);
  const [first] = uploaded;
  if (uploaded.length === 1 && first) {
    return repository.putManifest(tag, { bytes: first.bytes, mediaType: OCI_MANIFEST });
  }
  for (const { descriptor, bytes } of uploaded) {
    await repository.putManifest(descriptor.digest, { bytes, mediaType: OCI_MANIFEST });
  }
  const index = indexBytes(uploaded.map(({ descriptor }) => descriptor));
  return repository.putManifest(tag, { bytes: index, mediaType: OCI_INDEX });
}

/**
 * Returns the timestamp for an image: SOURCE_DATE_EPOCH (reproducible-builds.org), else 1970. The current time is not
 * used, because two builds would differ. Throws INVALID_BUILD if the value is not a number of seconds.
 */
export function creationTime(sourceDateEpoch: string | undefined): number {
  if (sourceDateEpoch === undefined || sourceDateEpoch === "") return 0;
  const seconds = Number(sourceDateEpoch);
  if (/^[0-9]+$/.test(sourceDateEpoch) && seconds <= SECONDS_MAX) return seconds;
  throw new BpfmanError("INVALID_BUILD", `read SOURCE_DATE_EPOCH "${sourceDateEpoch}": it is not a number of seconds`, {
    hint: "set it to seconds since 1970, or unset it",
  });
}
