import { createHash } from "node:crypto";

/** What the parts of the image adapter need of a registry: pulling, publishing and verifying share this shape. */

/** `sha256:` and 64 hex digits. */
export type Digest = `sha256:${string}`;

export const digestOf = (bytes: Uint8Array): Digest => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

/** Points at content in a repository (OCI image spec, descriptor.md). */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly platform?: { readonly os: string; readonly architecture: string; readonly variant?: string };
}

/** A manifest or index as it was served, with the digest of its bytes. */
export interface Manifest {
  readonly bytes: Uint8Array;
  readonly mediaType: string;
  readonly digest: Digest;
}

/** One repository of one registry, with the credentials found for it (OCI distribution spec 1.1). */
export interface Repository {
  /** `host[:port]/path`, as it is written in references. */
  readonly name: string;
  /** By tag or digest; null when there is none. A digest that the bytes do not have throws IMAGE_DAMAGED. */
  manifest(reference: string): Promise<Manifest | null>;
  /** All of it, at most `descriptor.size` bytes; size and digest are checked. Throws IMAGE_DAMAGED. */
  blob(descriptor: Descriptor): Promise<Uint8Array>;
  /** What refers to `digest`: the referrers API, else the fallback tag `sha256-<hex>`. Empty when nothing does. */
  referrers(digest: Digest): Promise<readonly Descriptor[]>;
  /** Uploads unless it is there already. */
  putBlob(bytes: Uint8Array): Promise<Digest>;
  /** By tag or digest. */
  putManifest(reference: string, manifest: Omit<Manifest, "digest">): Promise<Digest>;
}
