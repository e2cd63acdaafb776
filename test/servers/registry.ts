/** Debian's docker-registry on loopback, with content in its own directory, and a token service for it. */
import { randomUUID, sign, X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Who may use a registry that wants a login. The password has a colon, as passwords may. */
export const USER = "tester";
export const PASSWORD = "pass:word-7f3a91";
export const AUTH = Buffer.from(`${USER}:${PASSWORD}`).toString("base64");

export interface RegistryOptions {
  /** `token`: by a token service, which takes {@link AUTH}; anonymous tokens allow nothing. */
  readonly login?: "none" | "basic" | "token";
  /** With a certificate for 127.0.0.1 that no authority signed, or with one that is there. */
  readonly tls?: boolean | Certificate;
  /** An address on loopback, with its port. By default 127.0.0.1, and a port that is free. */
  readonly address?: string;
}

/** Files in PEM. */
export interface Certificate {
  readonly key: string;
  readonly certificate: string;
}

export interface TestRegistry {
  /** `127.0.0.1:PORT`, as in references: where it listens. */
  readonly host: string;
  /** Its certificate in PEM; null without TLS. */
  readonly caFile: string | null;
  /** Where it keeps blobs: `docker/registry/v2/blobs/sha256/ab/abcd…/data`. */
  readonly directory: string;
  /** Scopes that tokens were asked for, in order. */
  readonly scopes: readonly string[];
  /** What it has written. */
  log(): string;
  close(): Promise<void>;
}

const LISTENING = /listening on (127\.[\d.]+:\d+)/;

export async function startRegistry({
  login = "none",
  tls = false,
  address = "127.0.0.1:0",
}: RegistryOptions = {}): Promise<TestRegistry> {
  const directory = mkdtempSync(join(tmpdir(), "bpfman-registry-"));
  const path = (name: string) => join(directory, name);
  const own: Certificate = { key: path("key.pem"), certificate: path("certificate.pem") };
  if (tls === true || login === "token") makeCertificate(own);
  const shown = tls === true ? own : tls || null;
  const tokens = login === "token" ? startTokenService(own) : null;
  if (login === "basic") htpasswd(path("htpasswd"));

  const config = {
    version: 0.1,
    log: { level: "info", accesslog: { disabled: true } },
    storage: {
      filesystem: { rootdirectory: directory },
      delete: { enabled: true },
      maintenance: { uploadpurging: { enabled: false } },
    },
    http: {
      addr: address,
      secret: randomUUID(),
      ...(shown === null ? {} : { tls: shown }),
    },
    auth: {
      ...(login === "basic" ? { htpasswd: { realm: "test", path: path("htpasswd") } } : {}),
      ...(tokens === null
        ? {}
        : { token: { realm: tokens.realm, service: "test", issuer: "test", rootcertbundle: own.certificate } }),
    },
  };
  // The configuration is YAML, and so is JSON.
  writeFileSync(path("config.yml"), JSON.stringify({ ...config, auth: login === "none" ? undefined : config.auth }));
  // Into a file: a pipe that nobody empties while a test waits for something else would stop the registry.
  const child = Bun.spawn(["docker-registry", "serve", path("config.yml")], {
    env: { PATH: process.env.PATH ?? "" },
    stdio: ["ignore", "ignore", Bun.file(path("log"))],
  });
  const log = () => readFileSync(path("log"), "utf8");
  let host: string | undefined;
  while (host === undefined) {
    await Bun.sleep(10);
    host = LISTENING.exec(log())?.[1];
    if (child.exitCode !== null) throw new Error(`docker-registry ended before it listened:\n${log()}`);
  }
  return {
    host,
    caFile: shown?.certificate ?? null,
    directory,
    scopes: tokens?.scopes ?? [],
    log,
    async close() {
      child.kill("SIGKILL");
      await child.exited;
      await tokens?.server.stop(true);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** A key and a self-signed certificate, in PEM. Names are written as openssl does. */
export function makeCertificate({ key, certificate }: Certificate, names = ["IP:127.0.0.1", "DNS:localhost"]): void {
  run([
    ...["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"],
    ...["-keyout", key, "-out", certificate, "-subj", "/CN=127.0.0.1"],
    ...["-addext", `subjectAltName=${names.join(",")}`],
  ]);
}

function htpasswd(path: string): void {
  run(["htpasswd", "-Bbc", path, USER, PASSWORD]);
}

function run(command: readonly string[]): void {
  const result = Bun.spawnSync([...command], { stdio: ["ignore", "pipe", "pipe"] });
  if (result.exitCode !== 0) throw new Error(`${command.join(" ")}: ${result.stderr.toString()}`);
}

/** Gives signed tokens (distribution's spec/auth/jwt) to {@link USER} for whatever scope is asked. */
function startTokenService(files: Certificate) {
  const scopes: string[] = [];
  let parts: Promise<{ key: string; certificate: string }> | null = null;
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const { searchParams } = new URL(request.url);
      scopes.push(...searchParams.getAll("scope"));
      if (request.headers.get("authorization") !== `Basic ${AUTH}`) return new Response("no", { status: 401 });
      parts ??= readParts();
      const { key, certificate } = await parts;
      const body = { token: signToken(searchParams.getAll("scope"), key, certificate) };
      return Response.json(body);
    },
  });
  async function readParts() {
    return { key: await Bun.file(files.key).text(), certificate: await Bun.file(files.certificate).text() };
  }
  return { server, scopes, realm: `http://127.0.0.1:${server.port}/token` };
}

function signToken(scopes: readonly string[], key: string, certificate: string): string {
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const now = Math.floor(Date.now() / 1000);
  const x5c = [new X509Certificate(certificate).raw.toString("base64")];
  const head = encode({ typ: "JWT", alg: "ES256", x5c });
  const access = scopes.map((scope) => {
    const [type, name, actions = ""] = scope.split(":");
    return { type, name, actions: actions.split(",") };
  });
  const claims = { iss: "test", aud: "test", sub: USER, exp: now + 300, nbf: now - 60, iat: now, jti: randomUUID() };
  const body = encode({ ...claims, access });
  const signature = sign("sha256", Buffer.from(`${head}.${body}`), { key, dsaEncoding: "ieee-p1363" });
  return `${head}.${body}.${signature.toString("base64url")}`;
}
