/** The answers of the image operations, with the conventions of answer.ts. */
import type { SignatureVerdict, TrustRootOrigin } from "./signing.ts";

/** Types by name, in the words of the image labels. */
type Labelled = Readonly<Record<string, string>>;

export interface ImagePullAnswer {
  readonly reference: string;
  /** The digest the reference resolves to; for a multi-platform image, that of the index. */
  readonly digest: string;
  readonly media_type: string;
  /** From the labels, or from the object file if the image has none. */
  readonly programs: Labelled;
  readonly maps: Labelled;
}

/** An image in the cache. */
export interface CachedImageAnswer {
  /** Names it was pulled by. */
  readonly references: readonly string[];
  readonly digest: string;
  /** Bytes of its files, some of which other images may have too. */
  readonly size: number;
  /** When it was last pulled or loaded from. */
  readonly used_at: string;
}

export interface ListedImageAnswer extends CachedImageAnswer {
  /** IDs of the loaded programs that came from it. */
  readonly programs: readonly number[];
}

export interface ImageListAnswer {
  readonly images: readonly ListedImageAnswer[];
  /** Bytes of all files in the cache. */
  readonly size: number;
}

export interface ImagePruneAnswer {
  /** Nothing was removed. */
  readonly dry_run: boolean;
  readonly images: readonly CachedImageAnswer[];
  /** How many files, including those that belonged to no image, and their bytes. */
  readonly files: number;
  readonly size: number;
}

export interface ImageLayerAnswer {
  readonly media_type: string;
  readonly digest: string;
  readonly size: number;
}

export interface ImageContentAnswer {
  readonly digest: string;
  readonly media_type: string;
  /** Null if the image does not have this label. */
  readonly programs: Labelled | null;
  readonly maps: Labelled | null;
  readonly layers: readonly ImageLayerAnswer[];
}

export interface ImageEntryAnswer extends ImageContentAnswer {
  readonly size: number;
  /** `linux/amd64`, `linux/arm/v7` */
  readonly platform: string;
}

export interface ImageIndexAnswer {
  readonly digest: string;
  readonly media_type: string;
  readonly manifests: readonly ImageEntryAnswer[];
}

/** One signature of an image: what it proves and whether it is trusted. */
export interface SignatureAnswer {
  readonly layout: "tag" | "referrer";
  /** Digest of the manifest that contains it. */
  readonly manifest: string;
  readonly verdict: SignatureVerdict;
  /** Why it is not trusted. */
  readonly reason: string | null;
  /** Keyless signatures: the subject of the certificate and the identity provider that authenticated it. */
  readonly identity: string | null;
  readonly issuer: string | null;
  readonly key: { readonly file: string; readonly fingerprint: string } | null;
  /** From a transparency log or timestamp authority; a key alone does not prove a time. */
  readonly signed_at: string | null;
}

export interface ImageVerifyAnswer {
  readonly reference: string;
  /** The digest the reference resolves to, which was verified; for a multi-platform image, that of the index. */
  readonly digest: string;
  /** False for an unsigned image where no signature is required. */
  readonly signed: boolean;
  /** Null if no keyless signature had to be verified. */
  readonly trust_root: TrustRootOrigin | null;
  readonly signatures: readonly SignatureAnswer[];
}

export type ImageInspectAnswer = { readonly reference: string } & (ImageContentAnswer | ImageIndexAnswer);

export interface BuildArgsAnswer {
  /** `linux/amd64`; empty for a single object, which is built for this machine. */
  readonly platforms: readonly string[];
  readonly build_args: Readonly<Record<string, string>>;
  /** Types by name, for the first object. */
  readonly programs: Readonly<Record<string, string>>;
  readonly maps: Readonly<Record<string, string>>;
}

export interface ImageBuildAnswer extends Omit<BuildArgsAnswer, "build_args"> {
  /** `host[:port]/path:tag`, the reference it was pushed to. */
  readonly reference: string;
  /** `host[:port]/path@sha256:…` */
  readonly published: string;
  readonly digest: string;
  /** The container tool that built the image; null if none was used. */
  readonly runtime: string | null;
}
