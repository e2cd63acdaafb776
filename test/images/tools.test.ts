/** Pulls, inspects, loads and attaches images built by podman, buildah and skopeo, from a real registry. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { closeSync, openSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import type { LoadAnswer } from "../../src/domain/answer.ts";
import type { ImageInspectAnswer, ImagePullAnswer } from "../../src/domain/image-answer.ts";
import { hostArchitecture } from "../../src/image/platform.ts";
import { type ContainerTools, containerTools } from "../labs/container-tools.ts";
import { executable, idOf, mapOf } from "../labs/executable.ts";
import { counters } from "../labs/kernel-lab.ts";
import { startRegistry, type TestRegistry } from "../servers/registry.ts";

buildBpf();
const OBJECT = resolve(import.meta.dir, "../../dist/bpf/fixtures/life.bpf.o");
const PROGRAMS = { count: "tc", on_openat: "tracepoint" };
const MAPS = { counters_of_life: "array" };
/** Slot of the map counters_of_life. */
const OPENS = 2;
const OTHER = hostArchitecture() === "s390x" ? "riscv64" : "s390x";

const CONTAINERFILE = `FROM scratch
COPY life.bpf.o /life.bpf.o
LABEL io.ebpf.programs='${JSON.stringify(PROGRAMS)}'
LABEL io.ebpf.maps='${JSON.stringify(MAPS)}'
`;
const OLDER = `FROM scratch
COPY life.bpf.o /life.bpf.o
LABEL io.ebpf.program_name=opens
LABEL io.ebpf.bpf_function_name=on_openat
LABEL io.ebpf.program_type=tracepoint
LABEL io.ebpf.filename=life.bpf.o
`;

const bpfman = executable();
// Nothing here is signed, which would be said of each image that is pulled.
beforeEach(() => {
  bpfman.env.BPFMAN_LOG = "error";
});
let registry: TestRegistry;
let tools: ContainerTools;
const at = (name: string) => `${registry.host}/${name}`;

beforeAll(async () => {
  registry = await startRegistry();
  tools = containerTools(registry.host);
  tools.write("life.bpf.o", readFileSync(OBJECT));
  tools.write("Containerfile", CONTAINERFILE);
  tools.write("older", OLDER);

  const plain = ["--isolation", "chroot", "-f", `${tools.directory}/Containerfile`, tools.directory];
  await tools.buildah("bud", "-t", at("buildah:oci"), ...plain);
  await tools.buildah("push", at("buildah:oci"));
  await tools.buildah("push", "--format", "v2s2", at("buildah:oci"), `docker://${at("buildah:v2s2")}`);
  await tools.buildah(
    "bud",
    "-t",
    at("older:1"),
    "--isolation",
    "chroot",
    "-f",
    `${tools.directory}/older`,
    tools.directory,
  );
  await tools.buildah("push", at("older:1"));
  await tools.podman("build", "-t", at("podman:1"), ...plain);
  await tools.podman("push", at("podman:1"));

  for (const arch of [hostArchitecture(), OTHER]) {
    await tools.buildah("bud", "--arch", arch, "--manifest", at("list:1"), ...plain);
  }
  const pushList = ["manifest", "push", "--tls-verify=false", "--all"];
  await tools.buildah(...pushList, "--format", "oci", at("list:1"), `docker://${at("list:oci")}`);
  await tools.buildah(...pushList, "--format", "v2s2", at("list:1"), `docker://${at("list:v2s2")}`);
  await tools.buildah("bud", "--arch", OTHER, "--manifest", at("other:1"), ...plain);
  await tools.buildah(...pushList, at("other:1"), `docker://${at("other:1")}`);

  const source = `docker://${at("buildah:oci")}`;
  await tools.skopeo("copy", source, `docker://${at("copy:1")}`);
  await tools.skopeo("copy", "--format", "v2s2", source, `docker://${at("copy:v2s2")}`);
  await tools.skopeo("copy", "--all", `docker://${at("list:oci")}`, `docker://${at("copy:list")}`);
  await tools.skopeo("copy", source, `dir:${tools.directory}/plain`, "--dest-decompress");
  // skopeo packs anew what it sends to a registry, unless the digests must stay.
  await tools.skopeo("copy", "--preserve-digests", `dir:${tools.directory}/plain`, `docker://${at("copy:raw")}`);
  const zstd = `oci:${tools.directory}/zstd:1`;
  await tools.skopeo("copy", "--dest-compress-format", "zstd", `dir:${tools.directory}/plain`, zstd);
  await tools.skopeo("copy", "--preserve-digests", zstd, `docker://${at("copy:zstd")}`);
}, 120_000);
afterAll(async () => {
  tools?.close();
  await registry?.close();
});

function openFiles(times: number): void {
  for (let time = 0; time < times; time++) closeSync(openSync("/dev/null", "r"));
}

const IMAGES = [
  "buildah:oci",
  "buildah:v2s2",
  "older:1",
  "podman:1",
  "list:oci",
  "list:v2s2",
  "copy:1",
  "copy:v2s2",
  "copy:list",
  "copy:zstd",
  "copy:raw",
];

test.each(IMAGES)("%s counts what is opened, and says where it is from", async (image) => {
  const older = image === "older:1";
  const url = at(image);
  const pulled = await bpfman.json<ImagePullAnswer>("image", "pull", "--image-url", url);
  const raw = await tools.skopeo("inspect", "--raw", `docker://${url}`);
  const digest = `sha256:${new Bun.CryptoHasher("sha256").update(raw).digest("hex")}`;
  const { mediaType } = JSON.parse(raw);
  const programs = older ? { on_openat: "tracepoint" } : PROGRAMS;
  // Older images say nothing of maps: the object does.
  const maps = older ? { ...MAPS, packets_of_all: "array" } : MAPS;
  expect(pulled).toEqual({ reference: url, digest, media_type: mediaType, programs, maps });

  const words = ["-i", url, "-p", "never", "--programs", "tracepoint:on_openat", "-a", "opens"];
  const loaded = await bpfman.json<LoadAnswer>("load", "image", ...words);
  const id = idOf(loaded.programs, "on_openat");
  expect(loaded.programs[0]?.record?.load).toMatchObject({
    source_path: null,
    image_source: { url, digest, pull_policy: "Never" },
  });
  const copy = loaded.programs[0]?.record?.load.object_path ?? "";
  expect(readFileSync(copy).equals(readFileSync(OBJECT))).toBe(true);

  const map = mapOf(loaded.programs, "counters");
  await bpfman.attach(id, "tracepoint", "--tracepoint", "syscalls/sys_enter_openat");
  const before = counters(map)[OPENS] ?? 0;
  openFiles(10);
  expect((counters(map)[OPENS] ?? 0) - before).toBeGreaterThanOrEqual(10);

  const shown = await bpfman.ok("get", "program", String(id));
  expect(shown).toMatch(new RegExp(`Image URL: +${url}`));
  expect(shown).toMatch(/Pull Policy: +Never/);
  expect(shown).not.toMatch(/^ Path:/m);
  await bpfman.ok("unload", String(id));
});

test("zstd and raw layers are what they are called here", async () => {
  const layers = async (image: string) =>
    JSON.parse(await tools.skopeo("inspect", "--raw", `docker://${at(image)}`)).layers;
  expect((await layers("copy:zstd"))[0].mediaType).toEndWith("tar+zstd");
  expect((await layers("copy:raw"))[0].mediaType).toEndWith(".tar");
  expect((await layers("copy:v2s2"))[0].mediaType).toEndWith("tar.gzip");
});

describe("inspect", () => {
  test("an image", async () => {
    const answer = await bpfman.json<ImageInspectAnswer>("image", "inspect", at("buildah:oci"));
    expect(Object.keys(answer)).toEqual(["reference", "digest", "media_type", "programs", "maps", "layers"]);
    expect(answer).toMatchObject({ programs: PROGRAMS, maps: MAPS });
    if (!("layers" in answer)) throw new Error("an index");
    expect(answer.layers).toHaveLength(1);
  });

  test.each(["list:oci", "list:v2s2"])("an index (%s), with what is behind it", async (image) => {
    const answer = await bpfman.json<ImageInspectAnswer>("image", "inspect", at(image));
    expect(Object.keys(answer)).toEqual(["reference", "digest", "media_type", "manifests"]);
    if (!("manifests" in answer)) throw new Error("no index");
    const [first] = answer.manifests;
    const keys = ["digest", "media_type", "size", "platform", "programs", "maps", "layers"];
    expect(Object.keys(first ?? {})).toEqual(keys);
    const platform = (architecture: string) => `linux/${architecture}`;
    expect(answer.manifests.map((entry) => entry.platform)).toEqual([platform(hostArchitecture()), platform(OTHER)]);
    for (const entry of answer.manifests) expect(entry).toMatchObject({ programs: PROGRAMS, maps: MAPS });
    const shown = await bpfman.ok("image", "inspect", at(image), "-o", "text");
    expect(shown).toContain(`linux/${OTHER}`);
    expect(shown).toContain("on_openat (tracepoint)");
  });
});

describe("what cannot be", () => {
  test("another architecture: the error lists those there are", async () => {
    const error = await bpfman.refused(1, "IMAGE_PLATFORM_MISSING", "image", "pull", "-i", at("other:1"));
    expect(error.message).toBe(`pull ${at("other:1")}: it has nothing for linux/${hostArchitecture()}`);
    expect(error.hint).toBe(`it has linux/${OTHER}`);
  });

  test("a tag, an image that is not there", async () => {
    for (const image of ["buildah:none", "none:1"]) {
      const error = await bpfman.refused(3, "IMAGE_NOT_FOUND", "image", "pull", "-i", at(image));
      expect(error.message).toContain("no such image or tag");
      await bpfman.refused(1, "IMAGE_NOT_FOUND", "image", "inspect", at(image));
    }
  });

  test("a program that the labels or the object do not have", async () => {
    const load = (image: string, program: string) => ["load", "image", "-i", at(image), "--programs", program];
    const error = await bpfman.refused(1, "PROGRAM_NOT_IN_IMAGE", ...load("buildah:oci", "tc:drop"));
    expect(error.hint).toContain("the image has: count, on_openat");
    await bpfman.refused(1, "PROGRAM_NOT_IN_IMAGE", ...load("older:1", "tracepoint:opens"));
    await bpfman.refused(1, "PROGRAM_TYPE_MISMATCH", ...load("buildah:oci", "xdp:count"));
    expect(await bpfman.programs()).toEqual([]);
  });

  test("an image that contains no object file", async () => {
    tools.write("empty", "FROM scratch\nCOPY Containerfile /\n");
    await tools.buildah(
      "bud",
      "-t",
      at("empty:1"),
      "--isolation",
      "chroot",
      "-f",
      `${tools.directory}/empty`,
      tools.directory,
    );
    await tools.buildah("push", at("empty:1"));
    const error = await bpfman.refused(1, "INVALID_IMAGE", "image", "pull", "-i", at("empty:1"));
    expect(error.message).toContain("contains no object file");
  });
});
