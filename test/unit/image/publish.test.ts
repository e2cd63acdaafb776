import { describe, expect, test } from "bun:test";
import { gunzipSync } from "node:zlib";
import { creationTime, publishObjects } from "../../../src/image/publish.ts";
import type { Descriptor } from "../../../src/image/repository.ts";
import type { PlatformObject } from "../../../src/platform/image-build.ts";
import { failureOf } from "../../expect/failure.ts";
import { MemoryRepository } from "../../fakes/memory-repository.ts";

const object = (architecture: string, content: string, programs: Record<string, string> = { pass: "xdp" }) => ({
  architecture,
  fileName: `bpf_${architecture}.o`,
  bytes: new TextEncoder().encode(content),
  labels: { programs, maps: { counts: "hash" } },
});

async function publish(objects: readonly PlatformObject[], createdAt = 0) {
  const repository = new MemoryRepository();
  const said: string[] = [];
  const progress = (message: string) => void said.push(message);
  const digest = await publishObjects(repository, { tag: "v1", objects, createdAt, progress });
  return { repository, digest, said };
}

const json = (bytes: Uint8Array | undefined) => JSON.parse(new TextDecoder().decode(bytes));

describe("one object", () => {
  test("is an image with a layer and labels, tagged last", async () => {
    const { repository, digest, said } = await publish([object("amd64", "little")], 86_400);
    expect(repository.order).toEqual(["v1"]);
    const manifest = repository.manifests.get("v1");
    expect(manifest).toMatchObject({ digest, mediaType: "application/vnd.oci.image.manifest.v1+json" });
    const { config, layers, ...rest } = json(manifest?.bytes);
    expect(rest).toEqual({ schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json" });
    expect(layers).toHaveLength(1);
    expect(layers[0].mediaType).toBe("application/vnd.oci.image.layer.v1.tar+gzip");
    expect(config.mediaType).toBe("application/vnd.oci.image.config.v1+json");
    for (const { digest, size } of [config, layers[0]]) expect((await repository.blob({ digest })).length).toBe(size);

    const tar = gunzipSync(await repository.blob(layers[0]));
    const diffId = `sha256:${new Bun.CryptoHasher("sha256").update(tar).digest("hex")}`;
    expect(json(await repository.blob(config))).toEqual({
      created: "1970-01-02T00:00:00Z",
      architecture: "amd64",
      os: "linux",
      config: { Labels: { "io.ebpf.maps": '{"counts":"hash"}', "io.ebpf.programs": '{"pass":"xdp"}' } },
      rootfs: { type: "layers", diff_ids: [diffId] },
      history: [{ created: "1970-01-02T00:00:00Z", created_by: "bpfman image build" }],
    });
    expect(said).toEqual([
      "upload bpf_amd64.o for linux/amd64 to example.com/acme/counter",
      "tag example.com/acme/counter:v1",
    ]);
  });
});

describe("several objects", () => {
  const first = object("amd64", "little");
  const second = object("s390x", "big", { other: "tc" });
  const objects = [first, second];

  test("are an index over one image for each platform, uploaded before it", async () => {
    const { repository, digest } = await publish(objects);
    const index = repository.manifests.get("v1");
    expect(index).toMatchObject({ digest, mediaType: "application/vnd.oci.image.index.v1+json" });
    const { schemaVersion, mediaType, manifests } = json(index?.bytes);
    expect([schemaVersion, mediaType]).toEqual([2, "application/vnd.oci.image.index.v1+json"]);
    expect(manifests.map(({ platform }: Descriptor) => platform)).toEqual([
      { architecture: "amd64", os: "linux" },
      { architecture: "s390x", os: "linux" },
    ]);
    expect(repository.order).toEqual([...manifests.map((each: Descriptor) => each.digest), "v1"]);
    const configs = await Promise.all(
      manifests.map(async (each: Descriptor) => {
        const { bytes } = repository.manifests.get(each.digest) ?? {};
        expect(bytes?.length).toBe(each.size);
        return json(await repository.blob(json(bytes).config));
      }),
    );
    expect(configs.map(({ architecture, config }) => [architecture, config.Labels["io.ebpf.programs"]])).toEqual([
      ["amd64", '{"pass":"xdp"}'],
      ["s390x", '{"other":"tc"}'],
    ]);
  });

  test("give the same digest again, and another one when anything differs", async () => {
    const { digest } = await publish(objects);
    expect((await publish(objects)).digest).toBe(digest);
    const others = [
      await publish(objects, 1),
      await publish([second, first]),
      await publish([first]),
      await publish([{ ...first, fileName: "x.o" }, second]),
      await publish([{ ...first, labels: { ...first.labels, maps: {} } }, second]),
      await publish([{ ...first, bytes: new TextEncoder().encode("other") }, second]),
    ].map((each) => each.digest);
    expect(new Set([digest, ...others]).size).toBe(7);
  });
});

describe("SOURCE_DATE_EPOCH", () => {
  test.each([
    [undefined, 0],
    ["", 0],
    ["0", 0],
    ["1700000000", 1_700_000_000],
    ["8589934591", 8_589_934_591],
  ])("%p is %d", (text, seconds) => expect(creationTime(text)).toBe(seconds));
  test.each(["-1", "1.5", "yesterday", "1e9", "8589934592"])("%s is rejected", (text) => {
    expect(failureOf(() => creationTime(text))).toMatchObject({
      code: "INVALID_BUILD",
      message: `read SOURCE_DATE_EPOCH "${text}": it is not a number of seconds`,
    });
  });
});
