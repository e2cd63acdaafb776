/** The Containerfiles of examples/images, built by dist/bpfman with podman, and by hand with podman and buildah. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { mountsUnder } from "../../scripts/residue.ts";
import type { BuildArgsAnswer, ImageBuildAnswer } from "../../src/domain/image-answer.ts";
import { compileBpf } from "../objects/compile.ts";
import { FAKE_DIGEST, fakeTool } from "../fakes/container-tool.ts";
import { APART, containerStorage, output } from "../labs/container-storage.ts";
import { startRegistry, type TestRegistry } from "../servers/registry.ts";

const ROOT = resolve(import.meta.dir, "../..");
const BPFMAN = join(ROOT, "dist/bpfman");
const SINGLE = join(ROOT, "examples/images/Containerfile.bytecode");
const MULTI = join(ROOT, "examples/images/Containerfile.bytecode.multi.arch");
const SOURCE = 'SEC("xdp") int pass(void *ctx) { return 2; } SEC("tc") int other(void *ctx) { return 0; }';
const LABELS = { "io.ebpf.maps": "{}", "io.ebpf.programs": '{"other":"tc","pass":"xdp"}' };

let directory = "";
let registry: TestRegistry;
let env: Readonly<Record<string, string>> = {};

beforeAll(async () => {
  directory = realpathSync(mkdtempSync(join(tmpdir(), "bpfman-containerfile-")));
  registry = await startRegistry();
  env = containerStorage(join(directory, "containers"), [registry.host]);
  mkdirSync(join(directory, "objects"));
  writeFileSync(join(directory, "objects/little x86.o"), compileBpf(SOURCE, ["-target", "bpfel"]));
  writeFileSync(join(directory, "objects/big.o"), compileBpf(SOURCE, ["-target", "bpfeb"]));
  writeFileSync(join(directory, "secret"), "not for the image");
});
afterAll(async () => {
  await registry?.close();
  expect(mountsUnder(directory)).toEqual([]);
  rmSync(directory, { recursive: true, force: true });
});

interface Run {
  readonly words: readonly string[];
  readonly path?: string;
}

async function bpfman({ words, path }: Run) {
  const child = Bun.spawn([...APART, BPFMAN, ...words], {
    cwd: directory,
    env: { ...env, PATH: path ?? env.PATH ?? "" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [out, error, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { out, error, code };
}

const OBJECTS = ["--bc-amd64-el", "objects/little x86.o", "--bc-s390x-eb", "objects/big.o"];
const podman = (...words: readonly string[]) => output(["podman", ...words], env);

async function build(
  name: string,
  ...words: readonly string[]
): Promise<ImageBuildAnswer & { readonly shown: string }> {
  const tag = ["-t", `${registry.host}/${name}`];
  const { out, error, code } = await bpfman({
    words: ["image", "build", "-o", "json", "-r", "podman", ...tag, ...words],
  });
  if (code !== 0) throw new Error(error);
  return { ...JSON.parse(out), shown: error };
}

/** What the registry has for one platform: labels, platform and the names of all files. */
async function published(name: string, architecture = "amd64") {
  const registryName = `docker://${registry.host}/${name}`;
  const words = ["skopeo", "--override-arch", architecture, "inspect", "--tls-verify=false"];
  const { Labels, Architecture, Layers } = JSON.parse(await output([...words, registryName], env));
  const files: string[] = [];
  for (const layer of Layers) {
    const answer = await fetch(`http://${registry.host}/v2/${name.split(/[:@]/)[0]}/blobs/${layer}`);
    const archive = join(directory, "layer");
    writeFileSync(archive, await answer.bytes());
    files.push(...(await output(["tar", "-tzf", archive], { PATH: env.PATH ?? "" })).split("\n").slice(0, -1));
  }
  return { labels: Labels, architecture: Architecture, files };
}

describe("podman, called by bpfman", () => {
  test("builds and pushes one image; what it says is shown", async () => {
    const {
      digest,
      runtime,
      shown,
      published: name,
    } = await build("single:v1", "-f", SINGLE, "-b", "objects/little x86.o");
    expect([runtime, name]).toEqual(["podman", `${registry.host}/single@${digest}`]);
    expect(shown).toContain("STEP 7/7: COPY");
    const image = await published(`single@${digest}`);
    expect(image).toMatchObject({ labels: LABELS, files: ["little x86.o"] });
  });

  test("builds and pushes an index, also a second time and under the tag of an image, and leaves no list", async () => {
    await build("multi:v1", "-f", SINGLE, "-b", "objects/little x86.o");
    for (const _ of ["once", "again"]) {
      const { digest } = await build("multi:v1", "-f", MULTI, ...OBJECTS);
      for (const [architecture, file] of [
        ["amd64", "little x86.o"],
        ["s390x", "big.o"],
      ] as const) {
        const image = await published(`multi@${digest}`, architecture);
        expect(image).toMatchObject({ labels: LABELS, architecture, files: [file] });
      }
    }
    expect(await podman("images", "--format", "{{.Repository}}")).not.toContain("bpfman-build");
  });

  test("that cannot push says why, with its exit status", async () => {
    const words = ["image", "build", "-r", "podman", "-t", "127.0.0.1:1/a:v1", "-f", SINGLE, "-b", "objects/big.o"];
    const endian = await bpfman({ words });
    expect([endian.code, endian.out]).toEqual([1, ""]);
    expect(endian.error).toStartWith('error: open bytecode ELF: cannot read object file "objects/big.o": it is');
    const refused = await bpfman({ words: [...words.slice(0, -1), "objects/little x86.o"] });
    expect([refused.code, refused.out]).toEqual([1, ""]);
    expect(refused.error).toMatch(/^error: podman push ended with exit status 125: Error: .*127\.0\.0\.1:1/m);
  });

  test("never gets a Containerfile that would copy the whole context", async () => {
    const { code, error } = await bpfman({ words: ["image", "build", "-t", "a", "-f", SINGLE, ...OBJECTS] });
    expect([code, error]).toEqual([1, expect.stringContaining("it declares no ARG BC_AMD64_EL, ARG BC_S390X_EB\n")]);
  });
});

describe("by hand, with what generate-build-args prints", () => {
  async function buildArgs(...words: readonly string[]): Promise<string[]> {
    const { out } = await bpfman({ words: ["image", "generate-build-args", ...words] });
    return out
      .trimEnd()
      .split("\n")
      .flatMap((line) => ["--build-arg", line]);
  }

  test.each(["podman", "buildah"])("%s builds one image", async (tool) => {
    const args = await buildArgs("-b", "objects/little x86.o");
    await output([tool, "build", "-q", "-t", `${registry.host}/hand:${tool}`, "-f", SINGLE, ...args, directory], env);
    await output([tool, "push", "-q", `${registry.host}/hand:${tool}`], env);
    expect(await published(`hand:${tool}`)).toMatchObject({ labels: LABELS, files: ["little x86.o"] });
  });

  test.each(["podman", "buildah"])("%s builds for two platforms", async (tool) => {
    const args = await buildArgs(...OBJECTS);
    const platforms = ["--platform", "linux/amd64,linux/s390x", "-f", MULTI, ...args, directory];
    const list = `hands-${tool}`;
    await output([tool, "build", "-q", "--manifest", list, ...platforms], env);
    const destination = `docker://${registry.host}/hands:${tool}`;
    await output([tool, "manifest", "push", "--tls-verify=false", "--all", list, destination], env);
    expect(await published(`hands:${tool}`, "s390x")).toMatchObject({ labels: LABELS, files: ["big.o"] });
  });

  test("podman refuses to build without them, instead of copying the whole context", async () => {
    const child = Bun.spawn([...APART, "podman", "build", "-f", SINGLE, directory], {
      env,
      stdio: ["ignore", "ignore", "pipe"],
    });
    const [error, code] = await Promise.all([child.stderr.text(), child.exited]);
    expect(code).not.toBe(0);
    expect(error).toContain("BYTECODE_FILE-was-not-given");
  });

  test("as JSON", async () => {
    const { out } = await bpfman({ words: ["image", "generate-build-args", "-o", "json", ...OBJECTS] });
    const answer: BuildArgsAnswer = JSON.parse(out);
    expect(Object.keys(answer)).toEqual(["platforms", "build_args", "programs", "maps"]);
    expect(answer).toEqual({
      platforms: ["linux/amd64", "linux/s390x"],
      build_args: {
        BC_AMD64_EL: "objects/little x86.o",
        BC_S390X_EB: "objects/big.o",
        PROGRAMS: '{"other":"tc","pass":"xdp"}',
        MAPS: "{}",
      },
      programs: { other: "tc", pass: "xdp" },
      maps: {},
    });
  });
});

test("docker is preferred where its buildx works, and gets everything as one argument each", async () => {
  const place = mkdtempSync(join(directory, "docker-"));
  const docker = fakeTool(place, "docker", "echo 'building \u001b[31mred'");
  const path = `${docker.bin}:${env.PATH}`;
  const words = ["image", "build", "-t", "acme/counter", "-f", MULTI, ...OBJECTS];
  const { out, error, code } = await bpfman({ words, path });
  expect([code, out]).toEqual([0, `published: docker.io/acme/counter@${FAKE_DIGEST}\n`]);
  expect(error).toBe("building \\x1b[31mred\n");
  const [version, build] = docker.calls();
  expect(version).toEqual(["buildx", "version"]);
  expect(build?.slice(0, 5)).toEqual(["buildx", "build", "--push", "--progress", "plain"]);
  expect(build).toContain("BC_AMD64_EL=objects/little x86.o");
  expect(build).toContain("docker.io/acme/counter:latest");
  expect(build?.at(-1)).toBe(directory);
});

test("an interrupted build ends the tool, and says so", async () => {
  const place = mkdtempSync(join(directory, "slow-"));
  const slow = fakeTool(place, "podman", `echo begun; exec sleep 1000`);
  const words = ["image", "build", "-r", "podman", "-t", "acme/counter", "-f", SINGLE, "-b", "objects/little x86.o"];
  const child = Bun.spawn([...APART, BPFMAN, ...words], {
    cwd: directory,
    env: { ...env, PATH: `${slow.bin}:${env.PATH}` },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let error = "";
  for await (const chunk of child.stderr) {
    error += new TextDecoder().decode(chunk);
    if (error === "begun\n") child.kill("SIGINT");
  }
  expect(await child.exited).toBe(130);
  expect(error).toContain("error: interrupted while the container tool ran");
  expect(readdirSync(env.TMPDIR ?? "").filter((name) => name.startsWith("bpfman-build-"))).toEqual([]);
});
