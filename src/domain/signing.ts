/** Which image signatures are trusted, and whether unsigned images are accepted. */

/** An exact value, or a regular expression (RE2) that must match the whole value. */
export type Match = { readonly exact: string } | { readonly regexp: string };

/** A signer identified by a short-lived certificate (Fulcio). */
export interface TrustedIdentity {
  /** The certificate's subject alternative name: an e-mail address or the URI of a workflow. */
  readonly identity: Match;
  /** The URL of the OpenID Connect provider that authenticated the signer. */
  readonly issuer: Match;
}

/**
 * The rules for verifying signatures. With neither identities nor keys, any identity in a valid certificate is trusted.
 */
export interface SigningRules {
  /** Accept unsigned images, with a warning. */
  readonly allowUnsigned: boolean;
  readonly trustedIdentities: readonly TrustedIdentity[];
  /** Absolute paths of public keys in PEM. */
  readonly trustedKeys: readonly string[];
  /** Absolute path of a Sigstore trusted root; null for the public one. */
  readonly trustedRoot: string | null;
}

/** The rules, and whether they apply to pulled images. */
export interface SigningConfig extends SigningRules {
  readonly verifyEnabled: boolean;
}

export const SIGNING_DEFAULT: SigningConfig = {
  verifyEnabled: true,
  allowUnsigned: true,
  trustedIdentities: [],
  trustedKeys: [],
  trustedRoot: null,
};

/** The signer of a signature, as far as it proves one. */
export type Signer =
  | { readonly kind: "identity"; readonly identity: string; readonly issuer: string }
  /** `file` is the path of the trusted key; `fingerprint` is `sha256:` and the hex digest of the DER-encoded key. */
  | { readonly kind: "key"; readonly file: string; readonly fingerprint: string };

/**
 * `trusted`: valid, by a trusted signer. `untrusted`: valid, but by another signer or by a key that is not trusted.
 * `invalid`: for another image, modified, incomplete, or not made by the signer it names.
 */
export type SignatureVerdict = "trusted" | "untrusted" | "invalid";

/** A signature found for an image. */
export interface ImageSignature {
  /** In a manifest tagged `sha256-<hex>.sig`, or in one that refers to the image. */
  readonly layout: "tag" | "referrer";
  /** The manifest that contains it. */
  readonly manifest: string;
  readonly verdict: SignatureVerdict;
  /** Why it is not trusted; null if it is. */
  readonly reason: string | null;
  /** Null if it does not prove a signer. */
  readonly signer: Signer | null;
  /** When it was made, according to a transparency log or timestamp authority; null if only a key vouches for it. */
  readonly signedAt: Date | null;
}

/**
 * Where the certificate authorities and logs for verifying keyless signatures come from: the user's file; the public
 * trusted root, up to date; its last fetched version; or the version embedded in this program.
 */
export type TrustRootOrigin = "file" | "current" | "outdated" | "embedded";

/** The verification result of an image that may be used. */
export interface ImageVerification {
  /** There is no signature, and none is required. */
  readonly unsigned: boolean;
  readonly signatures: readonly ImageSignature[];
  /** Null if no keyless signature had to be verified. */
  readonly trustRoot: TrustRootOrigin | null;
}
