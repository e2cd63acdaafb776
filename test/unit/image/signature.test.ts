/** Whose signatures count, and what is rejected: both layouts, certificates and keys, with an in-memory repository. */
import { beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { writeFileSync } from "node:fs";
import { SIGNING_DEFAULT, type SigningRules } from "../../../src/domain/signing.ts";
import type { Digest } from "../../../src/image/repository.ts";
import { verify } from "../../../src/image/signature/open-verifier.ts";
import { failureOfAsync } from "../../expect/failure.ts";
import { MemoryRepository } from "../../objects/image.ts";
import {
  IDENTITY,
  ISSUER,
  openSigstore,
  publishBundle,
  publishReferrer,
  publishSimply,
  type SignatureBundle,
  type SigningOptions,
  type Sigstore,
  type SimpleSignature,
  signBundle,
  signBundleByKey,
  signSimply,
  signSimplyByKey,
} from "../../servers/sigstore.ts";
import { temporaryDirectory } from "../../labs/temporary-directory.ts";

const directory = temporaryDirectory();
const MINUTE_MS = 60_000;

let sigstore: Sigstore;
let elsewhere: Sigstore;
beforeAll(async () => {
  [sigstore, elsewhere] = await Promise.all([openSigstore(), openSigstore()]);
});

let repository: MemoryRepository;
let digest: Digest;
let other: Digest;
const warnings: string[] = [];
const image = (note: string) => ({
  bytes: new TextEncoder().encode(JSON.stringify({ schemaVersion: 2, layers: [], note })),
  mediaType: "application/vnd.oci.image.manifest.v1+json",
});
beforeEach(async () => {
  repository = new MemoryRepository();
  digest = await repository.putManifest("latest", image("this"));
  other = await repository.putManifest("other", image("other"));
  warnings.length = 0;
});

const log = {
  error: () => {},
  warn: (message: string) => void warnings.push(message),
  info: () => {},
  debug: () => {},
};

interface Rules extends Partial<SigningRules> {
  readonly thorough?: boolean;
}

/** Verifies with the test's own trusted root unless the rules name another. */
function check({ thorough = false, ...rules }: Rules = {}) {
  writeFileSync(directory.path("root.json"), sigstore.trustedRoot);
  return verify(repository, digest, {
    rules: { ...SIGNING_DEFAULT, allowUnsigned: false, trustedRoot: directory.path("root.json"), ...rules },
    rootDirectory: directory.path("cache"),
    thorough,
    log,
    signal: new AbortController().signal,
  });
}
const refusal = (rules: Rules = {}) => failureOfAsync(() => check(rules));

function keyPair(curve: "P-256" | "P-384" = "P-256") {
  return generateKeyPairSync("ec", { namedCurve: curve });
}
function keyFile(key: KeyObject, name = "key.pub"): string {
  writeFileSync(directory.path(name), key.export({ type: "spki", format: "pem" }));
  return directory.path(name);
}

const trustAcme = { trustedIdentities: [{ identity: { exact: IDENTITY }, issuer: { exact: ISSUER } }] };

interface Layout {
  readonly name: string;
  readonly layout: "tag" | "referrer";
  sign(by: Sigstore, of: Digest, options?: SigningOptions): Promise<SimpleSignature | SignatureBundle>;
  signByKey(key: ReturnType<typeof keyPair>, of: Digest, options?: SigningOptions): SimpleSignature | SignatureBundle;
  publish(...signatures: readonly (SimpleSignature | SignatureBundle)[]): Promise<void>;
}

const LAYOUTS: readonly Layout[] = [
  {
    name: "the tag of signatures",
    layout: "tag",
    sign: signSimply,
    signByKey: ({ privateKey }, of, options) => signSimplyByKey(privateKey, of, options),
    publish: (...signatures) => publishSimply(repository, digest, signatures as SimpleSignature[]),
  },
  {
    name: "referrers",
    layout: "referrer",
    sign: signBundle,
    signByKey: signBundleByKey,
    async publish(...bundles) {
      for (const bundle of bundles) await publishBundle(repository, digest, bundle);
    },
  },
];

for (const { name, layout, sign, signByKey, publish } of LAYOUTS) {
  describe(name, () => {
    test("a good signature by any identity, when no signer is named", async () => {
      const before = Math.floor(Date.now() / 1000) * 1000;
      await publish(await sign(sigstore, digest));
      const { unsigned, signatures, trustRoot } = await check();
      expect([unsigned, trustRoot, signatures.length]).toEqual([false, "file", 1]);
      expect(signatures[0]).toMatchObject({
        layout,
        verdict: "trusted",
        reason: null,
        signer: { kind: "identity", identity: IDENTITY, issuer: ISSUER },
      });
      expect(signatures[0]?.signedAt?.getTime()).toBeGreaterThanOrEqual(before);
      expect(warnings).toEqual([]);
    });

    test("a trusted identity", async () => {
      await publish(await sign(sigstore, digest));
      expect((await check(trustAcme)).signatures[0]?.verdict).toBe("trusted");
    });

    test("an identity or an issuer that is not trusted is rejected, also where unsigned images are accepted", async () => {
      await publish(await sign(sigstore, digest));
      const identities = [
        { identity: { exact: "https://example.com/somebody" }, issuer: { exact: ISSUER } },
        { identity: { exact: IDENTITY }, issuer: { exact: "https://token.example.org" } },
      ];
      const error = await refusal({ allowUnsigned: true, trustedIdentities: identities });
      expect(error.code).toBe("SIGNER_UNTRUSTED");
      expect(error.message).toBe(
        `verify "registry.test/image@${digest}": its signature is not accepted: it was made by "${IDENTITY}" (issuer "${ISSUER}"), who is not trusted`,
      );
      expect((await refusal({ trustedKeys: [keyFile(keyPair().publicKey)] })).code).toBe("SIGNER_UNTRUSTED");
    });

    test("an authority and logs of somebody else are rejected", async () => {
      await publish(await sign(elsewhere, digest));
      const error = await refusal({ allowUnsigned: true });
      expect(error.code).toBe("SIGNATURE_INVALID");
      expect(error.message).toContain("failed to verify certificate chain");
    });

    test("a trusted key, without a trusted root", async () => {
      const pair = keyPair();
      await publish(signByKey(pair, digest));
      const trustedKeys = [keyFile(keyPair().publicKey, "a.pub"), keyFile(pair.publicKey, "b.pub")];
      const { signatures, trustRoot } = await check({ trustedKeys, trustedRoot: directory.path("missing.json") });
      expect(trustRoot).toBeNull();
      expect(signatures[0]).toMatchObject({
        verdict: "trusted",
        signer: { kind: "key", file: directory.path("b.pub") },
      });
    });

    test("another key is rejected, and so is any key when none is trusted", async () => {
      await publish(signByKey(keyPair(), digest));
      const error = await refusal({ allowUnsigned: true, trustedKeys: [keyFile(keyPair().publicKey)] });
      expect(error.code).toBe("SIGNER_UNTRUSTED");
      expect(error.message).toContain("it was made with none of the trusted keys");
      expect((await refusal({ allowUnsigned: true })).message).toContain(
        "it was made with a key, and no key is trusted",
      );
    });

    test("a signature moved from another image is rejected, by certificate and by key", async () => {
      const pair = keyPair();
      const trustedKeys = [keyFile(pair.publicKey)];
      await publish(await sign(sigstore, other));
      expect((await refusal({ allowUnsigned: true })).message).toContain("it is for another image");
      await publish(signByKey(pair, other));
      const error = await refusal({ allowUnsigned: true, trustedKeys });
      expect([error.code, error.message]).toEqual(["SIGNATURE_INVALID", expect.stringContaining("another image")]);
    });

    test("a signature that the log took in outside the certificate's time is rejected", async () => {
      for (const minutes of [-30, 30]) {
        await publish(await sign(sigstore, digest, { loggedAt: new Date(Date.now() + minutes * MINUTE_MS) }));
        const error = await refusal({ allowUnsigned: true });
        expect(error.code).toBe("SIGNATURE_INVALID");
        expect(error.message).toContain("certificate is not valid or expired at the specified date");
      }
    });

    test("one trusted signature among others suffices", async () => {
      const pair = keyPair();
      await publish(
        signByKey(keyPair(), digest),
        await sign(elsewhere, digest),
        await sign(sigstore, digest, { identity: "https://example.com/somebody" }),
        signByKey(pair, digest),
      );
      const rules = { ...trustAcme, trustedKeys: [keyFile(pair.publicKey)], thorough: true };
      const { signatures } = await check(rules);
      expect(signatures.map(({ verdict }) => verdict)).toEqual(["untrusted", "invalid", "untrusted", "trusted"]);
      const error = await refusal(trustAcme);
      expect(error.message).toContain(": none of its 4 signatures is accepted: it was made ");
    });
  });
}

describe("parts that are missing or changed", () => {
  test("simple signing: signature, certificate, log entry", async () => {
    const { payload, annotations } = await signSimply(sigstore, digest);
    const cases: readonly [name: string, value: string | undefined, code: string, says: string][] = [
      ["dev.cosignproject.cosign/signature", undefined, "SIGNATURE_INVALID", "not in base64"],
      ["dev.cosignproject.cosign/signature", "AAAA", "SIGNATURE_INVALID", "it is not proven"],
      ["dev.sigstore.cosign/certificate", undefined, "SIGNER_UNTRUSTED", "with a key, and no key is trusted"],
      ["dev.sigstore.cosign/certificate", "not PEM", "SIGNATURE_INVALID", "its certificate cannot be read"],
      ["dev.sigstore.cosign/bundle", undefined, "SIGNATURE_INVALID", "no entry of a transparency log"],
      ["dev.sigstore.cosign/bundle", "{}", "SIGNATURE_INVALID", "log cannot be read"],
    ];
    for (const [name, value, code, says] of cases) {
      const changed = Object.fromEntries(Object.entries(annotations).filter(([key]) => key !== name));
      await publishSimply(repository, digest, [
        { payload, annotations: value === undefined ? changed : { ...changed, [name]: value } },
      ]);
      const error = await refusal({ allowUnsigned: true });
      expect([name, error.code]).toEqual([name, code]);
      expect(error.message).toContain(says);
    }
  });

  test("simple signing: certificate or log entry of another signature", async () => {
    const [one, two] = [await signSimply(sigstore, digest), await signSimply(sigstore, digest)];
    for (const name of ["dev.sigstore.cosign/certificate", "dev.sigstore.cosign/bundle"]) {
      const annotations = { ...one.annotations, [name]: two.annotations[name] as string };
      await publishSimply(repository, digest, [{ ...one, annotations }]);
      expect((await refusal({ allowUnsigned: true })).code).toBe("SIGNATURE_INVALID");
    }
  });

  test("simple signing: a payload that was changed, and one of another type", async () => {
    const pair = keyPair();
    const trustedKeys = [keyFile(pair.publicKey)];
    const forged = signSimplyByKey(keyPair().privateKey, digest).payload;
    await publishSimply(repository, digest, [{ ...(await signSimply(sigstore, other)), payload: forged }]);
    expect((await refusal({ allowUnsigned: true })).code).toBe("SIGNATURE_INVALID");
    await publishSimply(repository, digest, [{ ...signSimplyByKey(pair.privateKey, other), payload: forged }]);
    expect((await refusal({ allowUnsigned: true, trustedKeys })).code).toBe("SIGNER_UNTRUSTED");

    const content = { critical: { type: "something else", image: { "docker-manifest-digest": digest } } };
    await publishSimply(repository, digest, [signSimplyByKey(pair.privateKey, digest, { content })]);
    expect((await refusal({ allowUnsigned: true, trustedKeys })).message).toContain('of type "something else"');
  });

  test("simple signing: a log entry whose time was moved into the certificate's", async () => {
    const late = await signSimply(sigstore, digest, { loggedAt: new Date(Date.now() + 30 * MINUTE_MS) });
    const bundle = JSON.parse(late.annotations["dev.sigstore.cosign/bundle"] as string);
    bundle.Payload.integratedTime = Math.floor(Date.now() / 1000) + 60;
    const annotations = { ...late.annotations, "dev.sigstore.cosign/bundle": JSON.stringify(bundle) };
    await publishSimply(repository, digest, [{ ...late, annotations }]);
    expect((await refusal()).message).toContain("inclusion promise could not be verified");
  });

  test("bundles: certificate, log entries, proof, statement, signature", async () => {
    const good = await signBundle(sigstore, digest);
    const moved = await signBundle(sigstore, other);
    const { certificate, tlogEntries, ...rest } = good.verificationMaterial;
    const [entry] = tlogEntries as readonly Record<string, unknown>[];
    const material = (verificationMaterial: object) => ({ ...good, verificationMaterial });
    const withEntry = (change: object) => material({ ...rest, certificate, tlogEntries: [{ ...entry, ...change }] });
    const messageSignature = { messageDigest: { algorithm: "SHA2_256", digest: "AAAA" }, signature: "AAAA" };
    const cases: readonly [object, string, string][] = [
      [material({ ...rest, tlogEntries }), "SIGNATURE_INVALID", "its bundle cannot be read"],
      [material({ publicKey: { hint: "x" }, tlogEntries }), "SIGNER_UNTRUSTED", "with a key, and no key is trusted"],
      [material({ ...rest, certificate, tlogEntries: [] }), "SIGNATURE_INVALID", "expected 1 timestamps, got 0"],
      [material({ ...rest, certificate, tlogEntries: Array(17).fill(entry) }), "SIGNATURE_INVALID", "more than 16"],
      [material({ ...rest, certificate, tlogEntries: [entry, entry] }), "SIGNATURE_INVALID", "duplicate"],
      [withEntry({ inclusionPromise: undefined }), "SIGNATURE_INVALID", "expected 1 timestamps, got 0"],
      [withEntry({ inclusionProof: undefined }), "SIGNATURE_INVALID", "its bundle cannot be read"],
      [withEntry({ integratedTime: "1" }), "SIGNATURE_INVALID", "certificate chain"],
      [withEntry({ canonicalizedBody: "e30=" }), "SIGNATURE_INVALID", "it is not proven"],
      [material({ ...moved.verificationMaterial }), "SIGNATURE_INVALID", "it is not proven"],
      [{ ...moved, dsseEnvelope: good.dsseEnvelope }, "SIGNATURE_INVALID", "it is not proven"],
      [{ ...good, dsseEnvelope: undefined }, "SIGNATURE_INVALID", "its bundle cannot be read"],
      [{ ...good, dsseEnvelope: undefined, messageSignature }, "SIGNATURE_INVALID", "no statement about an image"],
      [{ ...good, mediaType: "text/plain" }, "SIGNATURE_INVALID", "its bundle cannot be read"],
    ];
    for (const [bundle, code, says] of cases) {
      await repository.putManifest(digest.replace(":", "-"), { bytes: emptyIndex() });
      await publishBundle(repository, digest, bundle);
      const error = await refusal({ allowUnsigned: true });
      expect(error.message).toContain(says);
      expect(error.code).toBe(code as typeof error.code);
    }
  });

  test("bundles: a payload of another type, and what is no statement", async () => {
    const pair = keyPair();
    const trustedKeys = [keyFile(pair.publicKey)];
    await publishBundle(repository, digest, signBundleByKey(pair, digest, { payloadType: "text/plain" }));
    expect((await refusal({ trustedKeys })).message).toContain('of type "text/plain"');
    await publishBundle(repository, digest, signBundleByKey(pair, digest, { content: { _type: "x" } }));
    expect((await refusal({ trustedKeys })).message).toContain("none of its 2 signatures");
  });

  test("content that storage has damaged, or that has gone", async () => {
    const pair = keyPair();
    const trustedKeys = [keyFile(pair.publicKey)];
    await publishBundle(repository, digest, signBundleByKey(pair, digest));
    expect((await check({ trustedKeys })).signatures).toHaveLength(1);
    for (const each of [...repository.blobs.keys()]) repository.blobs.set(each, new Uint8Array([1]));
    expect((await refusal({ allowUnsigned: true, trustedKeys })).message).toContain("it is damaged");
  });
});

function emptyIndex(): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ schemaVersion: 2, manifests: [] }));
}

describe("images without a signature", () => {
  test("are rejected when signatures are required, and nothing is asked of a trusted root", async () => {
    const error = await refusal({ trustedRoot: directory.path("missing.json") });
    expect([error.code, error.message]).toEqual([
      "IMAGE_UNSIGNED",
      `verify "registry.test/image@${digest}": it has no signature, and signatures are required`,
    ]);
  });

  test("are accepted with a warning otherwise", async () => {
    const answer = await check({ allowUnsigned: true, trustedRoot: directory.path("missing.json"), ...trustAcme });
    expect(answer).toEqual({ unsigned: true, signatures: [], trustRoot: null });
    expect(warnings).toEqual(["the image is not signed, but is accepted anyway"]);
    expect(repository.asked).toEqual([`manifest ${digest.replace(":", "-")}.sig`, `referrers ${digest}`]);
  });

  test("attestations and other referrers are no signatures, whoever made them", async () => {
    const pair = keyPair();
    const trustedKeys = [keyFile(pair.publicKey)];
    const content = {
      _type: "https://in-toto.io/Statement/v1",
      predicateType: "https://slsa.dev/provenance/v1",
      subject: [{ digest: { sha256: digest.slice(7) } }],
      predicate: {},
    };
    await publishBundle(repository, digest, signBundleByKey(pair, digest, { content }));
    await publishReferrer(repository, digest, new TextEncoder().encode('{"layers":[{"mediaType":"text/spdx"}]}'));
    await publishReferrer(repository, digest, new TextEncoder().encode('{"layers":"none"}'));
    expect((await refusal({ trustedKeys })).code).toBe("IMAGE_UNSIGNED");
  });
});

describe("identities", () => {
  const by = (identity: object, issuer: object = { exact: ISSUER }) =>
    ({ trustedIdentities: [{ identity, issuer }] }) as unknown as Rules;

  test("a regular expression must match all of the text", async () => {
    await publishSimply(repository, digest, [await signSimply(sigstore, digest)]);
    for (const regexp of ["https://example\\.com/acme/.*", "^https://.*main$", "(?i)HTTPS://EXAMPLE.COM/.*"]) {
      expect((await check(by({ regexp }))).signatures[0]?.verdict).toBe("trusted");
    }
    for (const regexp of ["https://example\\.com/acme/", "example", ".*/acme", "https://example.com/acme/|x"]) {
      expect((await refusal(by({ regexp }))).code).toBe("SIGNER_UNTRUSTED");
    }
    const issuer = { regexp: "https://token\\.example\\.(com|org)" };
    expect((await check(by({ exact: IDENTITY }, issuer))).signatures[0]?.verdict).toBe("trusted");
    expect((await refusal(by({ exact: IDENTITY }, { regexp: "https://token" }))).code).toBe("SIGNER_UNTRUSTED");
  });

  test("an expression that others take for ever to try is answered", async () => {
    const identity = `https://example.com/${"a".repeat(1500)}!`;
    await publishSimply(repository, digest, [await signSimply(sigstore, digest, { identity })]);
    expect((await refusal(by({ regexp: "https://example.com/((a+)+)+" }))).code).toBe("SIGNER_UNTRUSTED");
  });

  test("a name that turns into a trusted one when its bytes are cut to ASCII is rejected", async () => {
    const odd = IDENTITY.replace("acme", "acm\u00e5");
    await publishSimply(repository, digest, [await signSimply(sigstore, digest, { identity: odd })]);
    const cut = Buffer.from(odd, "utf8").toString("ascii");
    const error = await refusal(by({ exact: cut }));
    expect(error.code).toBe("SIGNATURE_INVALID");
    expect(error.message).toContain("unusual identity");
  });
});

describe("bounds", () => {
  test("more signatures than are looked at", async () => {
    const signature = signSimplyByKey(keyPair().privateKey, digest);
    await publishSimply(repository, digest, Array(65).fill(signature));
    const error = await refusal({ allowUnsigned: true, trustedKeys: [keyFile(keyPair().publicKey)] });
    expect([error.code, error.message]).toEqual(["SIGNATURE_INVALID", expect.stringContaining("more than 64")]);
  });

  test("more referrers than are opened", async () => {
    const manifests = Array(257).fill({ mediaType: "x", digest: other, size: 1 });
    const bytes = new TextEncoder().encode(JSON.stringify({ manifests }));
    await repository.putManifest(digest.replace(":", "-"), { bytes });
    expect((await refusal({ allowUnsigned: true })).message).toContain("more than 256 manifests");
  });

  test("a payload that is too large is not fetched", async () => {
    const payload = new Uint8Array(1024 * 1024 + 1);
    await publishSimply(repository, digest, [{ payload, annotations: {} }]);
    expect((await refusal({ allowUnsigned: true })).message).toContain("more than 1048576 bytes");
    expect(repository.asked.filter((line) => line.startsWith("blob"))).toEqual([]);
  });
});

describe("keys", () => {
  test("of all the kinds that cosign has", async () => {
    for (const pair of [keyPair(), keyPair("P-384"), generateKeyPairSync("rsa", { modulusLength: 2048 })] as ReturnType<
      typeof keyPair
    >[]) {
      await publishSimply(repository, digest, [signSimplyByKey(pair.privateKey, digest)]);
      expect((await check({ trustedKeys: [keyFile(pair.publicKey)] })).signatures[0]?.verdict).toBe("trusted");
    }
  });

  test("that are invalid", async () => {
    const missing = await refusal({ trustedKeys: [directory.path("missing.pub")] });
    expect([missing.code, missing.message]).toEqual([
      "FILE_NOT_FOUND",
      `read trusted key "${directory.path("missing.pub")}": there is no such file`,
    ]);
    const secret = keyPair().privateKey.export({ type: "pkcs8", format: "pem" });
    for (const text of [secret, "", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"]) {
      writeFileSync(directory.path("bad.pub"), text);
      const error = await refusal({ trustedKeys: [directory.path("bad.pub")] });
      expect(error.code).toBe("INVALID_KEY");
      expect(error.message).toStartWith(`read trusted key "${directory.path("bad.pub")}": `);
    }
    expect((await refusal({ trustedKeys: [directory.path()] })).code).toBe("FILE_UNREADABLE");
  });
});
