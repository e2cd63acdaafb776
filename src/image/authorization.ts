/** Authentication to a registry: Basic, or a token (RFC 9110, 11.6; distribution token authentication). */
import { REGISTRY_TEXT_BYTES_MAX } from "../domain/limits.ts";
import { BpfmanError } from "../errors/error.ts";
import type { Credentials } from "./credential.ts";
import { failed, type Reply, type Transport } from "./transport.ts";

/** The access a token grants: pulling needs less than pushing. */
export type Scope = "pull" | "pull,push";

interface Challenge {
  /** In lower case. */
  readonly scheme: string;
  readonly parameters: ReadonlyMap<string, string>;
}

export interface Authorization {
  /** Returns the Authorization header for a request of that scope; null if none is needed or known yet. */
  header(scope: Scope): string | null;
  /** Answers the challenge of a 401, after which {@link header} returns a new header. Throws REGISTRY_DENIED. */
  answer(reply: Reply, scope: Scope): Promise<void>;
}

interface Needs {
  readonly transport: Transport;
  readonly registry: string;
  readonly path: string;
  /** Called only when the registry asks for credentials; null if there are none. */
  credentials(): Promise<Credentials | null>;
}

export function openAuthorization({ transport, registry, path, credentials }: Needs): Authorization {
  const headers = new Map<Scope, string>();

  return {
    header: (scope) => headers.get(scope) ?? null,

    async answer(reply, scope) {
      const refusedBefore = headers.get(scope)?.startsWith("Basic ") === true;
      const known = await credentials();
      if (refusedBefore) throw denied(registry, known);
      const challenges = parseChallenges(reply.headers.get("www-authenticate") ?? "");
      const challenge = challenges.find(({ scheme }) => scheme === "bearer" || scheme === "basic");
      if (challenge === undefined)
        throw failed(reply, "it asks for an authentication scheme that bpfman does not know");
      if (challenge.scheme === "bearer") {
        headers.set(scope, `Bearer ${await token(challenge, { scope, known, from: reply })}`);
        return;
      }
      if (known === null || "identityToken" in known) throw denied(registry, known);
      headers.set(scope, basic(known));
    },
  };

  /** Requests a token from the service that the challenge names. */
  async function token(
    { parameters }: Challenge,
    { scope, known, from }: { scope: Scope; known: Credentials | null; from: Reply },
  ): Promise<string> {
    const realm = await realmOf(parameters.get("realm") ?? "", from);
    // Ignore the challenge's scope: this request needs no token for anything else.
    const query = new URLSearchParams({ scope: `repository:${path}:${scope}` });
    const service = parameters.get("service");
    if (service !== undefined) query.set("service", service);

    const exchange = { url: realm, partner: "the token service", bytesMax: REGISTRY_TEXT_BYTES_MAX } as const;
    let reply: Reply;
    if (known !== null && "identityToken" in known) {
      query.set("grant_type", "refresh_token");
      query.set("client_id", "bpfman");
      query.set("refresh_token", known.identityToken);
      const headers = { "content-type": "application/x-www-form-urlencoded" };
      const body = new TextEncoder().encode(query.toString());
      reply = await transport.send({ ...exchange, method: "POST", headers, body, confidential: true });
    } else {
      for (const [name, value] of query) realm.searchParams.set(name, value);
      const headers: Record<string, string> = known === null ? {} : { authorization: basic(known) };
      reply = await transport.send({ ...exchange, method: "GET", headers });
    }
    const own = reply.url.origin === realm.origin;
    if (own && reply.status >= 400 && reply.status < 500) throw denied(registry, known, realm.host);
    if (reply.status !== 200) throw failed(reply, `it answered the request for a token with status ${reply.status}`);
    return tokenIn(reply);
  }

  /** Returns the URL of the token service. */
  async function realmOf(text: string, from: Reply): Promise<URL> {
    if (!URL.canParse(text)) throw failed(from, "it names a token service with an invalid address");
    const realm = new URL(text);
    await transport.checkDestination(realm, from, "it directs token requests to");
    return realm;
  }
}

const basic = (known: { readonly username: string; readonly password: string }): string =>
  `Basic ${Buffer.from(`${known.username}:${known.password}`).toString("base64")}`;

function tokenIn(reply: Reply): string {
  let answer: unknown;
  try {
    answer = JSON.parse(new TextDecoder().decode(reply.body));
  } catch {
    throw failed(reply, "its answer to the request for a token is not JSON");
  }
  const { token, access_token } = (answer ?? {}) as Readonly<Record<string, unknown>>;
  const found = token || access_token;
  // A header value must be visible ASCII: a line feed would start another header.
  if (typeof found !== "string" || !/^[\x21-\x7e]+$/.test(found)) {
    throw failed(reply, "its answer to the request for a token has none");
  }
  return found;
}

/**
 * Returns the error for a denied request. Registries do not distinguish its two causes, wrong and missing credentials,
 * and most answer the same for an image that does not exist. `service` is the token service's host if that denied it.
 */
export function denied(registry: string, known: Credentials | null, service?: string): BpfmanError {
  const host = service ?? registry;
  const details = { registry, host, credentials: known?.source ?? null };
  const what = `talk to the registry ${registry}: ${host === registry ? "it" : `its token service ${host}`}`;
  if (known === null) {
    return new BpfmanError("REGISTRY_DENIED", `${what} requires credentials, or has no such image`, {
      details,
      hint: `check the name; or log in with "podman login ${registry}", or give --registry-auth`,
    });
  }
  return new BpfmanError("REGISTRY_DENIED", `${what} rejects the credentials from ${known.source}`, {
    details,
    hint: "check the user name, the password, and what that user may do with the image",
  });
}

/** `Bearer realm="…",service="…", Basic realm="…"` */
export function parseChallenges(header: string): Challenge[] {
  const challenges: Challenge[] = [];
  const scheme = /[\s,]*([A-Za-z][A-Za-z0-9-]*)(?=\s|,|$)(?!\s*=)\s*/y;
  const parameter = /[\s,]*([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))/y;
  for (let at = 0; ; ) {
    parameter.lastIndex = at;
    scheme.lastIndex = at;
    const pair = parameter.exec(header);
    const begin = pair === null ? scheme.exec(header) : null;
    const current = challenges.at(-1);
    if (pair !== null && current !== undefined) {
      const value = pair[2]?.replace(/\\(.)/g, "$1") ?? pair[3] ?? "";
      (current.parameters as Map<string, string>).set((pair[1] ?? "").toLowerCase(), value);
      at = parameter.lastIndex;
    } else if (begin !== null) {
      challenges.push({ scheme: (begin[1] ?? "").toLowerCase(), parameters: new Map() });
      at = scheme.lastIndex;
    } else return challenges;
  }
}
