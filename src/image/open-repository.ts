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

/** Makes no connection until it is used. Only the repository part of `reference` matters, not its tag or digest. */
export function openRepository(reference: Reference, options: RepositoryOptions): Repository {
  const { registry, path } = reference;
  const name = repositoryName(reference);
  const details = { repository: name };
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

  /** Sends a request to the registry, and again with credentials if it asks for them. */
  async function send(scope: Scope, { at, ...exchange }: Omit<Exchange, "url"> & { at: string | URL }): Promise<Reply> {
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
  }

  async function refuse(reply: Reply, what: string): Promise<never> {
    const { status, url, from } = reply;
    const own = base !== null && url.origin === (await base).origin;
    if (own && (status === 401 || status === 403)) throw denied(registry, await credentials());
    const reason = reasonIn(reply);
    throw new BpfmanError(
      "REGISTRY_FAILED",
      `${what}: ${own ? "the registry" : from} answers with status ${status}${reason}`,
      {
        details: { ...details, host: url.host, status },
      },
    );
  }

  async function manifest(key: string): Promise<Manifest | null> {
    const what = `fetch the manifest of ${name}${isDigest(key) ? "@" : ":"}${key}`;
    const headers = { accept: MANIFEST_TYPES.join(", ") };
    const at = `/v2/${path}/manifests/${key}`;
    const reply = await send("pull", { method: "GET", at, headers, bytesMax: MANIFEST_BYTES_MAX });
    if (reply.status === 404) return null;
    if (reply.status !== 200) return refuse(reply, what);
    const digest = digestOf(reply.body);
    const announced = isDigest(key) ? key : reply.headers.get("docker-content-digest");
    if (announced?.startsWith("sha256:") && announced !== digest) {
      throw new BpfmanError("IMAGE_DAMAGED", `${what}: it has digest ${digest}, not ${announced}`, {
        details: { ...details, digest, expected: announced },
      });
    }
    return { bytes: reply.body, digest, mediaType: mediaTypeOf(reply.body, `${name}@${digest}`) };
  }

  async function blob(descriptor: Descriptor): Promise<Uint8Array> {
    const { digest, size } = descriptor;
    const what = `fetch ${name}@${digest}`;
    const wrong = (reason: string) =>
      new BpfmanError("IMAGE_DAMAGED", `${what}: ${reason}`, { details: { ...details, digest } });
    if (!isDigest(digest)) throw wrong("it is not named by a SHA-256 digest");
    if (!Number.isSafeInteger(size) || size < 0 || size > LAYER_BYTES_MAX) {
      throw wrong(`it should have ${size} bytes, and ${LAYER_BYTES_MAX} are the most that is fetched`);
    }
    const reply = await send("pull", {
      method: "GET",
      at: `/v2/${path}/blobs/${digest}`,
      bytesMax: size,
      received: (bytes) => options.transferred?.(descriptor, bytes),
      tooLong: () => wrong(`it has more than the ${size} bytes that it should have`),
    });
    if (reply.status === 404) throw wrong("the registry does not have it");
    if (reply.status !== 200) return refuse(reply, what);
    if (reply.body.length !== size) throw wrong(`it has ${reply.body.length} bytes, not ${size}`);
    const found = digestOf(reply.body);
    if (found !== digest) throw wrong(`what came has digest ${found}`);
    return reply.body;
  }

  return {
    name,
    manifest,
    blob,

    async referrers(digest) {
      const at = `/v2/${path}/referrers/${digest}`;
      const reply = await send("pull", { method: "GET", at, bytesMax: MANIFEST_BYTES_MAX });
      if (reply.status === 200) return referrersIn(reply.body);
      // Registries without the API answer 404, some another 4xx (distribution spec, "Unavailable Referrers API").
      if (reply.status === 401 || reply.status === 403 || reply.status >= 500) {
        return refuse(reply, `list what refers to ${name}@${digest}`);
      }
      const fallback = await manifest(digest.replace(":", "-"));
      return fallback === null ? [] : referrersIn(fallback.bytes);
    },

    async putBlob(bytes) {
      const digest = digestOf(bytes);
      const what = `upload ${name}@${digest}`;
      const descriptor = { mediaType: "application/octet-stream", digest, size: bytes.length };
      const there = await send("pull,push", { method: "HEAD", at: `/v2/${path}/blobs/${digest}`, bytesMax: 0 });
      if (there.status !== 200) {
        const begin = { method: "POST", at: `/v2/${path}/blobs/uploads/`, bytesMax: REGISTRY_TEXT_BYTES_MAX } as const;
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
    },

    async putManifest(key, { bytes, mediaType }) {
      const digest = digestOf(bytes);
      const reply = await send("pull,push", {
        method: "PUT",
        at: `/v2/${path}/manifests/${key}`,
        headers: { "content-type": mediaType },
        body: bytes,
        bytesMax: REGISTRY_TEXT_BYTES_MAX,
      });
      if (reply.status !== 201)
        return refuse(reply, `upload the manifest of ${name}${isDigest(key) ? "@" : ":"}${key}`);
      return digest;
    },
  };
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
  await transport.checkDestination(at, reply, "it wants uploads sent to");
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
