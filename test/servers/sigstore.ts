/**
 * A Sigstore without a network: authority, certificate log and signature log, with keys generated on opening. Signs
 * images in both of cosign's layouts, with certificates and with keys; cosign itself checks the results (test/images).
 */
import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { initializeCA, initializeCTLog, initializeTLog } from "@sigstore/mock";
import type { Digest, Repository } from "../../src/image/repository.ts";

export const IDENTITY = "https://example.com/acme/tools/.github/workflows/release.yml@refs/heads/main";
export const ISSUER = "https://token.example.com";

export interface Identity {
  readonly identity: string;
  readonly issuer: string;
}

export interface Sigstore {
  /** As cosign and we read it (trusted_root.json). */
  readonly trustedRoot: string;
  /** The authority's own certificate. */
  readonly authority: Buffer;
  /** A certificate for a key in DER. */
  issue(key: Uint8Array, who: Identity): Promise<Buffer>;
  /** A certificate valid for ten minutes from now, and the key it is for. */
  certify(who?: Partial<Identity>): Promise<Certified>;
  /** Takes an entry into the log, at this moment or at another. */
  log(entry: object, at?: Date): Promise<LogEntry>;
}

interface Certified {
  readonly key: KeyObject;
  readonly certificate: Buffer;
}

/** As Rekor answers. */
export interface LogEntry {
  readonly body: string;
  readonly integratedTime: number;
  readonly logID: string;
  readonly logIndex: number;
  readonly verification: {
    readonly signedEntryTimestamp: string;
    readonly inclusionProof: {
      readonly checkpoint: string;
      readonly hashes: readonly string[];
      readonly logIndex: number;
      readonly rootHash: string;
      readonly treeSize: number;
    };
  };
}

const pair = (curve: "P-256" | "P-384") => generateKeyPairSync("ec", { namedCurve: curve });
const der = (key: KeyObject): Buffer => key.export({ type: "spki", format: "der" });
const sha256 = (bytes: Uint8Array): Buffer => createHash("sha256").update(bytes).digest();
export const pem = (bytes: Uint8Array): string => {
  const lines =
    Buffer.from(bytes)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n");
};

/** Fulcio's extensions of certificates. */
const FULCIO_OID = "1.3.6.1.4.1.57264.1";

/** `url` is where the log says it is. */
export async function openSigstore(url = "http://127.0.0.1:1"): Promise<Sigstore> {
  const [authorityPair, certificateLogPair, logPair] = [pair("P-384"), pair("P-256"), pair("P-256")];
  const certificateLog = await initializeCTLog(certificateLogPair);
  const ca = await initializeCA(authorityPair, certificateLog);
  const log = (at?: Date) => initializeTLog(url, logPair, at);
  const start = new Date(Date.now() - 3_600_000).toISOString();
  const logOf = (key: KeyObject) => ({
    baseUrl: url,
    hashAlgorithm: "SHA2_256",
    publicKey: {
      rawBytes: der(key).toString("base64"),
      keyDetails: "PKIX_ECDSA_P256_SHA_256",
      validFor: { start },
    },
    logId: { keyId: sha256(der(key)).toString("base64") },
  });
  const trustedRoot = {
    mediaType: "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
    tlogs: [logOf(logPair.publicKey)],
    certificateAuthorities: [
      {
        subject: { organization: "sigstore.mock", commonName: "sigstore" },
        uri: url,
        certChain: { certificates: [{ rawBytes: bytesOf(ca.rootCertificate).toString("base64") }] },
        validFor: { start },
      },
    ],
    ctlogs: [logOf(certificateLogPair.publicKey)],
    timestampAuthorities: [],
  };
  const issue = async (key: Uint8Array, { identity, issuer }: Identity): Promise<Buffer> => {
    // As Fulcio does: cosign reads the old extension, @sigstore/verify the new one.
    const extensions = [
      { oid: `${FULCIO_OID}.1`, value: issuer, legacy: true },
      { oid: `${FULCIO_OID}.8`, value: issuer },
    ];
    const request = { subjectAltName: identity, extensions };
    return bytesOf(await ca.issueCertificate({ ...request, publicKey: new Uint8Array(key) }));
  };
  return {
    trustedRoot: JSON.stringify(trustedRoot),
    authority: bytesOf(ca.rootCertificate),
    issue,
    async certify({ identity = IDENTITY, issuer = ISSUER } = {}) {
      const { publicKey, privateKey } = pair("P-256");
      return { key: privateKey, certificate: await issue(der(publicKey), { identity, issuer }) };
    },
    async log(entry, at) {
      const answer = await (await log(at)).log(entry);
      return Object.values(answer)[0] as unknown as LogEntry;
    },
  };
}

const bytesOf = (view: ArrayBufferView): Buffer => Buffer.from(view.buffer, view.byteOffset, view.byteLength);

/** A layer of the classic layout. */
export interface SimpleSignature {
  readonly payload: Uint8Array;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface SigningOptions extends Partial<Identity> {
  /** When the log took the signature in; now unless it is said. */
  readonly loggedAt?: Date;
  /** What is signed instead of the right payload or statement. */
  readonly content?: object;
  readonly payloadType?: string;
}

const SIGNATURE = "dev.cosignproject.cosign/signature";

const simplePayload = (digest: Digest): object => ({
  critical: {
    identity: { "docker-reference": "example.com/acme/tools" },
    image: { "docker-manifest-digest": digest },
    type: "cosign container image signature",
  },
  optional: null,
});

export function signSimplyByKey(key: KeyObject, digest: Digest, { content }: SigningOptions = {}): SimpleSignature {
  const payload = Buffer.from(JSON.stringify(content ?? simplePayload(digest)));
  return { payload, annotations: { [SIGNATURE]: sign("sha256", payload, key).toString("base64") } };
}

export async function signSimply(
  sigstore: Sigstore,
  digest: Digest,
  options: SigningOptions = {},
): Promise<SimpleSignature> {
  const { key, certificate } = await sigstore.certify(options);
  const { payload, annotations } = signSimplyByKey(key, digest, options);
  const { verification, ...entry } = await sigstore.log(
    {
      apiVersion: "0.0.1",
      kind: "hashedrekord",
      spec: {
        data: { hash: { algorithm: "sha256", value: sha256(payload).toString("hex") } },
        signature: {
          content: annotations[SIGNATURE],
          publicKey: { content: Buffer.from(pem(certificate)).toString("base64") },
        },
      },
    },
    options.loggedAt,
  );
  return {
    payload,
    annotations: {
      ...annotations,
      "dev.sigstore.cosign/certificate": pem(certificate),
      "dev.sigstore.cosign/chain": pem(sigstore.authority),
      "dev.sigstore.cosign/bundle": JSON.stringify({
        SignedEntryTimestamp: verification.signedEntryTimestamp,
        Payload: entry,
      }),
    },
  };
}

const statement = (digest: Digest): object => ({
  _type: "https://in-toto.io/Statement/v1",
  subject: [{ digest: { sha256: digest.slice("sha256:".length) }, annotations: {} }],
  predicateType: "https://sigstore.dev/cosign/sign/v1",
  predicate: {},
});

interface Envelope {
  readonly payload: string;
  readonly payloadType: string;
  readonly signatures: readonly { readonly sig: string }[];
}

/** A Sigstore bundle as JSON. */
export interface SignatureBundle {
  readonly mediaType: string;
  readonly verificationMaterial: Readonly<Record<string, unknown>>;
  readonly dsseEnvelope: Envelope;
}

function envelope(key: KeyObject, digest: Digest, options: SigningOptions): Envelope {
  const payload = Buffer.from(JSON.stringify(options.content ?? statement(digest)));
  const payloadType = options.payloadType ?? "application/vnd.in-toto+json";
  const encoded = Buffer.concat([
    Buffer.from(`DSSEv1 ${payloadType.length} ${payloadType} ${payload.length} `),
    payload,
  ]);
  const sig = sign("sha256", encoded, key).toString("base64");
  return { payload: payload.toString("base64"), payloadType, signatures: [{ sig }] };
}

const BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json";

export function signBundleByKey(
  { privateKey, publicKey }: { readonly privateKey: KeyObject; readonly publicKey: KeyObject },
  digest: Digest,
  options: SigningOptions = {},
): SignatureBundle {
  return {
    mediaType: BUNDLE_TYPE,
    verificationMaterial: { publicKey: { hint: sha256(der(publicKey)).toString("base64") } },
    dsseEnvelope: envelope(privateKey, digest, options),
  };
}

export async function signBundle(
  sigstore: Sigstore,
  digest: Digest,
  options: SigningOptions = {},
): Promise<SignatureBundle> {
  const { key, certificate } = await sigstore.certify(options);
  const dsseEnvelope = envelope(key, digest, options);
  const [signature] = dsseEnvelope.signatures;
  const { verification, ...entry } = await sigstore.log(
    {
      apiVersion: "0.0.1",
      kind: "dsse",
      spec: {
        envelopeHash: { algorithm: "sha256", value: sha256(Buffer.from(JSON.stringify(dsseEnvelope))).toString("hex") },
        payloadHash: {
          algorithm: "sha256",
          value: sha256(Buffer.from(dsseEnvelope.payload, "base64")).toString("hex"),
        },
        signatures: [{ signature: signature?.sig, verifier: Buffer.from(pem(certificate)).toString("base64") }],
      },
    },
    options.loggedAt,
  );
  const { inclusionProof: proof } = verification;
  return {
    mediaType: BUNDLE_TYPE,
    verificationMaterial: {
      certificate: { rawBytes: certificate.toString("base64") },
      tlogEntries: [
        {
          logIndex: String(entry.logIndex),
          logId: { keyId: Buffer.from(entry.logID, "hex").toString("base64") },
          kindVersion: { kind: "dsse", version: "0.0.1" },
          integratedTime: String(entry.integratedTime),
          inclusionPromise: { signedEntryTimestamp: verification.signedEntryTimestamp },
          inclusionProof: {
            logIndex: String(proof.logIndex),
            rootHash: Buffer.from(proof.rootHash, "hex").toString("base64"),
            treeSize: String(proof.treeSize),
            hashes: [],
            checkpoint: { envelope: proof.checkpoint },
          },
          canonicalizedBody: entry.body,
        },
      ],
      timestampVerificationData: { rfc3161Timestamps: [] },
    },
    dsseEnvelope,
  };
}

const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const INDEX = "application/vnd.oci.image.index.v1+json";
const text = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

/** Under the tag `sha256-<hex>.sig`, in place of what is there. */
export async function publishSimply(
  repository: Repository,
  digest: Digest,
  signatures: readonly SimpleSignature[],
): Promise<void> {
  const config = text({ architecture: "", created: "0001-01-01T00:00:00Z", os: "", rootfs: { type: "layers" } });
  const layers = await Promise.all(
    signatures.map(async ({ payload, annotations }) => ({
      mediaType: "application/vnd.dev.cosign.simplesigning.v1+json",
      digest: await repository.putBlob(payload),
      size: payload.length,
      annotations,
    })),
  );
  const bytes = text({
    schemaVersion: 2,
    mediaType: MANIFEST,
    config: {
      mediaType: "application/vnd.oci.image.config.v1+json",
      digest: await repository.putBlob(config),
      size: config.length,
    },
    layers,
  });
  await repository.putManifest(`${digest.replace(":", "-")}.sig`, { bytes, mediaType: MANIFEST });
}

/** As a referrer, listed under the fallback tag with the wrong type that cosign gives it there. */
export async function publishBundle(repository: Repository, digest: Digest, bundle: object): Promise<void> {
  const [empty, content] = [text({}), text(bundle)];
  const subject = await repository.manifest(digest);
  if (subject === null) throw new Error(`there is no ${digest} to sign`);
  const bytes = text({
    schemaVersion: 2,
    mediaType: MANIFEST,
    artifactType: BUNDLE_TYPE,
    config: {
      mediaType: "application/vnd.oci.empty.v1+json",
      digest: await repository.putBlob(empty),
      size: empty.length,
    },
    layers: [{ mediaType: BUNDLE_TYPE, digest: await repository.putBlob(content), size: content.length }],
    subject: { mediaType: subject.mediaType, digest, size: subject.bytes.length },
  });
  await publishReferrer(repository, digest, bytes);
}

export async function publishReferrer(repository: Repository, digest: Digest, bytes: Uint8Array): Promise<void> {
  const referrer: Digest = `sha256:${sha256(bytes).toString("hex")}`;
  await repository.putManifest(referrer, { bytes, mediaType: MANIFEST });
  const tag = digest.replace(":", "-");
  const before = await repository.manifest(tag);
  const manifests: object[] = before === null ? [] : JSON.parse(new TextDecoder().decode(before.bytes)).manifests;
  manifests.push({
    mediaType: MANIFEST,
    digest: referrer,
    size: bytes.length,
    artifactType: "application/vnd.oci.empty.v1+json",
  });
  const index = text({ schemaVersion: 2, mediaType: INDEX, manifests });
  await repository.putManifest(tag, { bytes: index, mediaType: INDEX });
}
