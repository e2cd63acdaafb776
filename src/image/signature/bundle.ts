/** cosign's newer signatures: a Sigstore bundle with an in-toto statement about the image in a DSSE envelope. */
import * as v from "valibot";
import type { Digest } from "../repository.ts";
import { json } from "./found.ts";
import { invalid, readBundle, type Signed } from "./signed.ts";

const PAYLOAD_TYPE = "application/vnd.in-toto+json";
/**
 * The predicate type of a statement that signs an image. Others attest something about it, such as how it was built.
 */
const PREDICATE_TYPE = "https://sigstore.dev/cosign/sign/v1";
const STATEMENT_TYPES: readonly string[] = ["https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"];

const statementSchema = v.object({
  _type: v.string(),
  predicateType: v.string(),
  subject: v.array(v.object({ digest: v.record(v.string(), v.string()) })),
});

/**
 * Checks that the bundle's statement signs this image. Returns null for an attestation, which is not an image
 * signature, whoever made it. Throws SIGNATURE_INVALID.
 */
export async function readSignatureBundle(bytes: Uint8Array, digest: Digest): Promise<Signed | null> {
  const bundle = await readBundle(json(bytes));
  if (bundle.content.$case !== "dsseEnvelope") throw invalid("its bundle has no statement about an image");
  const { payload, payloadType, signatures } = bundle.content.dsseEnvelope;
  if (payloadType !== PAYLOAD_TYPE) throw invalid(`what it signs is of type "${payloadType}", not "${PAYLOAD_TYPE}"`);
  const parsed = v.safeParse(statementSchema, json(payload));
  if (!parsed.success || !STATEMENT_TYPES.includes(parsed.output._type)) {
    throw invalid("what it signs is not an in-toto statement");
  }
  const { predicateType, subject } = parsed.output;
  if (predicateType !== PREDICATE_TYPE) return null;
  const hex = digest.slice("sha256:".length);
  if (!subject.some((each) => each.digest.sha256 === hex)) throw invalid("it is for another image");
  const isByKey = bundle.verificationMaterial.content.$case === "publicKey";
  return {
    message: preAuthenticationEncoding(payloadType, payload),
    signature: signatures[0]?.sig ?? Buffer.alloc(0),
    certified: isByKey ? null : { bundle, payload },
  };
}

/** Returns the message that a DSSE signature covers (https://github.com/secure-systems-lab/dsse, protocol.md). */
function preAuthenticationEncoding(type: string, payload: Uint8Array): Buffer {
  const head = `DSSEv1 ${Buffer.byteLength(type)} ${type} ${payload.length} `;
  return Buffer.concat([Buffer.from(head), payload]);
}
