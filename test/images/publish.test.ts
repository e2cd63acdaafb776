/** Reads what dist/bpfman publishes without a container tool with skopeo and podman, and loads it again with bpfman. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { mountsUnder } from "../../scripts/residue.ts";
import type { ImageBuildAnswer } from "../../src/domain/image-answer.ts";
import { compileBpf } from "../objects/compile.ts";
import { containerStorage, output } from "../labs/container-storage.ts";
import { AUTH, PASSWORD, startRegistry, type TestRegistry } from "../servers/registry.ts";

const BPFMAN = resolve(import.meta.dir, "../../dist/bpfman");
const SOURCE = `struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32);
  __type(value, __u64); } counts SEC(".maps");
SEC("xdp") int pass(void *ctx) { __u32 key = 0; return bpf_map_lookup_elem(&counts, &key) ? 2 : 1; }`;
const LABELS = { "io.ebpf.maps": '{"counts":"array"}', "io.ebpf.programs": '{"pass":"xdp"}' };
const ARCHITECTURE = { x64: "amd64" }[process.arch as string] ?? process.arch;

let directory = "";
let registry: TestRegistry;
let env: Readonly<Record<string, string>> = {};
const path = (name: string) => join(directory, name);

beforeAll(async () => {
  directory = realpathSync(mkdtempSync(join(tmpdir(), "bpfman-publish-")));
  registry = await startRegistry();
  env = containerStorage(path("containers"), [registry.host]);
  mkdirSync(path("project"));
  writeFileSync(path("project/bpf_x86_bpfel.o"), compileBpf(SOURCE, ["-target", "bpfel"]));
  writeFileSync(path("project/bpf_s390_bpfeb.o"), compileBpf(SOURCE, ["-target", "bpfeb"]));
});
afterAll(async () => {
  await registry?.close();
  expect(mountsUnder(directory)).toEqual([]);
  rmSync(directory, { recursive: true, force: true });
});

async function bpfman(words: readonly string[], more: Readonly<Record<string, string>> = {}) {
  const command = [BPFMAN, "--runtime-dir", path("run"), ...words];
  const child = Bun.spawn(command, { cwd: directory, env: { ...env, ...more }, stdio: ["ignore", "pipe", "pipe"] });
  const [out, error, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { out, error, code };
}

async function build(name: string, ...words: readonly string[]): Promise<ImageBuildAnswer> {
  const { out, error, code } = await bpfman([
    "image",
    "build",
    "-o",
    "json",
    "-t",
    `${registry.host}/${name}`,
    ...words,
  ]);
  expect([error, code]).toEqual(["", 0]);
  return JSON.parse(out);
}

const skopeo = (...words: readonly string[]) => output(["skopeo", ...words], env);
const inspect = async (name: string, ...words: readonly string[]) =>
  JSON.parse(await skopeo("inspect", "--tls-verify=false", ...words, `docker://${registry.host}/${name}`));

describe("one object", () => {
  test("is said to be published, quietly", async () => {
    const { out, error, code } = await bpfman([
      "image",
      "build",
      "-t",
      `${registry.host}/quiet`,
      "-b",
      "project/bpf_x86_bpfel.o",
    ]);
    expect([error, code]).toEqual(["", 0]);
    expect(out).toMatch(/^published: 127\.0\.0\.1:\d+\/quiet@sha256:[0-9a-f]{64}\n$/);
  });

  test("is an image that skopeo reads, with labels in its configuration", async () => {
    const { digest, reference } = await build("single:v1", "-b", "project/bpf_x86_bpfel.o");
    expect(reference).toBe(`${registry.host}/single:v1`);
    expect(await inspect("single:v1")).toMatchObject({
      Digest: digest,
      Created: "1970-01-01T00:00:00Z",
      Labels: LABELS,
      Architecture: ARCHITECTURE,
      Os: "linux",
    });
    expect(await inspect("single:v1", "--raw")).toMatchObject({
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      layers: [{ mediaType: "application/vnd.oci.image.layer.v1.tar+gzip" }],
    });
    expect(await inspect("single:v1", "--config", "--raw")).toMatchObject({ config: { Labels: LABELS }, os: "linux" });
  });

  test("is copied by skopeo, which checks every digest, and its layer holds the object", async () => {
    await build("single:v1", "-b", "project/bpf_x86_bpfel.o");
    const copy = path("copy");
    mkdirSync(copy);
    const source = `docker://${registry.host}/single:v1`;
    await skopeo("copy", "--insecure-policy", "--src-tls-verify=false", source, `oci:${copy}/oci:v1`);
    const blobs = join(copy, "oci/blobs/sha256");
    const read = (digest: string) => readFileSync(join(blobs, digest.replace("sha256:", "")));
    const index = JSON.parse(readFileSync(join(copy, "oci/index.json"), "utf8"));
    const manifest = JSON.parse(read(index.manifests[0].digest).toString());
    const [layer] = manifest.layers;
    const listed = await output(["tar", "-tvzf", join(blobs, layer.digest.slice(7)), "--numeric-owner"], {
      PATH: env.PATH ?? "",
      TZ: "UTC",
    });
    expect(listed).toMatch(/^-rw-r--r-- 0\/0 +\d+ 1970-01-01 00:00 bpf_x86_bpfel\.o\n$/);
    expect(readdirSync(blobs)).toHaveLength(3);
  });

  test("is pulled by podman", async () => {
    await build("single:v1", "-b", "project/bpf_x86_bpfel.o");
    const id = (await output(["podman", "pull", "-q", `${registry.host}/single:v1`], env)).trim();
    const [image] = JSON.parse(await output(["podman", "image", "inspect", id], env));
    expect(image.Labels).toEqual(LABELS);
  });
});

describe("a project of several platforms", () => {
  test("is an index that skopeo and podman read", async () => {
    const { digest, platforms } = await build("multi:v1", "-c", "project");
    expect(platforms).toEqual(["linux/amd64", "linux/s390x"]);
    const raw = await skopeo("inspect", "--tls-verify=false", "--raw", `docker://${registry.host}/multi:v1`);
    expect(`sha256:${new Bun.CryptoHasher("sha256").update(raw).digest("hex")}`).toBe(digest);
    for (const architecture of ["amd64", "s390x"]) {
      const words = ["--override-arch", architecture, "inspect", "--tls-verify=false"];
      const image = JSON.parse(await skopeo(...words, `docker://${registry.host}/multi:v1`));
      expect(image).toMatchObject({ Architecture: architecture, Labels: LABELS });
    }
    const list = JSON.parse(await output(["podman", "manifest", "inspect", `${registry.host}/multi:v1`], env));
    expect(list.manifests.map(({ platform }: { platform: object }) => platform)).toEqual([
      { architecture: "amd64", os: "linux" },
      { architecture: "s390x", os: "linux" },
    ]);
    const words = ["podman", "pull", "-q", "--arch", "s390x", `${registry.host}/multi:v1`];
    const id = (await output(words, env)).trim();
    const [image] = JSON.parse(await output(["podman", "image", "inspect", id], env));
    expect(image).toMatchObject({ Architecture: "s390x", Labels: LABELS });
  });
});

test("two builds of the same input have the same digest, wherever they go and whatever the time", async () => {
  const first = await build("again:v1", "-c", "project");
  const second = await build("elsewhere/again:v2", "-c", `${directory}/project`);
  expect(second.digest).toBe(first.digest);
  const { out } = await bpfman(["image", "build", "-o", "json", "-t", `${registry.host}/again:v3`, "-c", "project"], {
    SOURCE_DATE_EPOCH: "1700000000",
  });
  expect(JSON.parse(out).digest).not.toBe(first.digest);
  expect((await inspect("again:v3", "--override-arch", "amd64")).Created).toBe("2023-11-14T22:13:20Z");
});

describe("a registry with a password", () => {
  let guarded: TestRegistry;
  beforeAll(async () => {
    guarded = await startRegistry({ login: "basic" });
    writeFileSync(path("auth.json"), JSON.stringify({ auths: { [guarded.host]: { auth: AUTH } } }));
    const wrong = Buffer.from("tester:wrong-7f3a91").toString("base64");
    writeFileSync(path("wrong.json"), JSON.stringify({ auths: { [guarded.host]: { auth: wrong } } }));
  });
  afterAll(() => guarded?.close());

  const push = (file: string, ...words: readonly string[]) =>
    bpfman(["image", "build", "-t", `${guarded.host}/a`, "-b", "project/bpf_x86_bpfel.o", ...words], {
      REGISTRY_AUTH_FILE: path(file),
    });

  test("takes the credentials that a login has stored", async () => {
    const { out, error, code } = await push("auth.json");
    expect([error, code]).toEqual(["", 0]);
    expect(out).toStartWith(`published: ${guarded.host}/a@sha256:`);
  });
  test.each(["absent.json", "wrong.json"])(
    "fails without the right ones, and no password is shown: %s",
    async (file) => {
      const { out, error, code } = await push(file, "-o", "json", "--log-level", "debug");
      expect([out, code]).toEqual(["", 4]);
      expect(error).toContain('"code": "REGISTRY_DENIED"');
      for (const secret of [PASSWORD, AUTH, "wrong-7f3a91"]) expect(error).not.toContain(secret);
    },
  );
});

test("mistakes are said exactly, and nothing is uploaded", async () => {
  const refused = async (...words: readonly string[]) => {
    const { out, error, code } = await bpfman(["image", "build", "-t", `${registry.host}/none`, ...words]);
    expect(out).toBe("");
    return [code, error.split("\n")[0]];
  };
  expect(await refused("-b", "absent.o")).toEqual([
    3,
    `error: open bytecode ELF: read "absent.o": the file does not exist`,
  ]);
  expect(await refused("-c", "absent")).toEqual([3, 'error: read "absent": there is no such directory']);
  expect(await refused("--bc-arm64-el", "project/bpf_s390_bpfeb.o")).toEqual([
    1,
    'error: check "project/bpf_s390_bpfeb.o" for linux/arm64: it is big-endian (ELFDATA2MSB), expected ELFDATA2LSB',
  ]);
  expect(registry.log()).not.toContain("/none/");
  const { error, code } = await bpfman(["image", "build", "-t", "127.0.0.1:1/a", "-b", "project/bpf_x86_bpfel.o"]);
  expect([code, error]).toEqual([1, expect.stringContaining("127.0.0.1:1")]);
});
