/** Operations on existing images: what they ask for, when, and what becomes of it. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type {
  ImagesPort,
  PruneRequest,
  PulledImage,
  PullRequest,
  RegistryAccess,
} from "../../../src/platform/images.ts";
import { createInvoke, type Invoke } from "../../../src/service/invoke.ts";
import { BpfmanError } from "../../../src/errors/error.ts";
import { failureOfAsync } from "../../expect/failure.ts";
import { makeTestBed, type TestBed } from "../../fakes/fake-host.ts";
import { serviceObject } from "../../objects/service-object.ts";

const DIGEST = `sha256:${"a".repeat(64)}`;
const URL = "h.io/counter:1";
const PROGRAMS = [{ type: "tcx", name: "count" }];

let bed: TestBed;
let invoke: Invoke;
let happened: string[];
let asked: (PullRequest | RegistryAccess)[];
let image: Partial<PulledImage>;
let failure: BpfmanError | null;
beforeEach(() => {
  bed = makeTestBed();
  happened = [];
  asked = [];
  image = {};
  failure = null;
  bed.images = images;
  const { openLock } = bed.runtime;
  invoke = createInvoke({
    ...bed.runtime,
    openLock: async () => {
      const lock = await openLock();
      return {
        acquire: (timeoutMs, signal) => {
          happened.push("lock");
          return lock.acquire(timeoutMs, signal);
        },
      };
    },
  });
});
afterEach(() => bed.close());

const STORED = { references: [URL], digest: DIGEST, bytes: 12, usedAt: new Date(0) };
let pruned: PruneRequest[] = [];

const images: ImagesPort = {
  stored: async () => ({ images: [STORED], bytes: 12 }),
  async prune(request) {
    pruned.push(request);
    return { images: [STORED], files: 3, bytes: 9 };
  },
  async pull(request) {
    happened.push("pull");
    asked.push(request);
    if (failure !== null) throw failure;
    return {
      reference: URL,
      source: { url: request.reference, digest: DIGEST, pullPolicy: request.pullPolicy },
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      programs: { count: "tc" },
      maps: null,
      object: { name: "counter.bpf.o", bytes: serviceObject() },
      ...image,
    };
  },
  async fetch(request) {
    return images.pull({ ...request, pullPolicy: "Always" }, {} as never);
  },
  async inspect(request) {
    asked.push(request);
    return { reference: URL, image: { digest: DIGEST, mediaType: "m", programs: null, maps: {}, layers: [] } };
  },
  verify: () => expect.unreachable(),
};

const load = (source: unknown, programs: readonly object[] = PROGRAMS) => invoke("program/load", { source, programs });

describe("program/load", () => {
  test("pulls before it takes the lock, and remembers where the program is from", async () => {
    const { programs } = await load({ image: { url: URL } });
    expect(happened).toEqual(["pull", "lock"]);
    expect(asked).toEqual([{ reference: URL, registryAuth: null, pullPolicy: "IfNotPresent", digest: null }]);
    const [program] = programs;
    expect(program?.record?.load).toMatchObject({
      source_path: null,
      image_source: { url: URL, digest: DIGEST, pull_policy: "IfNotPresent" },
    });
    const again = await invoke("program/get", { programId: program?.record?.program_id });
    expect(again.record?.load.image_source).toEqual({ url: URL, digest: DIGEST, pull_policy: "IfNotPresent" });
    expect([...bed.files.bytecode.values()]).toEqual([serviceObject()]);
  });

  test("hands on how it is to pull, and keeps the login to itself", async () => {
    const registryAuth = Buffer.from("me:secret").toString("base64");
    const { programs } = await load({ image: { url: URL, pullPolicy: "always", registryAuth } });
    expect(asked).toEqual([{ reference: URL, registryAuth, pullPolicy: "Always", digest: null }]);
    const kept = JSON.stringify([programs, bed.logged]) + (await Bun.file(bed.databasePath).text());
    expect(kept).not.toContain(registryAuth);
    expect(kept).not.toContain("secret");
  });

  test("without labels, the object alone says what there is", async () => {
    image = { programs: null };
    expect((await load({ image: { url: URL } })).programs).toHaveLength(1);
    const missing = await failureOfAsync(() => load({ image: { url: URL } }, [{ type: "tcx", name: "nope" }]));
    expect(missing.code).toBe("FUNCTION_NOT_FOUND");
  });

  test("with labels, both have to", async () => {
    const unlabelled = await failureOfAsync(() => load({ image: { url: URL } }, [{ type: "xdp", name: "filter" }]));
    expect(unlabelled.code).toBe("PROGRAM_NOT_IN_IMAGE");
    expect(unlabelled.hint).toBe("the image has: count");
    image = { programs: { nope: "tc" } };
    const missing = await failureOfAsync(() => load({ image: { url: URL } }, [{ type: "tcx", name: "nope" }]));
    expect(missing.code).toBe("FUNCTION_NOT_FOUND");
    image = { programs: {} };
    expect((await failureOfAsync(() => load({ image: { url: URL } }))).hint).toBe("the image has no programs");
    expect(bed.traces().bytecode).toEqual([]);
  });

  test("a pull that fails takes no lock and leaves no trace", async () => {
    failure = new BpfmanError("IMAGE_NOT_FOUND", "no such image");
    expect((await failureOfAsync(() => load({ image: { url: URL } }))).code).toBe("IMAGE_NOT_FOUND");
    expect(happened).toEqual(["pull"]);
  });

  test("without privileges, nothing is pulled", async () => {
    bed.capabilities = [];
    expect((await failureOfAsync(() => load({ image: { url: URL } }))).code).toBe("PERMISSION_DENIED");
    expect(happened).toEqual([]);
  });

  const wrong: [what: string, source: object, field: string][] = [
    ["neither", {}, "source"],
    ["both", { file: "/a.o", image: { url: URL } }, "source"],
    ["no name", { image: {} }, "source.image.url"],
    ["an empty name", { image: { url: "" } }, "source.image.url"],
    ["no such policy", { image: { url: URL, pullPolicy: "sometimes" } }, "source.image.pullPolicy"],
    ["a policy that is a number", { image: { url: URL, pullPolicy: 5 } }, "source.image.pullPolicy"],
    ["something else", { image: { url: URL, password: "secret" } }, "source.image.password"],
  ];
  test.each(wrong)("%s is a wrong request", async (_what, source, field) => {
    const error = await failureOfAsync(() => load(source));
    expect(error.code).toBe("INVALID_REQUEST");
    expect(error.details.field).toBe(field);
    expect(JSON.stringify([error.message, error.details])).not.toContain("secret");
  });
});

describe("the cache", () => {
  const listed = { references: [URL], digest: DIGEST, size: 12, used_at: "1970-01-01T00:00:00.000Z" };

  test("is listed with the programs that came from an image, which stays as long as one is loaded", async () => {
    pruned = [];
    expect(await invoke("image/list", {})).toEqual({ images: [{ ...listed, programs: [] }], size: 12 });
    const { programs } = await load({ image: { url: URL } });
    const id = programs[0]?.record?.program_id ?? 0;
    expect((await invoke("image/list", {})).images).toEqual([{ ...listed, programs: [id] }]);
    await invoke("image/prune", { dryRun: true });
    await invoke("program/unload", { programId: id });
    expect(await invoke("image/prune", {})).toEqual({ dry_run: false, images: [listed], files: 3, size: 9 });
    expect(pruned.map(({ keep, dryRun }) => [[...keep], dryRun])).toEqual([
      [[DIGEST], true],
      [[], false],
    ]);
  });
});

describe("image/pull", () => {
  test("answers what came, and takes no lock", async () => {
    expect(await invoke("image/pull", { url: URL, pullPolicy: "NEVER" })).toEqual({
      reference: URL,
      digest: DIGEST,
      media_type: "application/vnd.oci.image.manifest.v1+json",
      programs: { count: "tc" },
      maps: { counters: "array", shared_counts: "hash" },
    });
    expect(happened).toEqual(["pull"]);
  });

  test("what labels do not say, the object does", async () => {
    image = { programs: null, maps: {} };
    const answer = await invoke("image/pull", { url: URL });
    expect(answer.programs).toMatchObject({ count: "tc", on_unlinked: "kretprobe", filter: "xdp" });
    expect(answer.programs).not.toHaveProperty("odd");
    expect(answer.maps).toEqual({});
  });

  test("what cannot be loaded is rejected", async () => {
    image = { object: { name: "a.o", bytes: new Uint8Array([0x7f, 0x45, 0x4c, 0x46]) } };
    expect((await failureOfAsync(() => invoke("image/pull", { url: URL }))).code).toBe("INVALID_OBJECT");
    const other = serviceObject().slice();
    // The machine, which is 247 for eBPF.
    other[18] = 62;
    image = { object: { name: "a.o", bytes: other } };
    const error = await failureOfAsync(() => invoke("image/pull", { url: URL }));
    expect(error.message).toContain("not for eBPF");
  });
});

test("image/inspect needs no rights, and shows what is not there as null", async () => {
  bed.capabilities = [];
  expect(await invoke("image/inspect", { url: URL })).toEqual({
    reference: URL,
    digest: DIGEST,
    media_type: "m",
    programs: null,
    maps: {},
    layers: [],
  });
});
