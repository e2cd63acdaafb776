/** The services that cosign signs with, on loopback: the parts of Fulcio and Rekor that cosign uses. */
import { createHash, createPublicKey } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Identity, type LogEntry, openSigstore, pem, type Sigstore } from "./sigstore.ts";

export interface SigstoreServer {
  readonly sigstore: Sigstore;
  readonly url: string;
  /** Files that cosign is pointed at. */
  readonly files: {
    readonly trustedRoot: string;
    readonly authority: string;
    readonly logKey: string;
    readonly certificateLogKey: string;
  };
  readonly token: typeof identityToken;
  close(): Promise<void>;
}

/** Writes its files into a directory of the caller's. */
export async function startSigstore(directory: string): Promise<SigstoreServer> {
  let answer: (request: Request) => Promise<Response> = async () => new Response("not yet", { status: 503 });
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: (request) => answer(request) });
  const url = `http://127.0.0.1:${server.port}`;
  const sigstore = await openSigstore(url);
  answer = sigstoreService(sigstore);
  const files = {
    trustedRoot: join(directory, "trusted_root.json"),
    authority: join(directory, "authority.pem"),
    logKey: join(directory, "log.pub"),
    certificateLogKey: join(directory, "certificate-log.pub"),
  };
  const { tlogs, ctlogs } = JSON.parse(sigstore.trustedRoot);
  writeFileSync(files.trustedRoot, sigstore.trustedRoot);
  writeFileSync(files.authority, pem(sigstore.authority));
  writeFileSync(files.logKey, publicKey(tlogs[0].publicKey.rawBytes));
  writeFileSync(files.certificateLogKey, publicKey(ctlogs[0].publicKey.rawBytes));
  return { sigstore, url, files, token: identityToken, close: () => server.stop(true) };
}

/** What Fulcio and Rekor answer. */
export function sigstoreService(sigstore: Sigstore): (request: Request) => Promise<Response> {
  return async (request) => {
    const { pathname } = new URL(request.url);
    const body = async (): Promise<Asked> => (await request.json()) as Asked;
    switch (pathname) {
      case "/api/v1/signingCert": {
        const key = Buffer.from((await body()).publicKey.content, "base64").toString();
        const chain = await certificates(sigstore, key, request);
        return new Response(chain.join(""), {
          status: 201,
          headers: { "content-type": "application/pem-certificate-chain" },
        });
      }
      case "/api/v2/signingCert": {
        const chain = await certificates(sigstore, (await body()).publicKeyRequest.publicKey.content, request);
        return Response.json({ signedCertificateEmbeddedSct: { chain: { certificates: chain } } });
      }
      case "/api/v1/log/entries": {
        const entry = await sigstore.log(canonical(await body()));
        const id = entryId(entry);
        return Response.json({ [id]: entry }, { status: 201, headers: { etag: id } });
      }
      default:
        return new Response("no such service", { status: 404 });
    }
  };
}

async function certificates(sigstore: Sigstore, key: string, request: Request): Promise<string[]> {
  const token = request.headers.get("authorization")?.replace(/^Bearer /, "") ?? "";
  const claims = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString());
  const der = createPublicKey(key).export({ type: "spki", format: "der" });
  const certificate = await sigstore.issue(der, { identity: claims.sub, issuer: claims.iss });
  return [pem(certificate), pem(sigstore.authority)];
}

/** Rekor keeps hashes of an envelope that it is given whole (rekor, pkg/types/dsse). */
function canonical(proposed: Entry): object {
  const { proposedContent } = proposed.spec;
  if (proposedContent === undefined) return proposed;
  const envelope = JSON.parse(proposedContent.envelope);
  const hash = (bytes: Uint8Array) => ({
    algorithm: "sha256",
    value: createHash("sha256").update(bytes).digest("hex"),
  });
  return {
    apiVersion: proposed.apiVersion,
    kind: proposed.kind,
    spec: {
      envelopeHash: hash(Buffer.from(proposedContent.envelope)),
      payloadHash: hash(Buffer.from(envelope.payload, "base64")),
      signatures: [{ signature: envelope.signatures[0].sig, verifier: proposedContent.verifiers[0] }],
    },
  };
}

/** Each service takes its own part. */
interface Asked extends Entry {
  readonly publicKey: { readonly content: string };
  readonly publicKeyRequest: { readonly publicKey: { readonly content: string } };
}

interface Entry {
  readonly kind: string;
  readonly apiVersion: string;
  readonly spec: { readonly proposedContent?: Proposed };
}

interface Proposed {
  readonly envelope: string;
  readonly verifiers: readonly string[];
}

/** The leaf's hash in the log's tree (RFC 6962), which is what Rekor calls an entry. */
const entryId = ({ body }: LogEntry): string =>
  createHash("sha256").update(new Uint8Array(1)).update(Buffer.from(body, "base64")).digest("hex");

const publicKey = (base64: string): string =>
  createPublicKey({ key: Buffer.from(base64, "base64"), format: "der", type: "spki" })
    .export({ type: "spki", format: "pem" })
    .toString();

/** What an identity provider hands out; nobody here checks its signature. */
export function identityToken({ identity, issuer }: Identity): string {
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: issuer, sub: identity, aud: "sigstore", iat: now, exp: now + 600 };
  return `${encode({ alg: "RS256", typ: "JWT" })}.${encode(claims)}.${encode({})}`;
}
