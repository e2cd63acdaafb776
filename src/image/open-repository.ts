/** A repository of a registry over HTTP (OCI distribution spec 1.1, and docker registry API v2, its predecessor). */
import { LAYER_BYTES_MAX, MANIFEST_BYTES_MAX, REGISTRY_TEXT_BYTES_MAX } from "../domain/limits.ts";
import { BpfmanError } from "../errors/error.ts";
import { denied, openAuthorization, type Scope } from "./authorization.ts";
import { trustedAuthorities } from "./authorities.ts";
import type { Credentials } from "./credential.ts";
import { findCredentials } from "./credentials.ts";
import { type Descriptor, type Digest, digestOf, type Manifest, type Repository } from "./repository.ts";
import { MANIFEST_TYPES, mediaTypeOf } from "./manifest.ts";
import { isDigest, type Reference, repositoryName } from "./reference.ts";
import { isLoopback } from "./destination.ts";
import { type Exchange, failed, openTransport, type Reply, type Transport } from "./transport.ts";
import { codeOf } from "./transport-failure.ts";

export interface RepositoryOptions {
  readonly signal: AbortSignal;
  /** base64 of `user:password`; null to use the files of docker and podman. */
  readonly registryAuth: string | null;
  /** File of additional CA certificates to trust; null for none. */
  readonly caFile: string | null;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Called with the number of bytes of a blob transferred so far, in either direction. */
  transferred?(blob: Descriptor, bytes: number): void;
}

/** Docker's registry has another host name than references use. */
const hostOf = (registry: string): string => (registry === "docker.io" ? "registry-1.docker.io" : registry);

type Send = (scope: Scope, request: Omit<Exchange, "url"> & { at: string | URL }) => Promise<Reply>;

/** A client for one repository of one registry. */
interface Client {
  readonly name: string;
  /** Path of the repository's URLs: `/v2/PATH`. */
  readonly root: string;
  readonly options: RepositoryOptions;
  readonly transport: Transport;
  /** Sends a request to the registry, and again with credentials if it asks for them. */
  readonly send: Send;
  /** Throws the error for an unsuccessful reply. `what` is the start of the message. */
  refuse(reply: Reply, what: string): Promise<never>;
}

/** Makes no connection until it is used. Only the repository part of `reference` matters, not its tag or digest. */
export function openRepository(reference: Reference, options: RepositoryOptions): Repository {
  const client = openClient(reference, options);
  return {
    name: client.name,
    manifest: (key) => fetchManifest(client, key),
    blob: (descriptor) => fetchBlob(client, descriptor),
    referrers: (digest) => fetchReferrers(client, digest),
    putBlob: (bytes) => uploadBlob(client, bytes),
    putManifest: (key, manifest) => uploadManifest(client, key, manifest),
  };
}

function openClient(reference: Reference, options: RepositoryOptions): Client {
  const { registry, path } = reference;
  const name = repositoryName(reference);
  let known: Promise<Credentials | null> | null = null;
  const credentials = () => {
    known ??= findCredentials({ registry, path, registryAuth: options.registryAuth }, options.env);
    return known;
  };
  const transport = openTransport({
    signal: options.signal,
    authorities: trustedAuthorities(options.caFile, options.env),
  });
  const authorization = openAuthorization({ transport, registry, path, credentials });
  let base: Promise<URL> | null = null;
  return {
    name,
    root: `/v2/${path}`,
    options,
    transport,
    async send(scope, { at, ...exchange }) {
      base ??= baseOf(hostOf(registry), transport);
      const url = typeof at === "string" ? new URL(at, await base) : at;
      const own = url.origin === (await base).origin;
      for (let retried = 0; ; retried++) {
        const header = own ? authorization.header(scope) : null;
        const headers = { ...exchange.headers, ...(header === null ? {} : { authorization: header }) };
        const reply = await transport.send({ ...exchange, url, headers });
        // A host that the registry redirects to never gets credentials.
        const asks = reply.status === 401 && own && reply.url.origin === url.origin;
        if (!asks || retried === 2) return reply;
        await authorization.answer(reply, scope);
      }
    },
    async refuse(reply, what) {
      const { status, url, from } = reply;
      const own = base !== null && url.origin === (await base).origin;
      if (own && (status === 401 || status === 403)) throw denied(registry, await credentials());
      const who = own ? "the registry" : from;
      throw new BpfmanError("REGISTRY_FAILED", `${what}: ${who} answered with status ${status}${reasonIn(reply)}`, {
        details: { repository: name, host: url.host, status },
      });
    },
  };
}

const named = ({ name }: Client, key: string): string => `${name}${isDigest(key) ? "@" : ":"}${key}`;

async function fetchManifest(client: Client, key: string): Promise<Manifest | null> {
  const { name, root, send, refuse } = client;
  const what = `fetch the manifest of ${named(client, key)}`;
  const headers = { accept: MANIFEST_TYPES.join(", ") };
  const at = `${root}/manifests/${key}`;
  const reply = await send("pull", { method: "GET", at, headers, bytesMax: MANIFEST_BYTES_MAX });
  if (reply.status === 404) return null;
  if (reply.status !== 200) return refuse(reply, what);
  const digest = digestOf(reply.body);
  const announced = isDigest(key) ? key : reply.headers.get("docker-content-digest");
  if (announced?.startsWith("sha256:") && announced !== digest) {
    throw new BpfmanError("IMAGE_DAMAGED", `${what}: it has digest ${digest}, not ${announced}`, {
      details: { repository: name, digest, expected: announced },
    });
  }
  return { bytes: reply.body, digest, mediaType: mediaTypeOf(reply.body, `${name}@${digest}`) };
}

async function fetchBlob({ name, root, options, send, refuse }: Client, descriptor: Descriptor): Promise<Uint8Array> {
  const { digest, size } = descriptor;
  const what = `fetch ${name}@${digest}`;
  const wrong = (reason: string) =>
    new BpfmanError("IMAGE_DAMAGED", `${what}: ${reason}`, { details: { repository: name, digest } });
  if (!isDigest(digest)) throw wrong("it is not named by a SHA-256 digest");
  if (!Number.isSafeInteger(size) || size < 0 || size > LAYER_BYTES_MAX) {
    throw wrong(`it should have ${size} bytes; at most ${LAYER_BYTES_MAX} are fetched`);
  }
  const reply = await send("pull", {
    method: "GET",
    at: `${root}/blobs/${digest}`,
    bytesMax: size,
    received: (bytes) => options.transferred?.(descriptor, bytes),
    tooLong: () => wrong(`it has more than the ${size} bytes that it should have`),
  });
  if (reply.status === 404) throw wrong("the registry does not have it");
  if (reply.status !== 200) return refuse(reply, what);
  if (reply.body.length !== size) throw wrong(`it has ${reply.body.length} bytes, not ${size}`);
  const found = digestOf(reply.body);
  if (found !== digest) throw wrong(`the content has digest ${found}`);
  return reply.body;
}

async function fetchReferrers(client: Client, digest: Digest): Promise<readonly Descriptor[]> {
  const { name, root, send, refuse } = client;
  const reply = await send("pull", { method: "GET", at: `${root}/referrers/${digest}`, bytesMax: MANIFEST_BYTES_MAX });
  if (reply.status === 200) return referrersIn(reply.body);
  // Registries without the API answer 404, some another 4xx (distribution spec, "Unavailable Referrers API").
  if (reply.status === 401 || reply.status === 403 || reply.status >= 500) {
    return refuse(reply, `list what refers to ${name}@${digest}`);
  }
  const fallback = await fetchManifest(client, digest.replace(":", "-"));
  return fallback === null ? [] : referrersIn(fallback.bytes);
}

async function uploadBlob(
  { name, root, options, transport, send, refuse }: Client,
  bytes: Uint8Array,
): Promise<Digest> {
  const digest = digestOf(bytes);
  const what = `upload ${name}@${digest}`;
  const descriptor = { mediaType: "application/octet-stream", digest, size: bytes.length };
  const there = await send("pull,push", { method: "HEAD", at: `${root}/blobs/${digest}`, bytesMax: 0 });
  if (there.status !== 200) {
    const begin = { method: "POST", at: `${root}/blobs/uploads/`, bytesMax: REGISTRY_TEXT_BYTES_MAX } as const;
    const begun = await send("pull,push", { ...begin, headers: { "content-length": "0" } });
    if (begun.status !== 202) return refuse(begun, what);
    const at = await uploadAt(begun, digest, transport);
    const headers = { "content-type": "application/octet-stream" };
    const put = { method: "PUT", at, headers, body: bytes, bytesMax: REGISTRY_TEXT_BYTES_MAX } as const;
    const done = await send("pull,push", put);
    if (done.status !== 201) return refuse(done, what);
  }
  options.transferred?.(descriptor, bytes.length);
  return digest;
}

async function uploadManifest(
  client: Client,
  key: string,
  { bytes, mediaType }: Omit<Manifest, "digest">,
): Promise<Digest> {
  const { root, send, refuse } = client;
  const reply = await send("pull,push", {
    method: "PUT",
    at: `${root}/manifests/${key}`,
    headers: { "content-type": mediaType },
    body: bytes,
    bytesMax: REGISTRY_TEXT_BYTES_MAX,
  });
  if (reply.status !== 201) return refuse(reply, `upload the manifest of ${named(client, key)}`);
  return digestOf(bytes);
}

/** Uses TLS, or plain HTTP for a registry on loopback that does not speak TLS. */
async function baseOf(host: string, transport: Transport): Promise<URL> {
  const secure = new URL(`https://${host}`);
  if (!isLoopback(secure.hostname)) return secure;
  try {
    await transport.send({
      method: "GET",
      url: new URL("/v2/", secure),
      bytesMax: REGISTRY_TEXT_BYTES_MAX,
      attempts: 1,
    });
    return secure;
  } catch (thrown) {
    const reason = thrown instanceof BpfmanError ? thrown.details.reason : codeOf(thrown);
    if (reason === "EPROTO" || reason === "ECONNRESET") return new URL(`http://${host}`);
    throw thrown;
  }
}

/**
 * Returns the URL to upload the bytes to. Upload locations carry state of the registry in their query, which is kept.
 */
async function uploadAt(reply: Reply, digest: Digest, transport: Transport): Promise<URL> {
  const location = reply.headers.get("location") ?? "";
  if (!URL.canParse(location, reply.url.href)) throw failed(reply, "it does not say where to send an upload");
  const at = new URL(location, reply.url);
  await transport.checkDestination(at, reply, "it directs uploads to");
  at.searchParams.set("digest", digest);
  return at;
}

/** Returns the registry's own message, from the first of its errors (distribution spec, "Error Codes"). */
function reasonIn({ body }: Reply): string {
  try {
    const { errors } = JSON.parse(new TextDecoder().decode(body));
    const { code, message } = errors[0];
    const words = [code, message].filter((word) => typeof word === "string" && word !== "");
    return words.length === 0 ? "" : ` (${words.join(": ").slice(0, 200)})`;
  } catch {
    return "";
  }
}

/** Returns the entries of an index, ignoring anything that is not a descriptor. */
function referrersIn(bytes: Uint8Array): readonly Descriptor[] {
  try {
    const { manifests }: { manifests: readonly Descriptor[] } = JSON.parse(new TextDecoder().decode(bytes));
    return manifests.filter(
      ({ digest, mediaType, size }) => isDigest(digest) && typeof mediaType === "string" && Number.isSafeInteger(size),
    );
  } catch {
    return [];
  }
}
