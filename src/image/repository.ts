/** The registry interface of the image adapter, shared by pulling, publishing and verifying. */

/** `sha256:` and 64 hex digits. */
export type Digest = `sha256:${string}`;

export const digestOf = (bytes: Uint8Array): Digest =>
  `sha256:${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}`;

/** Refers to content in a repository (OCI image spec, descriptor.md). */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly platform?: { readonly os: string; readonly architecture: string; readonly variant?: string };
}

/** A manifest or index as served, with the digest of its bytes. */
export interface Manifest {
  readonly bytes: Uint8Array;
  readonly mediaType: string;
  readonly digest: Digest;
}

/** One repository of a registry, accessed with the credentials found for it (OCI distribution spec 1.1). */
export interface Repository {
  /** `host[:port]/path`, as written in references. */
  readonly name: string;
  /**
   * Fetches by tag or digest; returns null if there is none. Throws IMAGE_DAMAGED if the bytes do not match the digest.
   */
  manifest(reference: string): Promise<Manifest | null>;
  /** Fetches the whole blob, at most `descriptor.size` bytes. Throws IMAGE_DAMAGED if size or digest do not match. */
  blob(descriptor: Descriptor): Promise<Uint8Array>;
  /** Returns the manifests that refer to `digest`, from the referrers API or else the fallback tag `sha256-<hex>`. */
  referrers(digest: Digest): Promise<readonly Descriptor[]>;
  /** Uploads a blob unless it already exists. */
  putBlob(bytes: Uint8Array): Promise<Digest>;
  /** Uploads a manifest by tag or digest. */
  putManifest(reference: string, manifest: Omit<Manifest, "digest">): Promise<Digest>;
}
