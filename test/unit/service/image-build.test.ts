import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import type { ImageBuildAnswer } from "../../../src/domain/image-answer.ts";
import type { ContainerBuild, ImageBuildHost, PlatformObject } from "../../../src/platform/image-build.ts";
import { createInvoke } from "../../../src/service/invoke.ts";
import { labelsOf } from "../../../src/service/image/build-plan.ts";
import { readObject } from "../../../src/object/object-file.ts";
import { compileBpf } from "../../objects/compile.ts";
import { failureOfAsync } from "../../expect/failure.ts";
import { FakeFiles, makeTestBed } from "../../fakes/fake-host.ts";
import { serviceObject } from "../../objects/service-object.ts";

const PASS = `struct { __uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH); __uint(max_entries, 4); __type(key, __u32);
  __type(value, __u64); } counts SEC(".maps");
SEC("xdp") int pass(void *ctx) { __u32 key = 0; return bpf_map_lookup_elem(&counts, &key) ? 1 : 2; }`;
const little = () => compileBpf(PASS, ["-target", "bpfel"]);
const big = () => compileBpf(PASS, ["-target", "bpfeb"]);

const REFERENCE = "example.com/acme/counter:v1";
const DIGEST = `sha256:${"1".repeat(64)}`;
const LABELS = { programs: { pass: "xdp" }, maps: { counts: "lru_per_cpu_hash" } };

const files = new FakeFiles();
let published: { reference: string; objects: readonly PlatformObject[] }[] = [];
let built: { tool: string; build: ContainerBuild }[] = [];
let warnings: string[] = [];

const host: ImageBuildHost = {
  files,
  architecture: "riscv64",
  publisher: {
    target: () => ({ repository: "example.com/acme/counter", reference: REFERENCE }),
    async publish(reference, objects) {
      published.push({ reference, objects });
      return DIGEST;
    },
  },
  containers: {
    choose: async (wanted) => wanted ?? "docker",
    async buildAndPush(tool, build) {
      built.push({ tool, build });
      return DIGEST;
    },
  },
};

const bed = makeTestBed();
afterAll(() => bed.close());
const log = { ...bed.runtime.log, warn: (message: string) => void warnings.push(message) };
const invoke = createInvoke({ ...bed.runtime, log, capabilities: () => [], openBuild: async () => host });
const build = (request: object): Promise<ImageBuildAnswer> =>
  invoke("image/build", { tag: "acme/counter:v1", ...request });

beforeEach(() => {
  published = [];
  built = [];
  warnings = [];
  files.contents.clear();
  files.contents.set("x.o", little());
  files.contents.set("/elsewhere/x.o", little());
  files.contents.set("big.o", big());
  files.contents.set("/cwd/Containerfile", new TextEncoder().encode("FROM scratch\nARG BYTECODE_FILE\n"));
  files.contents.set(
    "/cwd/Multi",
    new TextEncoder().encode("ARG BC_AMD64_EL=none\n  arg BC_S390X_EB BC_ARM_EL\n# ARG BC_MIPS_EB\n"),
  );
});

test("labels name the programs that bpfman loads and the maps that are declared, keys sorted", () => {
  const labels = labelsOf(readObject(serviceObject()));
  expect(Object.entries(labels.programs)).toEqual([
    ["count", "tc"],
    ["count_more", "tc"],
    ["filter", "xdp"],
    ["on_call", "uprobe"],
    ["on_connect", "cgroup_sock_addr"],
    ["on_entry", "fentry"],
    ["on_openat", "tracepoint"],
    ["on_return", "uretprobe"],
    ["on_unlink", "kprobe"],
    ["on_unlinked", "kretprobe"],
    ["sock", "socket_filter"],
  ]);
  expect(Object.entries(labels.maps)).toEqual([
    ["counters", "array"],
    ["shared_counts", "hash"],
  ]);
});

describe("generate-build-args", () => {
  const generate = (bytecode: object) => invoke("image/generateBuildArgs", { bytecode });

  test("of one file", async () => {
    expect(await generate({ file: "x.o" })).toEqual({
      platforms: [],
      build_args: { BYTECODE_FILE: "x.o", PROGRAMS: '{"pass":"xdp"}', MAPS: '{"counts":"lru_per_cpu_hash"}' },
      ...LABELS,
    });
  });

  test("of several platforms, with the labels of the first", async () => {
    files.contents.set("other.o", compileBpf('SEC("tc") int other(void *ctx) { return 0; }', ["-target", "bpfeb"]));
    const answer = await generate({
      files: [
        { platform: "linux/amd64", file: "x.o" },
        { platform: "linux/s390x", file: "other.o" },
      ],
    });
    expect(answer.platforms).toEqual(["linux/amd64", "linux/s390x"]);
    expect(Object.keys(answer.build_args)).toEqual(["BC_AMD64_EL", "BC_S390X_EB", "PROGRAMS", "MAPS"]);
    expect(answer.build_args).toMatchObject({ BC_S390X_EB: "other.o", PROGRAMS: '{"pass":"xdp"}' });
    expect(warnings).toEqual([
      'the labels will not fit every platform: "other.o" has other programs than "x.o"',
      'the labels will not fit every platform: "other.o" has other maps than "x.o"',
    ]);
  });

  test("of a project directory", async () => {
    files.contents.set("p/bpf_s390_bpfeb.o", big());
    files.contents.set("p/bpf_x86_bpfel.o", little());
    const { build_args } = await generate({ project: "p" });
    expect(build_args).toMatchObject({ BC_AMD64_EL: "p/bpf_x86_bpfel.o", BC_S390X_EB: "p/bpf_s390_bpfeb.o" });
    expect(warnings).toEqual([]);
  });

  test.each([
    [{ file: "absent.o" }, "FILE_NOT_FOUND", 'open bytecode ELF: no file "absent.o"'],
    [
      { files: [{ platform: "linux/s390x", file: "x.o" }] },
      "INVALID_BUILD",
      'check "x.o" for linux/s390x: it is little-endian (ELFDATA2LSB), expected ELFDATA2MSB',
    ],
    [
      { files: [{ platform: "linux/arm64", file: "big.o" }] },
      "INVALID_BUILD",
      'check "big.o" for linux/arm64: it is big-endian (ELFDATA2MSB), expected ELFDATA2LSB',
    ],
    [{ file: "big.o" }, "INVALID_OBJECT", 'open bytecode ELF: cannot read object file "big.o": it is big-endian'],
    [
      { file: "text.o" },
      "INVALID_OBJECT",
      'open bytecode ELF: cannot read object file "text.o": it is not an ELF file',
    ],
    [{ file: "socket.o" }, "INVALID_BUILD", 'check "socket.o": it has no program of a type that bpfman loads'],
  ])("rejects %j", async (bytecode, code, message) => {
    files.contents.set("text.o", new TextEncoder().encode("int main() {}"));
    files.contents.set("socket.o", compileBpf('SEC("odd") int sock(void *ctx) { return 0; }'));
    const error = await failureOfAsync(() => generate(bytecode));
    expect(error.code as string).toBe(code);
    expect(error.message).toStartWith(message);
  });

  test.each([
    [{}, "bytecode"],
    [{ file: "x.o", project: "p" }, "bytecode"],
    [{ files: [] }, "bytecode.files"],
    [{ files: [{ platform: "linux/sparc", file: "x.o" }] }, "bytecode.files.0.platform"],
    [{ file: "a\0b" }, "bytecode.file"],
  ])("does not understand %j", async (bytecode, field) => {
    const error = await failureOfAsync(() => generate(bytecode));
    expect(error).toMatchObject({ code: "INVALID_REQUEST", details: { field } });
  });
});

describe("without a container file", () => {
  test("one object is published for this machine's platform", async () => {
    expect(await build({ bytecode: { file: "/elsewhere/x.o" } })).toEqual({
      reference: REFERENCE,
      published: `example.com/acme/counter@${DIGEST}`,
      digest: DIGEST,
      runtime: null,
      platforms: [],
      ...LABELS,
    });
    const objects = [{ architecture: "riscv64", fileName: "x.o", bytes: little(), labels: LABELS }];
    expect(published).toEqual([{ reference: REFERENCE, objects }]);
  });

  test("each platform has the labels of its own object", async () => {
    files.contents.set("other.o", compileBpf('SEC("tc") int other(void *ctx) { return 0; }', ["-target", "bpfeb"]));
    const sources = [
      { platform: "linux/amd64", file: "x.o" },
      { platform: "linux/s390x", file: "other.o" },
    ];
    await build({ bytecode: { files: sources } });
    expect(published[0]?.objects.map(({ architecture, labels }) => [architecture, labels])).toEqual([
      ["amd64", LABELS],
      ["s390x", { programs: { other: "tc" }, maps: {} }],
    ]);
    expect(warnings).toEqual([]);
  });

  test("no container tool can be chosen", async () => {
    const error = await failureOfAsync(() => build({ bytecode: { file: "x.o" }, runtime: "podman" }));
    expect(error).toMatchObject({ code: "INVALID_BUILD", details: {} });
    expect(published).toEqual([]);
  });
});

describe("with a container file", () => {
  test("the tool gets absolute paths, and those of objects as the build context sees them", async () => {
    files.contents.set("./sub/x.o", little());
    const answer = await build({ bytecode: { file: "./sub/x.o" }, containerFile: "Containerfile" });
    expect(answer).toMatchObject({ runtime: "docker", published: `example.com/acme/counter@${DIGEST}` });
    const buildArgs = { BYTECODE_FILE: "sub/x.o", PROGRAMS: '{"pass":"xdp"}', MAPS: '{"counts":"lru_per_cpu_hash"}' };
    const context = { containerFile: "/cwd/Containerfile", contextDirectory: "/cwd" };
    expect(built).toEqual([{ tool: "docker", build: { tag: REFERENCE, ...context, platforms: [], buildArgs } }]);
  });

  test("for several platforms, in a context of its own", async () => {
    const request = {
      bytecode: { files: [{ platform: "linux/amd64", file: "/elsewhere/x.o" }] },
      containerFile: "Multi",
      contextDirectory: "/elsewhere",
      runtime: "podman",
    };
    await build(request);
    expect(built[0]).toMatchObject({
      tool: "podman",
      build: { platforms: ["linux/amd64"], contextDirectory: "/elsewhere", buildArgs: { BC_AMD64_EL: "x.o" } },
    });
  });

  test("objects outside of the context are rejected", async () => {
    const error = await failureOfAsync(() =>
      build({ bytecode: { file: "/elsewhere/x.o" }, containerFile: "Containerfile" }),
    );
    expect(error).toMatchObject({
      code: "INVALID_BUILD",
      message: 'copy "/elsewhere/x.o" into the image: it is outside the build context "/cwd"',
    });
    expect(built).toEqual([]);
  });

  test("one that does not declare the objects' arguments is rejected, since it would copy something else", async () => {
    const files = [
      { platform: "linux/amd64", file: "x.o" },
      { platform: "linux/s390x", file: "big.o" },
      { platform: "linux/mips", file: "big.o" },
    ];
    const error = await failureOfAsync(() => build({ bytecode: { files }, containerFile: "Multi" }));
    expect(error).toMatchObject({
      code: "INVALID_BUILD",
      message: 'build from "/cwd/Multi": it declares no ARG BC_MIPS_EB',
    });
    expect(built).toEqual([]);
  });

  test("one that is not there is said before anything runs", async () => {
    const error = await failureOfAsync(() => build({ bytecode: { file: "x.o" }, containerFile: "absent" }));
    expect(error.code).toBe("FILE_NOT_FOUND");
    expect(built).toEqual([]);
  });
});
