/**
 * Uses cosign 2 and 3 as a reference: they verify what our tests sign, and bpfman verifies what they sign, in all of
 * their layouts, with keys and with certificates. Authority and logs are on loopback.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CosignSeries, fetchCosign } from "../../scripts/cosign.ts";
import { SIGNING_DEFAULT } from "../../src/domain/signing.ts";
import { openImages } from "../../src/image/open-images.ts";
import { parseReference } from "../../src/image/reference.ts";
import { openRepository } from "../../src/image/open-repository.ts";
import type { Digest, Repository } from "../../src/image/repository.ts";
import type { VerifyRequest } from "../../src/platform/images.ts";
import { failureOfAsync } from "../expect/failure.ts";
import { putImage, putIndex } from "../objects/image.ts";
import { startRegistry, type TestRegistry } from "../servers/registry.ts";
import {
  IDENTITY,
  ISSUER,
  openSigstore,
  publishBundle,
  publishSimply,
  signBundle,
  signBundleByKey,
  signSimply,
  signSimplyByKey,
} from "../servers/sigstore.ts";
import { type SigstoreServer, startSigstore } from "../servers/sigstore-server.ts";

/** Fetching both versions of cosign, where they are not in the cache yet. */
const FETCH_LIMIT_MS = 10 * 60_000;
const PASSWORD = "";

let directory: string;
let registry: TestRegistry;
let services: SigstoreServer;
let repository: Repository;
let executables: Record<CosignSeries, string>;
const path = (name: string): string => join(directory, name);

beforeAll(async () => {
  executables = { "2": fetchCosign("2"), "3": fetchCosign("3") };
  directory = mkdtempSync(join(tmpdir(), "bpfman-cosign-"));
  registry = await startRegistry();
  services = await startSigstore(directory);
  repository = openRepository(parseReference(`${registry.host}/acme/tools`), {
    signal: new AbortController().signal,
    registryAuth: null,
    caFile: null,
    env: {},
  });
  for (const series of ["2", "3"] as const) {
    await cosign(series, ["generate-key-pair", "--output-key-prefix", path(`key${series}`)]);
  }
  const { url } = services;
  const service = (name: string) => `--${name}=url=${url},api-version=1,start-time=2024-01-01T00:00:00Z,operator=test`;
  const none = ["fulcio", "oidc", "rekor", "tsa"].map((name) => `--no-default-${name}`);
  const create = ["signing-config", "create", ...none, "--out"];
  await cosign("3", [...create, path("key.json")]);
  await cosign("3", [...create, path("keyless.json"), service("fulcio"), service("rekor"), "--rekor-config=ANY"]);
}, FETCH_LIMIT_MS);

afterAll(async () => {
  await services?.close();
  await registry?.close();
  if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
});

interface Ended {
  readonly code: number;
  readonly stderr: string;
}

/** Runs cosign to its end, with nothing of the user's own and nobody to ask beyond loopback. */
async function tryCosign(series: CosignSeries, args: readonly string[], env = {}): Promise<Ended> {
  const { authority, logKey, certificateLogKey } = services.files;
  const child = Bun.spawn([executables[series], ...args], {
    cwd: directory,
    env: {
      HOME: directory,
      COSIGN_PASSWORD: PASSWORD,
      SIGSTORE_ROOT_FILE: authority,
      SIGSTORE_REKOR_PUBLIC_KEY: logKey,
      SIGSTORE_CT_LOG_PUBLIC_KEY_FILE: certificateLogKey,
      ...env,
    },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const stderr = await new Response(child.stderr).text();
  return { code: await child.exited, stderr };
}

async function cosign(series: CosignSeries, args: readonly string[], env = {}): Promise<void> {
  const { code, stderr } = await tryCosign(series, args, env);
  if (code !== 0) throw new Error(`cosign ${args[0]} ended with ${code}: ${stderr}`);
}

let images = 0;
async function newImage(): Promise<Digest> {
  images++;
  return (await putImage(repository, `v${images}`, { labels: { n: String(images) } })).digest;
}
const at = (digest: Digest): string => `${repository.name}@${digest}`;

const byIdentity = (identity = IDENTITY, issuer = ISSUER) => ({
  trustedIdentities: [{ identity: { exact: identity }, issuer: { exact: issuer } }],
});
const byKey = (series: CosignSeries) => ({ trustedKeys: [path(`key${series}.pub`)] });

/** As `image verify`. */
function verify(digest: Digest, rules: Partial<VerifyRequest>) {
  const images = openImages({
    cacheDir: path("cache"),
    caFile: null,
    env: {},
    signing: SIGNING_DEFAULT,
    tryLock: () => true,
  });
  const request = {
    ...{ reference: at(digest), registryAuth: null, allowUnsigned: false },
    ...{ trustedIdentities: [], trustedKeys: [], trustedRoot: services.files.trustedRoot },
  };
  const log = { error: () => {}, warn: () => {}, info: () => {}, debug: () => {} };
  return images.verify({ ...request, ...rules }, { signal: new AbortController().signal, log, progress: () => {} });
}

describe("what cosign signs", () => {
  const token = () => services.token({ identity: IDENTITY, issuer: ISSUER });
  const WAYS: readonly {
    readonly name: string;
    readonly series: CosignSeries;
    readonly by: "key" | "identity";
    readonly layout: "tag" | "referrer";
    args(): readonly string[];
    readonly env?: Record<string, string>;
  }[] = [
    {
      name: "2, by key, under the tag",
      ...{ series: "2", by: "key", layout: "tag" },
      args: () => ["--key", path("key2.key"), "--tlog-upload=false"],
    },
    {
      name: "2, by key, with an entry of the log",
      ...{ series: "2", by: "key", layout: "tag" },
      args: () => ["--key", path("key2.key"), "--rekor-url", services.url],
    },
    {
      name: "2, by key, as a referrer",
      ...{ series: "2", by: "key", layout: "referrer" },
      args: () => ["--key", path("key2.key"), "--tlog-upload=false", "--registry-referrers-mode=oci-1-1"],
      env: { COSIGN_EXPERIMENTAL: "1" },
    },
    {
      name: "2, keyless, under the tag",
      ...{ series: "2", by: "identity", layout: "tag" },
      args: () => ["--fulcio-url", services.url, "--rekor-url", services.url, "--identity-token", token()],
    },
    {
      name: "2, keyless, as a referrer",
      ...{ series: "2", by: "identity", layout: "referrer" },
      args: () => [
        ...["--fulcio-url", services.url, "--rekor-url", services.url, "--identity-token", token()],
        "--registry-referrers-mode=oci-1-1",
      ],
      env: { COSIGN_EXPERIMENTAL: "1" },
    },
    {
      name: "3, by key, in a bundle",
      ...{ series: "3", by: "key", layout: "referrer" },
      args: () => ["--key", path("key3.key"), "--signing-config", path("key.json")],
    },
    {
      name: "3, by key, in a bundle with an entry of the log",
      ...{ series: "3", by: "key", layout: "referrer" },
      args: () => [
        ...["--key", path("key3.key"), "--signing-config", path("keyless.json")],
        ...["--trusted-root", services.files.trustedRoot],
      ],
    },
    {
      name: "3, keyless, in a bundle",
      ...{ series: "3", by: "identity", layout: "referrer" },
      args: () => [
        ...["--signing-config", path("keyless.json"), "--trusted-root", services.files.trustedRoot],
        ...["--identity-token", token()],
      ],
    },
  ];

  for (const { name, series, by, layout, args, env = {} } of WAYS) {
    test(`is trusted by its signer, and by nobody else: ${name}`, async () => {
      const digest = await newImage();
      await cosign(series, ["sign", "--yes", ...args(), at(digest)], env);
      const good = by === "key" ? byKey(series) : byIdentity();
      const { signatures, trustRoot } = await verify(digest, good);
      expect(signatures).toHaveLength(1);
      expect(signatures[0]).toMatchObject({ layout, verdict: "trusted", reason: null });
      expect(signatures[0]?.signer).toMatchObject(
        by === "key"
          ? { kind: "key", file: path(`key${series}.pub`) }
          : { kind: "identity", identity: IDENTITY, issuer: ISSUER },
      );
      expect(trustRoot).toBe(by === "key" ? null : "file");

      const others = [
        byKey(series === "2" ? "3" : "2"),
        byIdentity("https://example.com/x"),
        byIdentity(IDENTITY, "y"),
      ];
      for (const rules of others) {
        expect((await failureOfAsync(() => verify(digest, rules))).code).toBe("SIGNER_UNTRUSTED");
      }
      if (by === "identity") {
        writeFileSync(path("other_root.json"), (await openSigstore(services.url)).trustedRoot);
        const error = await failureOfAsync(() => verify(digest, { ...good, trustedRoot: path("other_root.json") }));
        expect(error.code).toBe("SIGNATURE_INVALID");
      }
    });
  }

  test("an index of several platforms: its own digest is what is signed and verified", async () => {
    const [one, two] = [await newImage(), await newImage()];
    const entry = async (digest: Digest, architecture: string) => {
      const { mediaType, bytes } = (await repository.manifest(digest)) ?? { mediaType: "", bytes: new Uint8Array(0) };
      return { mediaType, digest, size: bytes.length, platform: { os: "linux", architecture } };
    };
    const index = await putIndex(repository, "index", {
      entries: [await entry(one, "amd64"), await entry(two, "s390x")],
    });
    for (const [series, args] of [
      ["2", ["--key", path("key2.key"), "--tlog-upload=false"]],
      ["3", ["--key", path("key3.key"), "--signing-config", path("key.json")]],
    ] as const) {
      await cosign(series, ["sign", "--yes", ...args, at(index)]);
      expect(await verify(index, byKey(series))).toMatchObject({ digest: index, unsigned: false });
      expect((await failureOfAsync(() => verify(one, byKey(series)))).code).toBe("IMAGE_UNSIGNED");
    }
  });

  test("attestations are no signatures", async () => {
    const digest = await newImage();
    writeFileSync(path("predicate.json"), "{}");
    const attest = ["attest", "--yes", "--predicate", path("predicate.json"), "--type", "custom", "--key"];
    await cosign("2", [...attest, path("key2.key"), "--tlog-upload=false", "--new-bundle-format", at(digest)]);
    await cosign("3", [...attest, path("key3.key"), "--signing-config", path("key.json"), at(digest)]);
    for (const series of ["2", "3"] as const) {
      expect((await failureOfAsync(() => verify(digest, byKey(series)))).code).toBe("IMAGE_UNSIGNED");
    }
  });
});

describe("what our tests sign", () => {
  const key = generateKeyPairSync("ec", { namedCurve: "P-256" });
  beforeAll(() => writeFileSync(path("own.pub"), key.publicKey.export({ type: "spki", format: "pem" })));
  const keyless = () => [
    ...["--certificate-identity", IDENTITY, "--certificate-oidc-issuer", ISSUER],
    ...["--trusted-root", services.files.trustedRoot],
  ];

  test("under the tag, by key", async () => {
    const digest = await newImage();
    await publishSimply(repository, digest, [signSimplyByKey(key.privateKey, digest)]);
    for (const series of ["2", "3"] as const) {
      await cosign(series, ["verify", "--key", path("own.pub"), "--insecure-ignore-tlog", at(digest)]);
      const wrong = ["verify", "--key", path("key2.pub"), "--insecure-ignore-tlog", at(digest)];
      expect((await tryCosign(series, wrong)).code).not.toBe(0);
    }
    expect((await verify(digest, { trustedKeys: [path("own.pub")] })).signatures[0]?.verdict).toBe("trusted");
  });

  test("under the tag, keyless", async () => {
    const digest = await newImage();
    await publishSimply(repository, digest, [await signSimply(services.sigstore, digest)]);
    await cosign("2", ["verify", ...keyless(), "--offline", at(digest)]);
    await cosign("3", ["verify", ...keyless(), at(digest)]);
    expect((await verify(digest, byIdentity())).signatures[0]?.verdict).toBe("trusted");
  });

  test("in a bundle, by key", async () => {
    const digest = await newImage();
    await publishBundle(repository, digest, signBundleByKey(key, digest));
    await cosign("3", ["verify", "--key", path("own.pub"), "--insecure-ignore-tlog", at(digest)]);
    expect((await verify(digest, { trustedKeys: [path("own.pub")] })).signatures[0]?.verdict).toBe("trusted");
  });

  test("in a bundle, keyless", async () => {
    const digest = await newImage();
    await publishBundle(repository, digest, await signBundle(services.sigstore, digest));
    await cosign("3", ["verify", ...keyless(), at(digest)]);
    expect((await verify(digest, byIdentity())).signatures[0]?.verdict).toBe("trusted");
  });

  test("neither takes what was logged outside of the certificate's time, or is for another image", async () => {
    const [digest, other] = [await newImage(), await newImage()];
    const loggedAt = new Date(Date.now() + 3_600_000);
    const moved = [await signSimply(services.sigstore, other), await signBundle(services.sigstore, other)] as const;
    const late = [
      await signSimply(services.sigstore, digest, { loggedAt }),
      await signBundle(services.sigstore, digest, { loggedAt }),
    ] as const;
    for (const [simple, bundle] of [moved, late]) {
      await publishSimply(repository, digest, [simple]);
      expect((await failureOfAsync(() => verify(digest, byIdentity()))).code).toBe("SIGNATURE_INVALID");
      expect((await tryCosign("2", ["verify", ...keyless(), "--offline", at(digest)])).code).not.toBe(0);
      await publishBundle(repository, digest, bundle);
      expect((await failureOfAsync(() => verify(digest, byIdentity()))).code).toBe("SIGNATURE_INVALID");
      expect((await tryCosign("3", ["verify", ...keyless(), at(digest)])).code).not.toBe(0);
    }
  });
});
