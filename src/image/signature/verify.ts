import type { LogPort } from "../../domain/log.ts";
import { SIGNATURE_BYTES_MAX } from "../../domain/limits.ts";
import type { ImageSignature, ImageVerification, Signer, SigningRules, TrustRootOrigin } from "../../domain/signing.ts";
import { BpfmanError } from "../../errors/error.ts";
import type { Digest, Repository } from "../repository.ts";
import { damage, type FoundSignature, findSignatures } from "./found.ts";
import { signedBy, type TrustedKey } from "./keys.ts";
import { invalid, type Signed } from "./signed.ts";
import type { TrustRoot } from "./trust-root.ts";

export interface Verification {
  readonly rules: SigningRules;
  /** The keys named in the rules. */
  readonly keys: readonly TrustedKey[];
  /** Called for the first keyless signature. */
  readonly openTrustRoot: () => Promise<TrustRoot>;
  /** Examines every signature instead of stopping at the first trusted one. */
  readonly thorough: boolean;
  readonly log: LogPort;
}

/** The outcome of verifying a signature's signer. */
interface Proven {
  readonly signer: Signer | null;
  readonly signedAt: Date | null;
  /** Why the signer is not trusted; null if it is. */
  readonly untrusted: string | null;
}

/**
 * Decides whether an image may be used. One trusted signature is sufficient: valid, and made by one of the rules'
 * identities or keys, or by any identity if the rules name none. For an unsigned image, the rules decide, and accepting
 * it logs a warning. An image with signatures of which none is trusted is rejected, whatever the rules say about
 * unsigned ones. Throws IMAGE_UNSIGNED, SIGNATURE_INVALID, SIGNER_UNTRUSTED, TRUST_ROOT_UNAVAILABLE, and whatever the
 * repository throws.
 */
export async function verifyImage(
  repository: Repository,
  digest: Digest,
  verification: Verification,
): Promise<ImageVerification> {
  const signatures: ImageSignature[] = [];
  let trustRoot: TrustRootOrigin | null = null;
  const openTrustRoot = once(async () => {
    const root = await verification.openTrustRoot();
    trustRoot = root.origin;
    return root;
  });
  for await (const found of findSignatures(repository, digest)) {
    const signature = await examine(found, { ...verification, repository, digest, openTrustRoot });
    if (signature !== null) signatures.push(signature);
    if (signature?.verdict === "trusted" && !verification.thorough) break;
  }
  const image = `${repository.name}@${digest}`;
  if (signatures.length === 0) {
    if (!verification.rules.allowUnsigned) {
      throw new BpfmanError("IMAGE_UNSIGNED", `verify "${image}": it has no signature, and signatures are required`, {
        details: { image },
      });
    }
    verification.log.warn("the image is not signed, but is accepted anyway", { image });
  } else if (!signatures.some(({ verdict }) => verdict === "trusted")) {
    throw refusal(image, signatures);
  }
  return { unsigned: signatures.length === 0, signatures, trustRoot };
}

interface Examination extends Verification {
  readonly repository: Repository;
  readonly digest: Digest;
}

/** Returns null if it is not an image signature. */
async function examine(found: FoundSignature, examination: Examination): Promise<ImageSignature | null> {
  const { layout, manifest } = found;
  try {
    const signed = await readSigned(found, examination);
    if (signed === null) return null;
    const { signer, signedAt, untrusted } = await prove(signed, examination);
    return {
      layout,
      manifest,
      verdict: untrusted === null ? "trusted" : "untrusted",
      reason: untrusted,
      signer,
      signedAt,
    };
  } catch (thrown) {
    if (!(thrown instanceof BpfmanError) || thrown.code !== "SIGNATURE_INVALID") throw thrown;
    return { layout, manifest, verdict: "invalid", reason: thrown.message, signer: null, signedAt: null };
  }
}

async function readSigned({ content }: FoundSignature, { repository, digest }: Examination): Promise<Signed | null> {
  if (content.format === "unreadable") throw invalid(content.reason);
  const { layer, format } = content;
  if (layer.size > SIGNATURE_BYTES_MAX) throw invalid(`it has more than ${SIGNATURE_BYTES_MAX} bytes`);
  const bytes = await repository.blob(layer).catch((thrown) => {
    throw invalid(`it is damaged: ${damage(thrown)}`);
  });
  if (format === "bundle") {
    const { readSignatureBundle } = await import("./bundle.ts");
    return readSignatureBundle(bytes, digest);
  }
  const { readSimpleSigning } = await import("./simple-signing.ts");
  return readSimpleSigning(bytes, layer.annotations ?? {}, digest);
}

async function prove(signed: Signed, { rules, keys, openTrustRoot }: Examination): Promise<Proven> {
  if (signed.certified === null) return proveKey(signed, keys);
  const { proveIdentity } = await import("./keyless.ts");
  const { signer, signedAt } = proveIdentity(signed.certified, (await openTrustRoot()).material);
  if (rules.trustedIdentities.length === 0 && keys.length === 0) return { signer, signedAt, untrusted: null };
  const { isTrusted } = await import("./identity.ts");
  const isGood = isTrusted(signer, rules.trustedIdentities);
  return { signer, signedAt, untrusted: isGood ? null : `it was made by ${nameOf(signer)}, who is not trusted` };
}

/** A key is sufficient proof: it needs no log, certificate or time, and therefore no trusted root. */
function proveKey({ message, signature }: Signed, keys: readonly TrustedKey[]): Proven {
  const key = keys.find((each) => signedBy(each.key, message, signature));
  if (key !== undefined) {
    const signer: Signer = { kind: "key", file: key.file, fingerprint: key.fingerprint };
    return { signer, signedAt: null, untrusted: null };
  }
  const untrusted =
    keys.length === 0 ? "it was made with a key, and no key is trusted" : "it was made with none of the trusted keys";
  return { signer: null, signedAt: null, untrusted };
}

const nameOf = (signer: Signer): string =>
  signer.kind === "key" ? `the key "${signer.file}"` : `"${signer.identity}" (issuer "${signer.issuer}")`;

/** Reasons quoted in the message for an image's signatures; `details` contains all of them. */
const REASONS_MAX = 4;

function refusal(image: string, signatures: readonly ImageSignature[]): BpfmanError {
  const isUntrusted = signatures.some(({ verdict }) => verdict === "untrusted");
  const reasons = [...new Set(signatures.map(({ reason }) => reason))];
  const told = reasons.slice(0, REASONS_MAX).join("; ");
  const what =
    signatures.length === 1
      ? "its signature is not accepted"
      : `none of its ${signatures.length} signatures is accepted`;
  const more = reasons.length > REASONS_MAX ? "; and more" : "";
  return new BpfmanError(
    isUntrusted ? "SIGNER_UNTRUSTED" : "SIGNATURE_INVALID",
    `verify "${image}": ${what}: ${told}${more}`,
    {
      details: {
        image,
        signatures: signatures.map(({ manifest, verdict, reason }) => ({ manifest, verdict, reason })),
      },
    },
  );
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | null = null;
  return () => {
    made ??= make();
    return made;
  };
}
