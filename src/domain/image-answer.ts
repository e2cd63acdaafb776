/** The answers of the operations on images; see answer.ts for what all of them keep to. */
import type { SignatureVerdict, TrustRootOrigin } from "./signing.ts";

/** Name -> type, in the words of the image's labels. */
type Labelled = Readonly<Record<string, string>>;

export interface ImagePullAnswer {
  readonly reference: string;
  /** What the reference stands for: that of the index, where there is one. */
  readonly digest: string;
  readonly media_type: string;
  /** From the labels; from the object file where the image has none. */
  readonly programs: Labelled;
  readonly maps: Labelled;
}

export interface ImageLayerAnswer {
  readonly media_type: string;
  readonly digest: string;
  readonly size: number;
}

export interface ImageContentAnswer {
  readonly digest: string;
  readonly media_type: string;
  /** Null when the image has no such label. */
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

/** One signature of an image: what it proves, and whether it counts. */
export interface SignatureAnswer {
  readonly layout: "tag" | "referrer";
  /** Digest of the manifest that holds it. */
  readonly manifest: string;
  readonly verdict: SignatureVerdict;
  /** Why it does not count. */
  readonly reason: string | null;
  /** Keyless: whom the certificate names, and who vouched for that. */
  readonly identity: string | null;
  readonly issuer: string | null;
  readonly key: { readonly file: string; readonly fingerprint: string } | null;
  /** By a log or a time-stamp authority; a key alone proves no time. */
  readonly signed_at: string | null;
}

export interface ImageVerifyAnswer {
  readonly reference: string;
  /** What the reference stands for, and what was verified: that of the index, where there is one. */
  readonly digest: string;
  /** False for an image without a signature where none is required. */
  readonly signed: boolean;
  /** Null when no keyless signature had to be checked. */
  readonly trust_root: TrustRootOrigin | null;
  readonly signatures: readonly SignatureAnswer[];
}

export type ImageInspectAnswer = { readonly reference: string } & (ImageContentAnswer | ImageIndexAnswer);

export interface BuildArgsAnswer {
  /** `linux/amd64`; empty for a single object, which is for this machine. */
  readonly platforms: readonly string[];
  readonly build_args: Readonly<Record<string, string>>;
  /** Name -> type, of the first object. */
  readonly programs: Readonly<Record<string, string>>;
  readonly maps: Readonly<Record<string, string>>;
}

export interface ImageBuildAnswer extends Omit<BuildArgsAnswer, "build_args"> {
  /** `host[:port]/path:tag`, where it was pushed. */
  readonly reference: string;
  /** `host[:port]/path@sha256:…` */
  readonly published: string;
  readonly digest: string;
  /** The container tool that built it; null when there was none. */
  readonly runtime: string | null;
}
