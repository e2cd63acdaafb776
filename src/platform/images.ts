import type { LogPort } from "../domain/log.ts";
import type { ImageSource, PullPolicy } from "../domain/program.ts";
import type { ImageVerification, SigningRules } from "../domain/signing.ts";

/** How an image operation reports to its caller and is cancelled. A service Context implements it. */
export interface ImageWork {
  readonly signal: AbortSignal;
  readonly log: LogPort;
  /** Reports the progress of a long-running step. */
  progress(message: string): void;
}

export interface RegistryAccess {
  /** `[REGISTRY/]NAME[:TAG][@DIGEST]` */
  readonly reference: string;
  /** base64 of `user:password`, which overrides docker's and podman's credential files; null to use those. */
  readonly registryAuth: string | null;
}

export interface PullRequest extends RegistryAccess {
  readonly pullPolicy: PullPolicy;
  /** What the reference resolved to when it was pulled just now: that image is used, whatever its tag has become. */
  readonly digest?: string | null;
}

/**
 * Rules that replace the configured ones. If either list is non-empty, the configured signers are ignored; a trusted root of null
 * is the configured one. Paths may be relative.
 */
export type VerifyRequest = RegistryAccess & SigningRules;

/** The contents of an image's labels, types by name; null for a missing label. */
export interface ImageLabels {
  readonly programs: Readonly<Record<string, string>> | null;
  readonly maps: Readonly<Record<string, string>> | null;
}

export interface PulledImage extends ImageLabels {
  /** Complete, with registry and tag. */
  readonly reference: string;
  /** The digest the reference resolved to (that of the index, if there is one), which was verified and pulled. */
  readonly source: ImageSource;
  readonly mediaType: string;
  readonly object: {
    /** Name of the file in the layer. */
    readonly name: string;
    readonly bytes: Uint8Array;
  };
}

export interface ImageLayer {
  readonly digest: string;
  readonly mediaType: string;
  /** Bytes, compressed. */
  readonly size: number;
}

/** A single image, or an image of an index. */
export interface ImageDescription extends ImageLabels {
  readonly digest: string;
  readonly mediaType: string;
  readonly layers: readonly ImageLayer[];
}

export interface IndexDescription {
  readonly digest: string;
  readonly mediaType: string;
  /** Each with its platform: `linux/amd64`, `linux/arm/v7`. */
  readonly manifests: readonly (ImageDescription & { readonly size: number; readonly platform: string })[];
}

export interface VerifiedImage extends ImageVerification {
  /** Complete, with registry and tag. */
  readonly reference: string;
  readonly digest: string;
}

/** An image in the cache. */
export interface StoredImage {
  /** Complete, with registry and tag; with digests only if there is no other. Sorted. */
  readonly references: readonly string[];
  readonly digest: string;
  /** Bytes of its files, some of which others may have too. */
  readonly bytes: number;
  /** When it was last pulled or used. */
  readonly usedAt: Date;
}

/** The cache. */
export interface StoredImages {
  /** By reference. */
  readonly images: readonly StoredImage[];
  /** Of all files, also of those that belong to no image. */
  readonly bytes: number;
}

export interface PruneRequest {
  /** Digests of images that stay. */
  readonly keep: ReadonlySet<string>;
  /** Only find out. */
  readonly dryRun: boolean;
  /** How long to wait for pulls; 0 waits indefinitely. */
  readonly timeoutMs: number;
}

/** What is removed: images, and files that belong to none. */
export interface PrunedImages {
  readonly images: readonly StoredImage[];
  readonly files: number;
  readonly bytes: number;
}

/** Bytecode images: registries, cache, signatures. All methods can take long and honour `work.signal`. */
export interface ImagesPort {
  /**
   * Returns an image's object file for this machine's architecture. Uses the cache if the policy allows it and
   * everything is cached; no connection is made then. Verifies digests, sizes and signatures, but does not parse the
   * object.
   */
  pull(request: PullRequest, work: ImageWork): Promise<PulledImage>;
  /** Returns the same object file from its registry, of whoever it is, and leaves nothing in the cache. */
  fetch(request: RegistryAccess, work: ImageWork): Promise<PulledImage>;
  /** Returns what the registry knows about an image, without fetching its layers. */
  inspect(
    request: RegistryAccess,
    work: ImageWork,
  ): Promise<{ readonly reference: string; readonly image: ImageDescription | IndexDescription }>;
  /** Returns what is in the cache, without checking digests of layers. */
  stored(): Promise<StoredImages>;
  /** Removes images from the cache. Excludes pulls while it does. Throws LOCK_TIMEOUT. */
  prune(request: PruneRequest, work: ImageWork): Promise<PrunedImages>;
  /**
   * Verifies all signatures of what the reference resolves to now, ignoring the cache. Throws if it may not be used.
   */
  verify(request: VerifyRequest, work: ImageWork): Promise<VerifiedImage>;
}
