/**
 * Looks up a registry's credentials where docker and podman store them (containers-auth.json(5), docker's config.json).
 * They are only used in requests: no error message contains any part of them.
 */
import { openSync, closeSync, constants, fstatSync, readSync } from "node:fs";
import { join } from "node:path";
import { AUTH_FILE_BYTES_MAX } from "../domain/limits.ts";
import { BpfmanError } from "../errors/error.ts";
import { errnoName, sysPart } from "../errors/sys-failure.ts";
import type { Credentials, Password } from "./credential.ts";
import { askHelper } from "./credential-helper.ts";

type Environment = Readonly<Record<string, string | undefined>>;

export interface CredentialsWanted {
  /** `host[:port]` */
  readonly registry: string;
  /** Path of the image: credentials can be for part of a registry. */
  readonly path: string;
  /** base64 of `user:password`, which takes precedence over all files; null if not given. */
  readonly registryAuth: string | null;
}

/** How users pass `registryAuth`. */
const GIVEN = "--registry-auth or BPFMAN_REGISTRY_AUTH";

/** Returns null if there are none; the registry is then accessed anonymously. Throws INVALID_CREDENTIALS. */
export async function findCredentials(wanted: CredentialsWanted, env: Environment): Promise<Credentials | null> {
  if (wanted.registryAuth !== null) {
    const known = parseUserPassword(wanted.registryAuth);
    if (known !== null) return { ...known, source: GIVEN };
    throw new BpfmanError("INVALID_CREDENTIALS", `read ${GIVEN}: it is not the base64 of USER:PASSWORD`, {
      hint: "make it with: printf '%s' USER:PASSWORD | base64 -w0",
    });
  }
  for (const path of authFiles(env)) {
    const known = await credentialsIn(path, wanted, env);
    if (known !== null) return known;
  }
  return null;
}

/** In order of precedence. */
function authFiles(env: Environment): string[] {
  const below = (directory: string | undefined, ...names: string[]) => (directory ? [join(directory, ...names)] : []);
  // podman's location without XDG_RUNTIME_DIR, which sudo unsets.
  const runtimeDirectory = env.XDG_RUNTIME_DIR || `/run/containers/${process.geteuid?.() ?? 0}`;
  return [
    ...below(env.REGISTRY_AUTH_FILE),
    ...below(runtimeDirectory, ...(env.XDG_RUNTIME_DIR ? ["containers"] : []), "auth.json"),
    ...below(env.HOME, ".config", "containers", "auth.json"),
    ...below(env.DOCKER_CONFIG, "config.json"),
    ...below(env.HOME, ".docker", "config.json"),
  ];
}

interface AuthFile {
  /** Registry, or part of one -> its entry. */
  readonly auths: ReadonlyMap<string, Readonly<Record<string, unknown>>>;
  readonly credHelpers: ReadonlyMap<string, unknown>;
  readonly credsStore: unknown;
}

async function credentialsIn(path: string, wanted: CredentialsWanted, env: Environment): Promise<Credentials | null> {
  const file = readAuthFile(path);
  if (file === null) return null;
  const { registry } = wanted;
  const source = `"${path}"`;
  const ask = (helper: unknown) => askHelper({ helper, server: serverName(registry), source }, env);

  const helper = file.credHelpers.get(registry) ?? file.credHelpers.get(serverName(registry));
  if (helper !== undefined) return ask(helper);
  const entry = entryFor(file, wanted);
  if (entry !== null) {
    if (typeof entry.identitytoken === "string" && entry.identitytoken !== "") {
      return { identityToken: entry.identitytoken, source };
    }
    const known = typeof entry.auth === "string" ? parseUserPassword(entry.auth) : null;
    if (known !== null) return { ...known, source };
    // Docker leaves an empty entry for credentials stored in its credsStore.
    if (entry.auth !== undefined)
      throw malformed(path, `its entry for "${registry}" is not the base64 of USER:PASSWORD`);
  }
  return file.credsStore === undefined || file.credsStore === "" ? null : ask(file.credsStore);
}

/** Returns the name under which docker stores a registry's credentials. */
const serverName = (registry: string): string => (registry === "docker.io" ? "https://index.docker.io/v1/" : registry);

/** Returns the entry with the longest matching name: `host/a/b`, `host/a`, `host`, then docker's legacy forms. */
function entryFor(
  { auths }: AuthFile,
  { registry, path }: CredentialsWanted,
): Readonly<Record<string, unknown>> | null {
  for (let name = `${registry}/${path}`; name.includes("/"); name = name.slice(0, name.lastIndexOf("/"))) {
    const entry = auths.get(name);
    if (entry !== undefined) return entry;
  }
  const own = auths.get(registry) ?? auths.get(serverName(registry));
  if (own !== undefined) return own;
  for (const [name, entry] of auths) {
    const host = name.replace(/^https?:\/\//, "").split("/", 1)[0] ?? "";
    if (name.includes("://") && (host === registry || (registry === "docker.io" && host === "index.docker.io")))
      return entry;
  }
  return null;
}

/** Splits at the first colon, since passwords may contain colons. Returns null unless it is `user:password`. */
function parseUserPassword(base64: string): Password | null {
  const text = base64.trim();
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text) || text.replace(/=+$/, "").length % 4 === 1) return null;
  let decoded: string;
  try {
    decoded = new TextDecoder("utf-8", { fatal: true }).decode(Buffer.from(text, "base64"));
  } catch {
    return null;
  }
  // docker pads with NUL bytes.
  const pair = decoded.replace(/\0+$/, "");
  const colon = pair.indexOf(":");
  if (colon < 1 || pair.includes("\0")) return null;
  return { username: pair.slice(0, colon), password: pair.slice(colon + 1) };
}

/** Returns null if the file does not exist. Throws INVALID_CREDENTIALS. */
function readAuthFile(path: string): AuthFile | null {
  const bytes = contentOf(path);
  if (bytes === null) return null;
  let content: unknown;
  try {
    content = bytes.length === 0 ? {} : JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    // The parser's message quotes the input, which may be secret.
    throw malformed(path, "it is not JSON");
  }
  const top = record(content);
  if (top === null) throw malformed(path, "it is not a JSON object");
  const auths = Object.entries(record(top.auths) ?? {}).map(([name, entry]) => [name, record(entry) ?? {}] as const);
  return {
    auths: new Map(auths),
    credHelpers: new Map(Object.entries(record(top.credHelpers) ?? {})),
    credsStore: top.credsStore,
  };
}

const record = (value: unknown): Readonly<Record<string, unknown>> | null =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : null;

function contentOf(path: string): Uint8Array | null {
  let fd: number;
  try {
    // O_NONBLOCK, so that a FIFO does not block the command.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (thrown) {
    const name = errnoName(thrown);
    if (name === "ENOENT" || name === "ENOTDIR") return null;
    throw malformed(path, "it cannot be opened", thrown);
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw malformed(path, "it is not a regular file");
    if (stat.size > AUTH_FILE_BYTES_MAX) throw malformed(path, `it has more than ${AUTH_FILE_BYTES_MAX} bytes`);
    const bytes = new Uint8Array(new ArrayBuffer(stat.size));
    let filled = 0;
    while (filled < bytes.length) {
      const count = readSync(fd, bytes, filled, bytes.length - filled, filled);
      if (count === 0) break;
      filled += count;
    }
    return bytes.subarray(0, filled);
  } catch (thrown) {
    throw thrown instanceof BpfmanError ? thrown : malformed(path, "it cannot be read", thrown);
  } finally {
    closeSync(fd);
  }
}

function malformed(path: string, reason: string, thrown?: unknown): BpfmanError {
  return new BpfmanError("INVALID_CREDENTIALS", `read the credentials in "${path}": ${reason}`, {
    details: { path },
    ...sysPart(thrown),
  });
}
