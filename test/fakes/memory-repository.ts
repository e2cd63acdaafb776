import { createHash } from "node:crypto";
import type { Descriptor, Digest, Manifest, Repository } from "../../src/image/repository.ts";
import { BpfmanError } from "../../src/errors/error.ts";

export interface MemoryRepository extends Repository {
  /** What was asked for, in order: `manifest KEY`, `blob DIGEST`, `referrers DIGEST`. */
  readonly asked: readonly string[];
  /** Blobs may be changed under their digests, as damaged storage does. */
  readonly blobs: Map<Digest, Uint8Array>;
}

const digestOf = (bytes: Uint8Array): Digest => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

/** A repository that lives as long as the test; referrers stand under the fallback tag. */
export function memoryRepository(name = "registry.test/acme/tools"): MemoryRepository {
  const manifests = new Map<string, Manifest>();
  const blobs = new Map<Digest, Uint8Array>();
  const asked: string[] = [];
  const manifest = (key: string): Manifest | null => manifests.get(key) ?? null;
  return {
    name,
    asked,
    blobs,
    async manifest(key) {
      asked.push(`manifest ${key}`);
      return manifest(key);
    },
    async blob({ digest }) {
      asked.push(`blob ${digest}`);
      const bytes = blobs.get(digest);
      if (bytes !== undefined && digestOf(bytes) === digest) return bytes;
      throw new BpfmanError("IMAGE_DAMAGED", `fetch ${name}@${digest}: it is damaged`);
    },
    async referrers(digest) {
      asked.push(`referrers ${digest}`);
      const index = manifest(digest.replace(":", "-"));
      return index === null
        ? []
        : (JSON.parse(new TextDecoder().decode(index.bytes)).manifests as readonly Descriptor[]);
    },
    async putBlob(bytes) {
      const digest = digestOf(bytes);
      blobs.set(digest, bytes);
      return digest;
    },
    async putManifest(key, { bytes, mediaType }) {
      const digest = digestOf(bytes);
      for (const each of [key, digest]) manifests.set(each, { bytes, mediaType, digest });
      return digest;
    },
  };
}
