import type { LogPort } from "../domain/log.ts";
import type { ImageSource, PullPolicy } from "../domain/program.ts";
import type { ImageVerification, TrustedIdentity } from "../domain/signing.ts";

/** What the one who waits for an image sees and may do. A service Context is one. */
export interface ImageWork {
  readonly signal: AbortSignal;
  readonly log: LogPort;
  /** Said while something long is under way. */
  progress(message: string): void;
}

export interface RegistryAccess {
  /** `[REGISTRY/]NAME[:TAG][@DIGEST]` */
  readonly reference: string;
  /** base64 of `user:password`, instead of what the files of docker and podman say; null to look there. */
  readonly registryAuth: string | null;
}

export interface PullRequest extends RegistryAccess {
  readonly pullPolicy: PullPolicy;
}

/** Signers and rules other than the configured ones. */
export interface VerifyRequest extends RegistryAccess {
  readonly allowUnsigned: boolean;
  /** With either of them, those of the configuration do not count; paths may be relative. */
  readonly trustedIdentities: readonly TrustedIdentity[];
  readonly trustedKeys: readonly string[];
  /** Null for what the configuration says. */
  readonly trustedRoot: string | null;
}

/** What an image's labels say; null where it has no such label. Name -> type, in the words of the label. */
export interface ImageLabels {
  readonly programs: Readonly<Record<string, string>> | null;
  readonly maps: Readonly<Record<string, string>> | null;
}

export interface PulledImage extends ImageLabels {
  /** With registry and tag, whatever was left out. */
  readonly reference: string;
  /** What the reference stood for: that of the index, where there is one. It was verified, and no other was pulled. */
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
  /** Bytes, packed. */
  readonly size: number;
}

/** One image, or one of those behind an index. */
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
  /** With registry and tag, whatever was left out. */
  readonly reference: string;
  readonly digest: string;
}

/** Bytecode images: registries, the cache, signatures. Everything here may take long and honours `work.signal`. */
export interface ImagesPort {
  /**
   * The object file of an image, for this machine's architecture. Takes it from the cache where the policy allows and all
   * of it is there, and opens no connection then. Checks digests, sizes and signatures; does not look into the object.
   */
  pull(request: PullRequest, work: ImageWork): Promise<PulledImage>;
  /** What the registry says of an image, without its layers. */
  inspect(
    request: RegistryAccess,
    work: ImageWork,
  ): Promise<{ readonly reference: string; readonly image: ImageDescription | IndexDescription }>;
  /** All signatures of what the reference stands for now. Throws when it may not be used; the cache has no say. */
  verify(request: VerifyRequest, work: ImageWork): Promise<VerifiedImage>;
}
