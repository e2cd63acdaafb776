/** Which images the executable pulls and loads under its configuration, and what it says about their signatures. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import type { ImagePullAnswer, ImageVerifyAnswer } from "../../src/domain/image-answer.ts";
import { hostArchitecture } from "../../src/image/platform.ts";
import { parseReference } from "../../src/image/reference.ts";
import { openRepository } from "../../src/image/open-repository.ts";
import type { Descriptor, Digest, Repository } from "../../src/image/repository.ts";
import { executable } from "../labs/executable.ts";
import { jsonBytes, putImage, putIndex } from "../objects/image.ts";
import { startRegistry, type TestRegistry } from "../servers/registry.ts";
import {
  IDENTITY,
  ISSUER,
  openSigstore,
  publishBundle,
  publishSimply,
  type Sigstore,
  signBundle,
  signSimply,
  signSimplyByKey,
} from "../servers/sigstore.ts";

const OBJECT = resolve(import.meta.dir, "../../dist/bpf/fixtures/life.bpf.o");
const PROGRAM = ["--programs", "tracepoint:on_openat"];
const WARNING = "WARN the image is not signed, but is accepted anyway image=";

const bpfman = executable();
let registry: TestRegistry;
let repository: Repository;
let sigstore: Sigstore;
beforeAll(async () => {
  buildBpf();
  [registry, sigstore] = await Promise.all([startRegistry(), openSigstore()]);
  repository = repositoryAt(registry.host);
});
afterAll(() => registry?.close());

const repositoryAt = (host: string): Repository =>
  openRepository(parseReference(`${host}/acme/life`), {
    signal: new AbortController().signal,
    registryAuth: null,
    caFile: null,
    env: {},
  });

let tags = 0;
/** An image of its own for each test: the layer of each holds another file besides the object. */
async function newImage(): Promise<{ readonly image: string; readonly tag: string } & Descriptor> {
  const tag = `v${++tags}`;
  const files = [{ name: "life.bpf.o", bytes: readFileSync(OBJECT) }];
  const labels = { "io.ebpf.programs": '{"count":"tc","on_openat":"tracepoint"}', "io.ebpf.maps": "{}", tag };
  const descriptor = await putImage(repository, tag, { files, labels });
  return { image: `${registry.host}/acme/life:${tag}`, tag, ...descriptor };
}

const key = generateKeyPairSync("ec", { namedCurve: "P-256" });
const stranger = generateKeyPairSync("ec", { namedCurve: "P-256" });
beforeEach(() => {
  for (const [name, { publicKey }] of [["key", key] as const, ["stranger", stranger] as const]) {
    writeFileSync(bpfman.path(`${name}.pub`), publicKey.export({ type: "spki", format: "pem" }));
  }
  writeFileSync(bpfman.path("root.json"), sigstore.trustedRoot);
});

/** The `[signing]` section from here on, and tables after it. */
function configure(section: string, ...tables: readonly string[]): void {
  writeFileSync(bpfman.path("bpfman.toml"), ["[signing]", section, ...tables].join("\n"));
  bpfman.env.BPFMAN_CONFIG = bpfman.path("bpfman.toml");
}
const trustKey = (name = "key") => `[[signing.trusted_keys]]\nfile = ${JSON.stringify(bpfman.path(`${name}.pub`))}`;
const trustIdentity = (identity = IDENTITY) =>
  `[[signing.trusted_identities]]\ncertificate_identity = "${identity}"\ncertificate_oidc_issuer = "${ISSUER}"`;
const ownRoot = () => `trusted_root = ${JSON.stringify(bpfman.path("root.json"))}`;
const pull = (image: string, ...words: string[]) =>
  bpfman.json<ImagePullAnswer>("image", "pull", "-i", image, ...words);
const cached = (digest: string) =>
  existsSync(join(bpfman.runtimeDir, "cache/blobs/sha256", digest.slice("sha256:".length)));

describe("an image that nobody signed", () => {
  test("is accepted with a warning, and no trusted root is looked for", async () => {
    const { image, digest } = await newImage();
    const child = Bun.spawnSync(bpfman.command("image", "pull", "-i", image), { env: {} });
    expect(child.exitCode).toBe(0);
    const lines = child.stderr.toString().trimEnd().split("\n");
    expect(lines).toEqual([expect.stringContaining(`${WARNING}${registry.host}/acme/life@${digest}`)]);
    expect(existsSync(join(bpfman.runtimeDir, "cache/sigstore"))).toBe(false);
    const again = Bun.spawnSync(bpfman.command("image", "pull", "-i", image), { env: {} });
    expect([again.exitCode, again.stderr.toString()]).toEqual([0, ""]);
  });

  test("is rejected where signatures are required, and nothing of it is kept or loaded", async () => {
    const { image, digest } = await newImage();
    configure("allow_unsigned = false");
    const error = await bpfman.refused(4, "IMAGE_UNSIGNED", "image", "pull", "-i", image);
    expect(error.message).toBe(
      `verify "${registry.host}/acme/life@${digest}": it has no signature, and signatures are required`,
    );
    await bpfman.refused(4, "IMAGE_UNSIGNED", "load", "image", "-i", image, ...PROGRAM);
    expect([cached(digest), await bpfman.programs()]).toEqual([false, []]);
  });

  test("is not even looked at where verifying is switched off", async () => {
    const { image } = await newImage();
    configure("allow_unsigned = false\nverify_enabled = false");
    const child = Bun.spawnSync(bpfman.command("image", "pull", "-i", image), { env: { ...bpfman.env } });
    expect([child.exitCode, child.stderr.toString()]).toEqual([0, ""]);
  });
});

describe("a signed image", () => {
  test("is loaded when its key is trusted, without a trusted root", async () => {
    const { image, digest } = await newImage();
    await publishSimply(repository, digest, [signSimplyByKey(key.privateKey, digest)]);
    configure("allow_unsigned = false", trustKey());
    const answer = await bpfman.json<{ programs: unknown[] }>("load", "image", "-i", image, ...PROGRAM);
    expect(answer.programs).toHaveLength(1);
    expect(existsSync(join(bpfman.runtimeDir, "cache/sigstore"))).toBe(false);
  });

  test("is rejected when a stranger signed it, although unsigned ones are accepted", async () => {
    const { image, digest } = await newImage();
    await publishSimply(repository, digest, [signSimplyByKey(stranger.privateKey, digest)]);
    for (const tables of [[], [trustKey()], [trustIdentity()]]) {
      configure("allow_unsigned = true", ...tables);
      await bpfman.refused(4, "SIGNER_UNTRUSTED", "image", "pull", "-i", image);
    }
    expect(cached(digest)).toBe(false);
  });

  test("is pulled by its identity, in both layouts, and by no other", async () => {
    for (const layout of ["tag", "referrer"]) {
      const { image, digest } = await newImage();
      if (layout === "tag") await publishSimply(repository, digest, [await signSimply(sigstore, digest)]);
      else await publishBundle(repository, digest, await signBundle(sigstore, digest));
      configure(ownRoot(), trustIdentity("https://example.com/somebody"));
      await bpfman.refused(4, "SIGNER_UNTRUSTED", "image", "pull", "-i", image);
      configure(ownRoot(), trustIdentity());
      expect((await pull(image)).digest).toBe(digest);
      configure('trusted_root = "/nowhere/root.json"', trustIdentity());
      const error = await bpfman.refused(5, "TRUST_ROOT_UNAVAILABLE", "image", "pull", "-i", image, "-p", "always");
      expect(error.message).toContain('read trusted root "/nowhere/root.json": there is no such file');
    }
  });

  test("is held against the trusted root that is part of the executable when none can be fetched", async () => {
    const { image, digest } = await newImage();
    await publishSimply(repository, digest, [await signSimply(sigstore, digest)]);
    // Nobody listens there, so that no test depends on the internet or reaches it.
    const env = { HTTPS_PROXY: "http://127.0.0.1:1", NO_PROXY: "127.0.0.1" };
    const child = Bun.spawnSync(bpfman.command("image", "pull", "-i", image), { env });
    const [warning, error] = child.stderr.toString().split("\n");
    expect(child.exitCode).toBe(4);
    expect(warning).toContain("WARN could not fetch the trusted root; using the built-in one");
    expect(error).toContain("its signature is not accepted: it is not proven: failed to verify certificate chain");
  });

  test("is verified again when the rules have changed, and not while they stay", async () => {
    const { image, tag, digest } = await newImage();
    await publishSimply(repository, digest, [signSimplyByKey(key.privateKey, digest)]);
    configure("allow_unsigned = false", trustKey());
    await pull(image);
    await publishSimply(repository, digest, []);
    await pull(image);
    await pull(image, "-p", "never");
    configure("allow_unsigned = false", trustKey("stranger"));
    await bpfman.refused(4, "IMAGE_UNSIGNED", "image", "pull", "-i", image);
    await bpfman.refused(3, "IMAGE_NOT_CACHED", "image", "pull", "-i", image, "-p", "never");
    // The same key under another name is the same rule.
    writeFileSync(bpfman.path("stranger.pub"), readFileSync(bpfman.path("key.pub")));
    expect((await pull(image, "-p", "never")).reference).toEndWith(`:${tag}`);
  });
});

describe("what a registry puts in the place of what was verified", () => {
  /** Passes everything on to the registry, but for what `instead` answers. */
  function proxy(instead: (path: string) => Promise<Uint8Array | null>) {
    return Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      async fetch(request) {
        const { pathname } = new URL(request.url);
        const other = await instead(pathname);
        if (other !== null) return new Response(other);
        const { status, headers, body } = await fetch(`http://${registry.host}${pathname}`, {
          headers: request.headers,
        });
        return new Response(body, { status, headers });
      },
    });
  }

  test("a tag that is moved while its signatures are looked at does not matter", async () => {
    const [good, evil] = [await newImage(), await newImage()];
    await publishSimply(repository, good.digest, [signSimplyByKey(key.privateKey, good.digest)]);
    const evilManifest = await repository.manifest(evil.digest);
    let moved = false;
    const server = proxy(async (path) => {
      if (path.endsWith(".sig") && !moved) {
        moved = true;
        await repository.putManifest(good.tag, {
          bytes: evilManifest?.bytes ?? new Uint8Array(0),
          mediaType: good.mediaType,
        });
      }
      return null;
    });
    try {
      configure("allow_unsigned = false", trustKey());
      const image = `127.0.0.1:${server.port}/acme/life:${good.tag}`;
      expect((await pull(image)).digest).toBe(good.digest);
      expect([moved, cached(evil.digest)]).toEqual([true, false]);
      await bpfman.refused(4, "IMAGE_UNSIGNED", "image", "pull", "-i", image, "-p", "always");
    } finally {
      await server.stop(true);
    }
  });

  test("other content under a digest is damage: image of an index, configuration, layer", async () => {
    const [good, evil] = [await newImage(), await newImage()];
    const platform = { os: "linux", architecture: hostArchitecture() };
    const { mediaType, size, digest } = good;
    const index = await putIndex(repository, "index", { entries: [{ mediaType, size, digest, platform }] });
    await publishSimply(repository, index, [signSimplyByKey(key.privateKey, index)]);
    configure("allow_unsigned = false", trustKey());
    const read = async (of: Digest) => JSON.parse(new TextDecoder().decode((await repository.manifest(of))?.bytes));
    const [ours, theirs] = [await read(good.digest), await read(evil.digest)];
    const swaps: readonly [path: string, Uint8Array][] = [
      [`/manifests/${good.digest}`, jsonBytes(theirs)],
      [`/blobs/${ours.config.digest}`, await repository.blob(theirs.config)],
      [`/blobs/${ours.layers[0].digest}`, new Uint8Array(ours.layers[0].size)],
    ];
    for (const [swapped, bytes] of swaps) {
      const server = proxy(async (path) => (path.endsWith(swapped) ? bytes : null));
      try {
        const image = `127.0.0.1:${server.port}/acme/life:index`;
        await bpfman.refused(1, "IMAGE_DAMAGED", "load", "image", "-i", image, ...PROGRAM);
      } finally {
        await server.stop(true);
      }
    }
    expect(await bpfman.programs()).toEqual([]);
    expect((await pull(`${registry.host}/acme/life:index`)).digest).toBe(index);
  });
});

describe("image verify", () => {
  test("shows every signature, its signer and time, whatever the configuration says of unsigned images", async () => {
    const { image, digest } = await newImage();
    bpfman.env.BPFMAN_LOG = "error";
    await bpfman.refused(1, "IMAGE_UNSIGNED", "image", "verify", image);
    expect(await bpfman.json<ImageVerifyAnswer>("image", "verify", image, "--allow-unsigned")).toMatchObject({
      signed: false,
      signatures: [],
    });
    const signatures = [signSimplyByKey(stranger.privateKey, digest), await signSimply(sigstore, digest)];
    await publishSimply(repository, digest, signatures);
    const root = ["--trusted-root", bpfman.path("root.json")];
    const by = ["--certificate-identity-regexp", "https://example\\.com/acme/.*", "--certificate-oidc-issuer", ISSUER];
    const answer = await bpfman.json<ImageVerifyAnswer>("image", "verify", image, ...root, ...by);
    expect(answer).toMatchObject({ digest, signed: true, trust_root: "file" });
    expect(answer.signatures.map(({ verdict, identity, issuer }) => [verdict, identity, issuer])).toEqual([
      ["untrusted", null, null],
      ["trusted", IDENTITY, ISSUER],
    ]);
    expect(answer.signatures[1]?.signed_at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z$/);
    const text = await bpfman.ok("image", "verify", image, "--key", bpfman.path("stranger.pub"), ...root);
    expect(text).toContain(` Key:          ${bpfman.path("stranger.pub")} \n`);
    expect(text).toContain(` Identity:   ${IDENTITY} \n`);
    expect(cached(digest)).toBe(false);
  });

  test("signers on the command line stand in the place of the configured ones", async () => {
    const { image, digest } = await newImage();
    await publishSimply(repository, digest, [signSimplyByKey(key.privateKey, digest)]);
    configure("allow_unsigned = true", trustKey());
    await bpfman.ok("image", "verify", image);
    const error = await bpfman.refused(
      ...([1, "SIGNER_UNTRUSTED", "image", "verify", image, "--key", bpfman.path("stranger.pub")] as const),
    );
    expect(error.details.signatures).toEqual([
      {
        manifest: expect.stringMatching(/^sha256:/),
        verdict: "untrusted",
        reason: "it was made with none of the trusted keys",
      },
    ]);
  });

  test("a tag that is not there, half an identity, no regular expression", async () => {
    const { image } = await newImage();
    await bpfman.refused(1, "IMAGE_NOT_FOUND", "image", "verify", `${registry.host}/acme/life:none`);
    await bpfman.refused(1, "USAGE", "image", "verify", image, "--certificate-identity", "x");
    const by = ["--certificate-identity-regexp", "(", "--certificate-oidc-issuer", "x"];
    await bpfman.refused(1, "INVALID_REQUEST", "image", "verify", image, ...by);
  });
});
