/** The client against Debian's registry, with each kind of access control. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { AUTH, PASSWORD, startRegistry, type TestRegistry } from "../servers/registry.ts";
import { failureOfAsync } from "../expect/failure.ts";
import { OCI_MANIFEST } from "../../src/image/manifest.ts";
import { digestOf } from "../../src/image/repository.ts";
import { parseReference } from "../../src/image/reference.ts";
import { openRepository, type RepositoryOptions } from "../../src/image/open-repository.ts";

const OPTIONS: RepositoryOptions = {
  signal: new AbortController().signal,
  registryAuth: null,
  caFile: null,
  env: {},
};

const bytesOf = (text: string) => new TextEncoder().encode(text);

function open(registry: TestRegistry, options: Partial<RepositoryOptions> = {}, name = "test/image") {
  return openRepository(parseReference(`${registry.host}/${name}`), {
    ...OPTIONS,
    caFile: registry.caFile,
    ...options,
  });
}

describe.each([
  { name: "plain", login: "none", tls: false },
  { name: "with Basic login", login: "basic", tls: false },
  { name: "with tokens", login: "token", tls: false },
  { name: "with TLS and Basic login", login: "basic", tls: true },
] as const)("a registry $name", ({ login, tls }) => {
  let registry: TestRegistry;
  const auth = login === "none" ? {} : { registryAuth: AUTH };
  beforeAll(async () => {
    registry = await startRegistry({ login, tls });
  });
  afterAll(() => registry.close());

  test("takes what is uploaded and gives it back", async () => {
    const repository = open(registry, auth);
    const content = bytesOf("some content");
    const config = bytesOf("{}");
    const digest = await repository.putBlob(content);
    expect(digest).toBe(digestOf(content));
    expect(await repository.putBlob(content)).toBe(digest);
    const configDigest = await repository.putBlob(config);
    const manifest = bytesOf(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: OCI_MANIFEST,
        config: { mediaType: "application/vnd.oci.image.config.v1+json", digest: configDigest, size: 2 },
        layers: [{ mediaType: "application/vnd.oci.image.layer.v1.tar", digest, size: content.length }],
      }),
    );
    const manifestDigest = await repository.putManifest("v1", { bytes: manifest, mediaType: OCI_MANIFEST });
    expect(manifestDigest).toBe(digestOf(manifest));

    const again = open(registry, auth);
    for (const key of ["v1", manifestDigest]) {
      const got = await again.manifest(key);
      expect(new TextDecoder().decode(got?.bytes)).toBe(new TextDecoder().decode(manifest));
      expect({ digest: got?.digest, mediaType: got?.mediaType }).toEqual({
        digest: manifestDigest,
        mediaType: OCI_MANIFEST,
      });
    }
    const blob = await again.blob({ mediaType: "", digest, size: content.length });
    expect(new TextDecoder().decode(blob)).toBe("some content");
    expect(await again.manifest("v2")).toBeNull();
    expect(await open(registry, auth, "other/image").manifest("v1")).toBeNull();
    expect(await again.referrers(manifestDigest)).toEqual([]);
    const wrongSize = again.blob({ mediaType: "", digest, size: content.length - 1 });
    expect((await failureOfAsync(() => wrongSize)).code).toBe("IMAGE_DAMAGED");
  });

  if (login !== "none")
    test("rejects whoever has no credentials, or wrong ones, without showing them", async () => {
      const anonymous = await failureOfAsync(() => open(registry).manifest("v1"));
      expect(anonymous.code).toBe("REGISTRY_DENIED");
      expect(anonymous.message).toContain("requires credentials");
      const wrong = Buffer.from(`tester:${PASSWORD}x`).toString("base64");
      const denied = await failureOfAsync(() => open(registry, { registryAuth: wrong }).manifest("v1"));
      expect(denied.code).toBe("REGISTRY_DENIED");
      expect(denied.message).toContain("rejects the credentials from --registry-auth");
      const shown = JSON.stringify([denied.message, denied.hint, denied.details, denied.stack, String(denied.cause)]);
      expect(shown).not.toContain(PASSWORD);
      expect(shown).not.toContain(wrong);
    });

  if (tls)
    test("is not trusted without its authority", async () => {
      const error = await failureOfAsync(() => open(registry, { ...auth, caFile: null }).manifest("v1"));
      expect(error.code).toBe("REGISTRY_CERTIFICATE");
      expect(error.message).toContain("self-signed");
    });

  if (login === "token")
    test("asks for no more than it needs", () => {
      expect(new Set(registry.scopes)).toEqual(
        new Set(["repository:test/image:pull,push", "repository:test/image:pull", "repository:other/image:pull"]),
      );
    });
});
