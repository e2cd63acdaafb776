/** What the cache of images holds, and removing what nothing needs while others pull. */
import { expect, test } from "bun:test";
import { readdirSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tryLockExclusive, tryLockShared } from "../../../ffi/safe/flock.ts";
import type { PullPolicy } from "../../../src/domain/program.ts";
import { openCache } from "../../../src/image/cache.ts";
import { pullImage } from "../../../src/image/pull.ts";
import type { Repository } from "../../../src/image/repository.ts";
import { pruneImages, storedImages } from "../../../src/image/stored.ts";
import { failureOfAsync } from "../../expect/failure.ts";
import { temporaryDirectory } from "../../labs/temporary-directory.ts";
import { MemoryRepository, putImage, putIndex } from "../../objects/image.ts";

const directory = temporaryDirectory();
const open = () =>
  openCache(directory.path("cache"), (fd, mode) => (mode === "alone" ? tryLockExclusive(fd) : tryLockShared(fd)));
const silent = () => {};
const work = {
  signal: new AbortController().signal,
  log: { error: silent, warn: silent, info: silent, debug: silent },
  progress: silent,
};

const pull = (repository: Repository, tag: string, pullPolicy: PullPolicy = "IfNotPresent") =>
  pullImage(
    { reference: `registry.test/image:${tag}`, registryAuth: null, pullPolicy },
    {
      ...{ cache: open(), openRepository: async () => repository, architecture: "amd64" },
      verifier: { policy: "rules", verify: async () => {} },
    },
    work,
  );
const prune = (keep: readonly string[], more: { dryRun?: boolean; timeoutMs?: number } = {}) =>
  pruneImages(open(), { keep: new Set(keep), dryRun: false, timeoutMs: 10_000, ...more }, work);
const files = () => readdirSync(directory.path("cache/blobs/sha256"));
const bytesOfFiles = () =>
  files().reduce((sum, name) => sum + statSync(directory.path(`cache/blobs/sha256/${name}`)).size, 0);

test("an empty cache has nothing, and nothing is made", async () => {
  expect(storedImages(open())).toEqual({ images: [], bytes: 0 });
  expect(await prune([])).toEqual({ images: [], files: 0, bytes: 0 });
  expect(readdirSync(directory.path(""))).toEqual([]);
});

test("images are listed by what they were pulled as, with what they take and when they were used", async () => {
  const repository = new MemoryRepository();
  const { digest } = await putImage(repository, "v1", { labels: {} });
  await putImage(repository, "v2", { labels: {} });
  const image = {
    ...(await putImage(repository, "one", { labels: { a: "b" } })),
    platform: { os: "linux", architecture: "amd64" },
  };
  const other = {
    ...(await putImage(repository, "two", { labels: { a: "c" } })),
    platform: { os: "linux", architecture: "arm64" },
  };
  const index = await putIndex(repository, "platforms", { entries: [other, image] });
  for (const tag of ["v1", "v2", "platforms"]) await pull(repository, tag);
  const { images, bytes } = storedImages(open());
  // The tags v1 and v2 name one image.
  expect(images.map(({ references, digest: its }) => [references, its])).toEqual([
    [["registry.test/image:platforms"], index],
    [["registry.test/image:v1", "registry.test/image:v2"], digest],
  ]);
  expect(bytes).toBe(bytesOfFiles());
  // They share the layer.
  expect(images.reduce((sum, each) => sum + each.bytes, 0)).toBeGreaterThan(bytes);

  const before = new Date("2020-01-01T00:00:00Z");
  for (const name of readdirSync(directory.path("cache/references")))
    utimesSync(directory.path(`cache/references/${name}`), before, before);
  await pull(repository, "v1", "Never");
  const [unused, used] = storedImages(open()).images;
  expect(unused?.usedAt).toEqual(before);
  expect(used?.usedAt.getTime()).toBeGreaterThan(before.getTime());
});

test("what is kept stays whole, and everything else goes, with what belongs to no image", async () => {
  const repository = new MemoryRepository();
  const kept = await putImage(repository, "kept", { labels: { a: "b" } });
  const gone = await putImage(repository, "gone", { labels: { a: "c" } });
  await pull(repository, "kept");
  await pull(repository, "gone");
  writeFileSync(directory.path(`cache/blobs/sha256/${"a".repeat(64)}`), "stray");
  const all = files().length;
  const planned = await prune([kept.digest], { dryRun: true });
  expect([files().length, planned.images.map(({ digest }) => digest)]).toEqual([all, [gone.digest]]);
  const before = bytesOfFiles();
  expect(await prune([kept.digest])).toEqual(planned);
  // Manifest and configuration of the one, and the stray; the layer is shared.
  expect([planned.files, all - files().length, before - bytesOfFiles()]).toEqual([3, 3, planned.bytes]);
  expect(await pull(repository, "kept", "Never")).toMatchObject({ source: { digest: kept.digest } });
  expect((await failureOfAsync(() => pull(repository, "gone", "Never"))).message).toContain("it is not in the cache");
  await prune([]);
  expect([files(), readdirSync(directory.path("cache/references"))]).toEqual([[], []]);
});

test("a pull that runs is waited for, and finds everything that it saved", async () => {
  const repository = new MemoryRepository();
  await putImage(repository, "v1", { labels: {} });
  await pull(repository, "v1");
  // Of the new image, the manifest is saved and its configuration is on its way; the layer is there.
  const { digest } = await putImage(repository, "v2", { labels: { a: "b" } });
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
  const { promise: answered, resolve: answer } = Promise.withResolvers<void>();
  const slow: Repository = {
    ...{
      name: repository.name,
      referrers: (of) => repository.referrers(of),
      putBlob: (bytes) => repository.putBlob(bytes),
    },
    ...{ manifest: (of) => repository.manifest(of), putManifest: (to, of) => repository.putManifest(to, of) },
    async blob(descriptor) {
      ask();
      await answered;
      return repository.blob(descriptor);
    },
  };
  const pulling = pull(slow, "v2");
  await asked;
  expect((await failureOfAsync(() => prune([], { timeoutMs: 20 }))).code).toBe("LOCK_TIMEOUT");
  const pruning = prune([digest]);
  answer();
  await pulling;
  expect((await pruning).images.map(({ references }) => references)).toEqual([["registry.test/image:v1"]]);
  expect(await pull(repository, "v2", "Never")).toMatchObject({ source: { digest } });
});
