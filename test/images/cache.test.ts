/** The executable's cache: without a network, with concurrent commands, killed, full, damaged. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { LoadAnswer } from "../../src/domain/answer.ts";
import type { ImageListAnswer, ImagePruneAnswer, ImagePullAnswer } from "../../src/domain/image-answer.ts";
import { BPFMAN, executable } from "../labs/executable.ts";
import { tarOf } from "../objects/image.ts";
import { sh } from "../labs/kernel-lab.ts";
import { LIFE_OBJECT, putLife } from "../servers/put-bytecode.ts";
import { startRegistry, type TestRegistry } from "../servers/registry.ts";

const bpfman = executable();
// Nothing here is signed, which would be said of each image that is pulled.
beforeEach(() => {
  bpfman.env.BPFMAN_LOG = "error";
});
let registry: TestRegistry;
let image: string;
beforeAll(async () => {
  registry = await startRegistry();
  image = await putLife(registry, "life:1");
}, 60_000);
afterAll(() => registry?.close());

const cache = (...parts: string[]) => join(bpfman.runtimeDir, "cache", ...parts);
const blobs = () => readdirSync(cache("blobs/sha256")).sort();
const pull = (...words: string[]) => bpfman.json<ImagePullAnswer>("image", "pull", "-i", image, ...words);
const LOAD = ["--programs", "tracepoint:on_openat"];

/** Runs it where there is no network at all, not even loopback. */
function withoutNetwork(...words: string[]) {
  const child = Bun.spawnSync(["unshare", "--net", ...bpfman.command(...words)], {
    env: { PATH: process.env.PATH ?? "", ...bpfman.env },
  });
  return { code: child.exitCode, out: child.stdout.toString(), error: child.stderr.toString() };
}

describe("list and prune", () => {
  const list = async () => (await bpfman.json<ImageListAnswer>("image", "list")).images;

  test("an image stays as long as a program came from it, and its space is told", async () => {
    expect(await list()).toEqual([]);
    const [program] = await bpfman
      .json<LoadAnswer>("load", "image", "-i", image, ...LOAD)
      .then((answer) => answer.programs);
    const id = String(program?.record?.program_id);
    expect(await list()).toMatchObject([{ references: [image], programs: [Number(id)] }]);
    expect(await bpfman.ok("image", "list")).toContain(id);
    expect(await bpfman.ok("image", "prune")).toBe("removed 0 images (0 files): 0.0 KiB\n");
    await bpfman.ok("unload", id);
    expect(await bpfman.ok("image", "prune", "--dry-run")).toContain("would remove 1 image (3 files)");
    expect(blobs()).toHaveLength(3);
    const { size } = await bpfman.json<ImageListAnswer>("image", "list");
    expect(await bpfman.json<ImagePruneAnswer>("image", "prune")).toMatchObject({ dry_run: false, files: 3, size });
    expect([blobs(), await list()]).toEqual([[], []]);
  });

  test("beside pulls and loads, and killed, it leaves each image whole or gone", async () => {
    for (let round = 0; round < 4; round++) {
      const pruning = bpfman.start("image", "prune");
      const loading = bpfman.start("load", "image", "-i", image, ...LOAD);
      const pulling = bpfman.start("image", "pull", "-i", image);
      if (round % 2 === 1) pruning.kill("SIGKILL");
      for (const { ended } of [loading, pulling]) expect(await ended).toMatchObject({ code: 0, error: "" });
      await pruning.ended;
      await bpfman.ok("program", "delete", "--all");
      const { code, error } = await bpfman.run("image", "pull", "-i", image, "-p", "Never");
      if (code !== 0) expect(error).toContain("it is not in the cache");
      await bpfman.ok("image", "prune");
      expect(blobs()).toEqual([]);
    }
  });
});

describe("without a network", () => {
  test("Never and IfNotPresent do with what is there; Always and what was never pulled say that there is none", async () => {
    await pull();
    for (const policy of ["Never", "IfNotPresent", "NEVER", "ifnotpresent"]) {
      const answer = withoutNetwork("load", "image", "-i", image, "-p", policy, ...LOAD, "-o", "json");
      expect(answer).toMatchObject({ code: 0, error: "" });
      expect(JSON.parse(answer.out).programs).toHaveLength(1);
    }
    const always = withoutNetwork("image", "pull", "-i", image, "-p", "always");
    expect(always.code).toBe(1);
    expect(always.error).toContain("the network is unreachable");
    const other = withoutNetwork("image", "pull", "-i", "quay.io/a/b:1");
    expect(other.code).toBe(1);
    expect(other.error).toMatch(/cannot be resolved|no such host|the network is unreachable/);
    expect(withoutNetwork("image", "pull", "-i", "quay.io/a/b:1", "-p", "never").code).toBe(3);
  });

  test("no socket is opened: not by load file, nor for an image in the cache", async () => {
    await pull();
    const trace = bpfman.path("trace");
    const traced = async (...words: string[]) => {
      const strace = ["strace", "-f", "-qq", "-e", "trace=socket,connect,sendto", "-o", trace];
      const child = Bun.spawn([...strace, ...bpfman.command(...words)], {
        env: { PATH: process.env.PATH ?? "", ...bpfman.env },
        stdio: ["ignore", "pipe", "pipe"],
      });
      const [, error, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
      expect({ words, code, error }).toEqual({ words, code: 0, error: "" });
      return readFileSync(trace, "utf8");
    };
    expect(await traced("load", "file", "-p", LIFE_OBJECT, ...LOAD)).not.toMatch(/AF_INET|AF_UNIX/);
    for (const policy of ["Never", "IfNotPresent"]) {
      expect(await traced("load", "image", "-i", image, "-p", policy, ...LOAD)).not.toMatch(/AF_INET|AF_UNIX/);
    }
    // What is not seen here would be seen if it were there.
    expect(await traced("image", "pull", "-i", image, "-p", "Always")).toContain("AF_INET");
  });
});

test("an unknown policy is a wrong command line", async () => {
  const error = await bpfman.refused(2, "INVALID_REQUEST", "image", "pull", "-i", image, "-p", "sometimes");
  expect(error.message).toContain("a pull policy is Always, IfNotPresent, Never");
});

test("ten pulls and loads at once get the same, and leave nothing half done", async () => {
  const words = ["image", "pull", "-i", image, "-p", "Always", "-o", "json"];
  const pulls = Array.from({ length: 8 }, () => bpfman.start(...words).ended);
  const loads = Array.from(
    { length: 2 },
    () => bpfman.start("load", "image", "-i", image, ...LOAD, "-o", "json").ended,
  );
  const [first, ...others] = await Promise.all(pulls);
  expect(first).toMatchObject({ code: 0, error: "" });
  for (const other of others) expect(other).toEqual(first as typeof other);
  for (const load of await Promise.all(loads)) expect(load).toMatchObject({ code: 0, error: "" });
  expect(blobs()).toHaveLength(3);
  expect(readdirSync(cache("new"))).toEqual([]);
  expect(await bpfman.programs()).toHaveLength(2);
});

test("a damaged cache is repaired from the registry", async () => {
  const answer = await pull();
  for (const name of blobs()) {
    const path = cache("blobs/sha256", name);
    const content = readFileSync(path);
    truncateSync(path, statSync(path).size - 1);
    const error = await bpfman.refused(3, "IMAGE_NOT_CACHED", "image", "pull", "-i", image, "-p", "never");
    expect(error.message).toContain("damaged in the cache");
    expect(await pull()).toEqual(answer);
    expect(readFileSync(path).equals(content)).toBe(true);
  }
});

test("a blob that the registry has damaged is rejected, and nothing of it kept", async () => {
  const own = await startRegistry();
  try {
    const damaged = await putLife(own, "life:1");
    const pulled = await bpfman.json<ImagePullAnswer>("image", "pull", "-i", damaged);
    const directory = join(own.directory, "docker/registry/v2/blobs/sha256");
    const all = readdirSync(directory).flatMap((part) => readdirSync(join(directory, part)));
    for (const hex of all.filter((each) => `sha256:${each}` !== pulled.digest)) {
      const path = join(directory, hex.slice(0, 2), hex, "data");
      // What came before the damaged part would be taken from there.
      rmSync(cache(), { recursive: true, force: true });
      const content = readFileSync(path);
      const changed = Buffer.from(content);
      changed[changed.length >> 1] = (changed[changed.length >> 1] ?? 0) ^ 1;
      writeFileSync(path, changed);
      const error = await bpfman.refused(1, "IMAGE_DAMAGED", "image", "pull", "-i", damaged);
      expect(error.message).toContain(`sha256:${hex}`);
      expect(existsSync(cache("blobs/sha256", hex))).toBe(false);
      writeFileSync(path, content);
    }
    expect(await bpfman.json<ImagePullAnswer>("image", "pull", "-i", damaged)).toEqual(pulled);
  } finally {
    await own.close();
  }
});

test("a pull that is killed anywhere leaves nothing in the way", async () => {
  for (let delayMs = 0; delayMs < 60; delayMs += 4) {
    rmSync(cache(), { recursive: true, force: true });
    const started = bpfman.start("load", "image", "-i", image, ...LOAD);
    await Bun.sleep(delayMs);
    started.kill("SIGKILL");
    await started.ended;
    // Whatever has its name is whole.
    for (const name of existsSync(cache("blobs/sha256")) ? blobs() : []) {
      const content = readFileSync(cache("blobs/sha256", name));
      expect(new Bun.CryptoHasher("sha256").update(content).digest("hex")).toBe(name);
    }
    await pull();
    expect(readdirSync(cache("new"))).toEqual([]);
  }
  // A change takes away what a load left that died in the middle; one that was finished is listed.
  await bpfman.ok("unload", "--ignore-missing", "4294967295");
  const left = await bpfman.programs();
  if (left.length > 0) await bpfman.ok("unload", ...left.map((program) => String(program.program_id)));
}, 120_000);

test("what a killed pull was writing goes with the next one", async () => {
  await pull();
  writeFileSync(cache("new/4194303-1-rest"), "half");
  await pull("-p", "always");
  expect(readdirSync(cache("new"))).toEqual([]);
});

test("an interruption ends it, and the lock was never taken", async () => {
  const silent = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  try {
    const started = bpfman.start("load", "image", "-i", `127.0.0.1:${silent.port}/a:1`, ...LOAD);
    await Bun.sleep(500);
    // Others go on while this one waits for its registry.
    const [program] = await bpfman.load(LIFE_OBJECT, ...LOAD);
    await bpfman.ok("unload", String(program?.record?.program_id));
    started.kill("SIGINT");
    const { code, error } = await started.ended;
    expect(code).toBe(130);
    expect(error).toContain("interrupted");
  } finally {
    silent.stop(true);
  }
});

test("a full disk: the error says so, and with room it works", async () => {
  const mount = bpfman.path("small");
  mkdirSync(mount);
  sh("mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs", mount);
  try {
    const random = crypto.getRandomValues(new Uint8Array(60_000));
    const large = await putLife(registry, "large:1", {
      layerType: "application/vnd.oci.image.layer.v1.tar",
      layer: tarOf([
        { name: "life.bpf.o", bytes: readFileSync(LIFE_OBJECT) },
        { name: "random", bytes: random },
      ]),
    });
    const command = ["--cache-dir", join(mount, "cache"), "image", "pull", "-i", large];
    const error = await bpfman.refused(1, "IO_FAILED", ...command);
    expect(error.message).toContain("the disk is full");
    expect(error.hint).toContain("--cache-dir");
    expect(readdirSync(join(mount, "cache/new"))).toEqual([]);
    sh("mount", "-o", "remount,size=1m", mount);
    await bpfman.ok(...command);
    await bpfman.ok(...command, "-p", "never");
  } finally {
    sh("umount", mount);
  }
});

test("a cache in which others may write is not used", async () => {
  mkdirSync(bpfman.path("open"));
  chmodSync(bpfman.path("open"), 0o777);
  const command = ["--cache-dir", bpfman.path("open"), "load", "image", "-i", image, ...LOAD];
  const error = await bpfman.refused(5, "STATE_CONFLICT", ...command);
  expect(error.message).toContain("other users can write to it (mode 777)");
});

test("the environment places the cache", async () => {
  bpfman.env.BPFMAN_CACHE_DIR = bpfman.path("elsewhere");
  await pull();
  expect(existsSync(cache())).toBe(false);
  expect(readdirSync(bpfman.path("elsewhere/blobs/sha256"))).toHaveLength(3);
  expect(statSync(bpfman.path("elsewhere")).mode & 0o777).toBe(0o700);
});

test("a user without rights may look at images, and pull them into a cache of his own", async () => {
  const nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
  const copy = bpfman.path("bpfman");
  sh("cp", BPFMAN, copy);
  const inspect = Bun.spawnSync([...nobody, copy, "image", "inspect", image], { env: { PATH: "/usr/bin" } });
  expect({ code: inspect.exitCode, error: inspect.stderr.toString() }).toEqual({ code: 0, error: "" });
  const pullInto = (place: string) =>
    Bun.spawnSync([...nobody, copy, "image", "pull", "-i", image, "--cache-dir", place], { env: { PATH: "/usr/bin" } });
  const [roots, own] = [bpfman.path("roots"), bpfman.path("own")];
  mkdirSync(roots, { mode: 0o700 });
  mkdirSync(own, { mode: 0o700 });
  sh("chown", "65534:65534", own);
  chmodSync(bpfman.path(""), 0o755);
  expect(pullInto(roots).stderr.toString()).toContain("hint: give a directory of your own with --cache-dir");
  expect(pullInto(own).exitCode).toBe(0);
});
