import { beforeEach, describe, expect, test } from "bun:test";
import { readdirSync, rmSync, writeFileSync } from "node:fs";
import type { PullPolicy } from "../../../src/domain/program.ts";
import { BpfmanError } from "../../../src/errors/error.ts";
import { openCache } from "../../../src/image/cache.ts";
import { inspectImage } from "../../../src/image/inspect.ts";
import { pullImage } from "../../../src/image/pull.ts";
import { parseReference } from "../../../src/image/reference.ts";
import type { Digest } from "../../../src/image/repository.ts";
import type { ImageVerifier } from "../../../src/image/verifier.ts";
import { failureOfAsync } from "../../expect/failure.ts";
import { ELF, MemoryRepository, putImage, putIndex } from "../../objects/image.ts";
import { temporaryDirectory } from "../../labs/temporary-directory.ts";

const directory = temporaryDirectory();
const NAME = "registry.test/image:v1";
const LABELS = { "io.ebpf.programs": '{"count":"xdp"}', "io.ebpf.maps": '{"counts":"hash"}' };
const warnings: string[] = [];
const log = {
  error: () => {},
  warn: (message: string) => void warnings.push(message),
  info: () => {},
  debug: () => {},
};

let repository: MemoryRepository;
let opened: number;
let verified: string[];
let rules: string;
let refused: Digest | null;
beforeEach(() => {
  repository = new MemoryRepository();
  opened = 0;
  verified = [];
  rules = "rules";
  refused = null;
  warnings.length = 0;
});

const verifier: ImageVerifier = {
  get policy() {
    return rules;
  },
  async verify(asked, digest) {
    expect(asked).toBe(repository);
    verified.push(digest);
    if (digest === refused) throw new BpfmanError("REGISTRY_FAILED", "refused by the test");
  },
};

const pull = (reference = NAME, pullPolicy: PullPolicy = "IfNotPresent", digest: Digest | null = null) =>
  pullImage(
    { reference, registryAuth: null, pullPolicy, digest },
    {
      cache: openCache(directory.path("cache"), () => true),
      openRepository: async () => {
        opened++;
        return repository;
      },
      verifier,
      architecture: "amd64",
    },
    { signal: new AbortController().signal, log, progress: () => {} },
  );

const code = async (run: () => Promise<unknown>) => (await failureOfAsync(run)).code;
const blobs = () => readdirSync(directory.path("cache/blobs/sha256"));

/** An index with an image for amd64 among others. */
async function putPlatforms(tag = "v1"): Promise<Digest> {
  const image = await putImage(repository, "one", { labels: LABELS });
  const other = await putImage(repository, "other", { files: [{ name: "other.o", bytes: ELF }] });
  const on = (architecture: string) => ({ platform: { os: "linux", architecture } });
  return putIndex(repository, tag, {
    entries: [
      { ...other, ...on("arm64") },
      { ...image, ...on("amd64") },
    ],
  });
}

describe("the result of a pull", () => {
  test("an image", async () => {
    const { digest } = await putImage(repository, "v1", { labels: LABELS });
    expect(await pull()).toEqual({
      reference: NAME,
      source: { url: NAME, digest, pullPolicy: "IfNotPresent" },
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      programs: { count: "xdp" },
      maps: { counts: "hash" },
      object: { name: "program.o", bytes: ELF },
    });
    expect(verified).toEqual([digest]);
    expect(warnings).toEqual([]);
  });

  test("an image without labels, which is said", async () => {
    await putImage(repository, "v1");
    expect(await pull()).toMatchObject({ programs: null, maps: null, object: { name: "program.o" } });
    expect(warnings).toEqual(["the image has no labels; only its object file says what it contains"]);
  });

  test.each([true, false])("one of an index, whose digest is the one that counts (docker: %p)", async (docker) => {
    const image = await putImage(repository, "one", { labels: LABELS, docker });
    const entries = [{ ...image, platform: { os: "linux", architecture: "amd64" } }];
    const digest = await putIndex(repository, "v1", { entries, docker });
    const pulled = await pull();
    expect(pulled.source.digest).toBe(digest);
    expect(pulled.object.name).toBe("program.o");
    expect(verified).toEqual([digest]);
  });

  test("an index within an index is rejected", async () => {
    const inner = await putPlatforms("inner");
    const size = repository.manifests.get(inner)?.length ?? 0;
    const mediaType = "application/vnd.oci.image.index.v1+json";
    const platform = { os: "linux", architecture: "amd64" };
    await putIndex(repository, "v1", { entries: [{ mediaType, digest: inner, size, platform }] });
    const error = await failureOfAsync(() => pull());
    expect(error.code).toBe("INVALID_IMAGE");
    expect(error.message).toContain("an index within an index");
    expect(await code(() => inspectImage(parseReference(NAME), repository))).toBe("INVALID_IMAGE");
  });

  test("no such tag", async () => {
    const error = await failureOfAsync(() => pull());
    expect(error.code).toBe("IMAGE_NOT_FOUND");
    expect(error.hint).toContain("skopeo list-tags docker://registry.test/image");
  });

  test("content above the limit is not requested", async () => {
    await putImage(repository, "v1");
    const [key = ""] = repository.manifests.keys();
    const manifest = JSON.parse(new TextDecoder().decode(repository.manifests.get(key)));
    for (const part of [manifest.config, manifest.layers[0]]) {
      const size = part.size;
      part.size = 1e12;
      await repository.putManifest("v1", { bytes: new TextEncoder().encode(JSON.stringify(manifest)) });
      part.size = size;
      repository.asked.length = 0;
      expect(await code(() => pull(NAME, "Always"))).toBe("INVALID_IMAGE");
      expect(repository.asked).not.toContain(`blob ${part.digest}`);
    }
  });
});

describe("policies", () => {
  test("IfNotPresent asks no registry for cached images", async () => {
    await putImage(repository, "v1", { labels: LABELS });
    const first = await pull();
    opened = 0;
    expect(await pull()).toEqual(first);
    expect(opened).toBe(0);
    expect(verified).toHaveLength(1);
  });

  test("Always asks what the tag stands for now, and fetches only what changed", async () => {
    await putImage(repository, "v1", { labels: LABELS });
    await pull();
    repository.asked.length = 0;
    await pull(NAME, "Always");
    expect(repository.asked).toEqual(["manifest v1"]);
    const { digest } = await putImage(repository, "v1", { files: [{ name: "new.o", bytes: ELF }] });
    expect((await pull()).object.name).toBe("program.o");
    expect((await pull(NAME, "Always")).source.digest).toBe(digest);
    expect((await pull()).object.name).toBe("new.o");
  });

  test("what was pulled just now is used, with any policy, whatever the tag has become", async () => {
    const { digest } = await putImage(repository, "v1", { labels: LABELS });
    await pull(NAME, "Always");
    await putImage(repository, "v1", { files: [{ name: "new.o", bytes: ELF }] });
    await pull(NAME, "Always");
    repository.asked.length = 0;
    for (const policy of ["Always", "IfNotPresent", "Never"] as const) {
      const { reference, source, object } = await pull(NAME, policy, digest);
      expect({ reference, source, name: object.name }).toEqual({
        ...{ reference: NAME, name: "program.o" },
        source: { url: NAME, digest, pullPolicy: policy },
      });
    }
    expect(repository.asked).toEqual([]);
    // The cache was cleared meanwhile.
    rmSync(directory.path("cache"), { recursive: true });
    expect((await pull(NAME, "Always", digest)).source.digest).toBe(digest);
    expect(repository.asked[0]).toBe(`manifest ${digest}`);
  });

  test("Never does not contact any registry", async () => {
    expect(await code(() => pull(NAME, "Never"))).toBe("IMAGE_NOT_CACHED");
    await putPlatforms();
    const { source, object } = await pull();
    opened = 0;
    const again = await pull(NAME, "Never");
    expect(again.object).toEqual(object);
    expect(again.source).toEqual({ ...source, pullPolicy: "Never" });
    // What was pulled by its tag is known by its digest too.
    expect((await pull(`registry.test/image@${source.digest}`, "Never")).object).toEqual(object);
    expect((await pull(`registry.test/image:other@${source.digest}`, "Never")).object).toEqual(object);
    expect(await code(() => pull("registry.test/other:v1", "Never"))).toBe("IMAGE_NOT_CACHED");
    expect(opened).toBe(0);
  });
});

describe("a cache with damage", () => {
  test("is repaired, file by file; Never says so instead", async () => {
    await putPlatforms();
    const whole = await pull();
    const names = blobs();
    expect(names.length).toBe(4);
    for (const name of names) {
      writeFileSync(directory.path(`cache/blobs/sha256/${name}`), "damaged");
      const error = await failureOfAsync(() => pull(NAME, "Never"));
      expect(error.code).toBe("IMAGE_NOT_CACHED");
      expect(error.message).toContain("damaged in the cache");
      expect(await pull()).toEqual(whole);
      expect((await pull(NAME, "Never")).object).toEqual(whole.object);
    }
  });

  test("a tag whose old image is gone everywhere stands for the new one", async () => {
    const old = await putImage(repository, "v1");
    await pull();
    rmSync(directory.path("cache/blobs"), { recursive: true });
    repository.manifests.delete(old.digest);
    const { digest } = await putImage(repository, "v1", { files: [{ name: "new.o", bytes: ELF }] });
    expect((await pull()).source.digest).toBe(digest);
    expect(verified).toEqual([old.digest, digest]);
    repository.manifests.clear();
    rmSync(directory.path("cache/blobs"), { recursive: true });
    expect(await code(() => pull(`registry.test/image@${digest}`))).toBe("IMAGE_NOT_FOUND");
  });
});

describe("verification", () => {
  test("comes before anything else is fetched, and what is rejected is not kept", async () => {
    refused = await putPlatforms();
    expect((await failureOfAsync(() => pull())).message).toBe("refused by the test");
    expect(repository.asked).toEqual(["manifest v1"]);
    expect(await code(() => pull(NAME, "Never"))).toBe("IMAGE_NOT_CACHED");
    refused = null;
    await pull();
    expect((await pull(NAME, "Never")).object.name).toBe("program.o");
  });

  test("under new rules, what is in the cache is asked about again", async () => {
    const digest = await putPlatforms();
    await pull();
    rules = "stricter";
    const error = await failureOfAsync(() => pull(NAME, "Never"));
    expect(error.code).toBe("IMAGE_NOT_CACHED");
    expect(error.message).toContain("the rules on signatures have changed");
    refused = digest;
    expect((await failureOfAsync(() => pull())).message).toBe("refused by the test");
    expect(await code(() => pull(NAME, "Never"))).toBe("IMAGE_NOT_CACHED");
    refused = null;
    repository.asked.length = 0;
    await pull();
    expect(repository.asked).toEqual([]);
    await pull(NAME, "Never");
    expect(verified).toEqual([digest, digest, digest]);
  });

  test("the digest that was verified is the one that is pulled, whatever the tag says meanwhile", async () => {
    const { digest } = await putImage(repository, "v1", { labels: LABELS });
    const swapping: ImageVerifier = {
      policy: "rules",
      verify: async () => void (await putImage(repository, "v1", { files: [{ name: "evil.o", bytes: ELF }] })),
    };
    const pulled = await pullImage(
      { reference: NAME, registryAuth: null, pullPolicy: "Always" },
      {
        cache: openCache(directory.path("cache"), () => true),
        openRepository: async () => repository,
        verifier: swapping,
        architecture: "amd64",
      },
      { signal: new AbortController().signal, log, progress: () => {} },
    );
    expect(pulled.source.digest).toBe(digest);
    expect(pulled.object.name).toBe("program.o");
  });
});
