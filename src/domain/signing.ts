/** Whose signatures on images count, and what becomes of images without one. */

/** A whole value, or a regular expression (RE2) that must match all of it. */
export type Match = { readonly exact: string } | { readonly regexp: string };

/** A signer who proves who he is with a short-lived certificate (Fulcio). */
export interface TrustedIdentity {
  /** The certificate's subject alternative name: an e-mail address or the URI of a workflow. */
  readonly identity: Match;
  /** Who vouched for that: the URL of an OpenID Connect provider. */
  readonly issuer: Match;
}

/** The rules that signatures are held against. With neither identities nor keys, any identity in a good certificate counts. */
export interface SigningRules {
  /** Images without a signature are accepted, with a warning. */
  readonly allowUnsigned: boolean;
  readonly trustedIdentities: readonly TrustedIdentity[];
  /** Absolute paths of public keys in PEM. */
  readonly trustedKeys: readonly string[];
  /** Absolute path of a Sigstore trusted root; null for the public one. */
  readonly trustedRoot: string | null;
}

/** The rules, and whether they are applied to what is pulled. */
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

/** Who made a signature, as far as it proves that. */
export type Signer =
  | { readonly kind: "identity"; readonly identity: string; readonly issuer: string }
  /** `file` is the trusted key's; `fingerprint` is `sha256:` and the hex digest of the key in DER. */
  | { readonly kind: "key"; readonly file: string; readonly fingerprint: string };

/**
 * `trusted`: good, by a signer who counts. `untrusted`: by somebody else, or by a key that is not among the trusted ones.
 * `invalid`: not for this image, changed, incomplete, or not by whom it says.
 */
export type SignatureVerdict = "trusted" | "untrusted" | "invalid";

/** One signature that was found for an image. */
export interface ImageSignature {
  /** In a manifest under the tag `sha256-<hex>.sig`, or in one that refers to the image. */
  readonly layout: "tag" | "referrer";
  /** The manifest that holds it. */
  readonly manifest: string;
  readonly verdict: SignatureVerdict;
  /** Why it does not count; null when it does. */
  readonly reason: string | null;
  /** Null when it proves nobody. */
  readonly signer: Signer | null;
  /** When it was made, by a log or a time-stamp authority; null when only a key vouches for it. */
  readonly signedAt: Date | null;
}

/**
 * Where the authorities and logs that keyless signatures are checked against came from: the user's file; the public trusted
 * root as it is now; as it was when it could last be fetched; as it was when this program was made.
 */
export type TrustRootOrigin = "file" | "current" | "outdated" | "embedded";

/** What was found out about an image that may be used. */
export interface ImageVerification {
  /** No signature, and none is required. */
  readonly unsigned: boolean;
  readonly signatures: readonly ImageSignature[];
  /** Null when no keyless signature had to be checked. */
  readonly trustRoot: TrustRootOrigin | null;
}
