/** cosign's classic signatures: a JSON text that names the image, with annotations that sign and prove it. */
import { createHash, X509Certificate } from "node:crypto";
import * as v from "valibot";
import type { Digest } from "../repository.ts";
import { json } from "./found.ts";
import { base64, invalid, readBundle, type Signed } from "./signed.ts";

const SIGNATURE = "dev.cosignproject.cosign/signature";
const CERTIFICATE = "dev.sigstore.cosign/certificate";
const BUNDLE = "dev.sigstore.cosign/bundle";
const TIMESTAMP = "dev.sigstore.cosign/rfc3161timestamp";

/** The only type that signs the image itself. Others make statements about it. */
const PAYLOAD_TYPE = "cosign container image signature";
/** The oldest bundle version, which accepts a log's signed promise; cosign's annotation has nothing else. */
const BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle+json;version=0.1";

const payloadSchema = v.object({
  critical: v.object({ type: v.string(), image: v.object({ "docker-manifest-digest": v.string() }) }),
});
/**
 * Rekor's promise: the entry, and when it was integrated. Integers are checked, because the signature covers their
 * text.
 */
const promiseSchema = v.object({
  SignedEntryTimestamp: v.string(),
  Payload: v.object({
    body: v.string(),
    integratedTime: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
    logIndex: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
    logID: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
  }),
});
const entrySchema = v.object({ kind: v.string(), apiVersion: v.string() });
const timestampSchema = v.object({ SignedRFC3161Timestamp: v.string() });

/**
 * Checks that the payload is about this image and assembles the parts of the signature. The image name in the payload
 * is ignored, because images are copied between registries. Throws SIGNATURE_INVALID.
 */
export async function readSimpleSigning(
  payload: Uint8Array,
  annotations: Readonly<Record<string, string>>,
  digest: Digest,
): Promise<Signed> {
  checkPayload(payload, digest);
  const signature = base64(annotations[SIGNATURE], `annotation ${SIGNATURE}`);
  const pem = annotations[CERTIFICATE];
  if (pem === undefined || pem === "") return { message: payload, signature, certified: null };
  const promise = annotations[BUNDLE];
  if (promise === undefined) throw invalid("it has a certificate, but no entry of a transparency log");
  const timestamp = annotations[TIMESTAMP];
  const bundle = await readBundle({
    mediaType: BUNDLE_TYPE,
    messageSignature: {
      messageDigest: { algorithm: "SHA2_256", digest: createHash("sha256").update(payload).digest("base64") },
      signature: signature.toString("base64"),
    },
    verificationMaterial: {
      x509CertificateChain: { certificates: [{ rawBytes: certificateBytes(pem).toString("base64") }] },
      tlogEntries: [logEntry(promise)],
      timestampVerificationData: { rfc3161Timestamps: timestamp === undefined ? [] : [timestampOf(timestamp)] },
    },
  });
  return { message: payload, signature, certified: { bundle, payload: Buffer.from(payload) } };
}

function checkPayload(payload: Uint8Array, digest: Digest): void {
  const parsed = v.safeParse(payloadSchema, json(payload));
  if (!parsed.success) throw invalid("what it signs is not a cosign payload");
  const { type, image } = parsed.output.critical;
  if (type !== PAYLOAD_TYPE) throw invalid(`what it signs is of type "${type}", not "${PAYLOAD_TYPE}"`);
  const signed = image["docker-manifest-digest"];
  if (signed !== digest) throw invalid(`it is for another image, ${signed}`);
}

function certificateBytes(pem: string): Buffer {
  try {
    return new X509Certificate(pem).raw;
  } catch {
    throw invalid("its certificate cannot be read");
  }
}

function logEntry(annotation: string): unknown {
  const parsed = v.safeParse(promiseSchema, json(Buffer.from(annotation)));
  if (!parsed.success) throw invalid("its entry of a transparency log cannot be read");
  const { SignedEntryTimestamp: promise, Payload: entry } = parsed.output;
  const body = v.safeParse(entrySchema, json(base64(entry.body, "log entry")));
  if (!body.success) throw invalid("its entry of a transparency log cannot be read");
  return {
    logIndex: String(entry.logIndex),
    logId: { keyId: Buffer.from(entry.logID, "hex").toString("base64") },
    kindVersion: { kind: body.output.kind, version: body.output.apiVersion },
    integratedTime: String(entry.integratedTime),
    inclusionPromise: { signedEntryTimestamp: promise },
    canonicalizedBody: entry.body,
  };
}

function timestampOf(annotation: string): unknown {
  const parsed = v.safeParse(timestampSchema, json(Buffer.from(annotation)));
  if (!parsed.success) throw invalid("its time stamp cannot be read");
  return { signedTimestamp: parsed.output.SignedRFC3161Timestamp };
}
