/** Verifies signatures with short-lived certificates. @sigstore/verify checks authority, transparency log and time. */
import { X509Certificate } from "node:crypto";
import { type SignedEntity, toSignedEntity, type TrustMaterial, Verifier } from "@sigstore/verify";
import { IDENTITY_CHARS_MAX } from "../../domain/limits.ts";
import type { Signer } from "../../domain/signing.ts";
import { BpfmanError } from "../../errors/error.ts";
import { invalid, type Signed } from "./signed.ts";

export interface Proof {
  readonly signer: Extract<Signer, { kind: "identity" }>;
  /** The earliest time that a transparency log or timestamp authority proves. */
  readonly signedAt: Date | null;
}

/** Require one proof each: of the certificate's publication, the signature's publication, and the time. */
const THRESHOLDS = { ctlogThreshold: 1, tlogThreshold: 1, timestampThreshold: 1 };

/** OIDs of certificate extensions (RFC 5280; Fulcio's docs/oid-info.md). */
const SUBJECT_ALTERNATIVE_NAME = "2.5.29.17";
const ISSUERS: readonly string[] = ["1.3.6.1.4.1.57264.1.1", "1.3.6.1.4.1.57264.1.8"];
const CODE_SIGNING = "1.3.6.1.5.5.7.3.3";

type Certified = NonNullable<Signed["certified"]>;

/** Returns who made the signature and when. Throws SIGNATURE_INVALID with what is not proven. */
export function proveIdentity({ bundle, payload }: Certified, trust: TrustMaterial): Proof {
  try {
    const entity = toSignedEntity(bundle, payload);
    const { identity } = new Verifier(trust, THRESHOLDS).verify(entity);
    checkPurpose(bundle);
    const name = identity?.subjectAlternativeName;
    const issuer = identity?.extensions?.issuer;
    if (name === undefined || issuer === undefined) throw invalid("its certificate names no identity or no issuer");
    const extension = (ids: readonly string[]): Buffer[] =>
      (identity?.oids ?? []).filter(({ oid }) => ids.includes(oid?.id.join(".") ?? "")).map(({ value }) => value);
    checkText(name, extension([SUBJECT_ALTERNATIVE_NAME]));
    checkText(issuer, extension(ISSUERS));
    return { signer: { kind: "identity", identity: name, issuer }, signedAt: provenTime(entity) };
  } catch (thrown) {
    // The library throws its own errors, and arbitrary ones for bytes that only resemble a certificate.
    throw thrown instanceof BpfmanError ? thrown : invalid(`it is not proven: ${reasonOf(thrown)}`);
  }
}

/** A certificate of the same authority for another purpose, such as a server, proves nothing about software. */
function checkPurpose({ verificationMaterial: { content } }: Certified["bundle"]): void {
  const raw =
    content.$case === "certificate"
      ? content.certificate.rawBytes
      : content.$case === "x509CertificateChain"
        ? content.x509CertificateChain.certificates[0]?.rawBytes
        : undefined;
  // Node's `keyUsage` is the extended key usage (RFC 5280, 4.2.1.12).
  const purposes = raw === undefined ? [] : (new X509Certificate(raw).keyUsage ?? []);
  if (!purposes.includes(CODE_SIGNING)) throw invalid("its certificate is not for code signing");
}

/**
 * The library decodes names as ASCII and drops the high bit of each byte, which could turn another name into a trusted
 * one. The decoded name must therefore occur in the certificate verbatim.
 */
function checkText(text: string, extensions: readonly Buffer[]): void {
  const stands = extensions.some((value) => value.includes(Buffer.from(text, "utf8")));
  if (!stands || text.length > IDENTITY_CHARS_MAX) throw invalid("its certificate has an unusual identity or issuer");
}

/** Considers only timestamps that were verified. */
function provenTime({ timestamps }: SignedEntity): Date | null {
  const times = timestamps.flatMap((each) => {
    if (each.$case === "timestamp-authority") return [each.timestamp.signingTime.getTime()];
    return each.tlogEntry.inclusionPromise ? [Number(each.tlogEntry.integratedTime) * 1000] : [];
  });
  return times.length === 0 ? null : new Date(Math.min(...times));
}

function reasonOf(thrown: unknown): string {
  const reasons: string[] = [];
  for (let each = thrown; each instanceof Error && reasons.length < 3; each = each.cause) {
    if (each.message !== "") reasons.push(each.message.charAt(0).toLowerCase() + each.message.slice(1));
  }
  return reasons.join(": ") || "it cannot be read";
}
