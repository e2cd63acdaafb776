/** Scripts about images in both grammars, against a registry that requires a login. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import type { LoadAnswer, ProgramAnswer } from "../../src/domain/answer.ts";
import type {
  BuildArgsAnswer,
  ImageBuildAnswer,
  ImageInspectAnswer,
  ImagePullAnswer,
} from "../../src/domain/image-answer.ts";
import { compileBpf } from "../objects/compile.ts";
import { BPFMAN, executable } from "../labs/executable.ts";
import { AUTH, startRegistry, type TestRegistry } from "../servers/registry.ts";

const SOURCE = `struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32);
  __type(value, __u64); } counts SEC(".maps");
const volatile __u32 LIMIT = 1;
static __attribute__((always_inline)) int look(void) { __u32 key = 0; return LIMIT && bpf_map_lookup_elem(&counts, &key); }
SEC("xdp") int pass(void *ctx) { return look() ? 2 : 1; }
SEC("tracepoint/syscalls/sys_enter_getpgid") int seen(void *ctx) { return look(); }`;
const PROGRAMS = { pass: "xdp", seen: "tracepoint" };
const MAPS = { counts: "array" };
const LABELS = [`PROGRAMS=${JSON.stringify(PROGRAMS)}`, `MAPS=${JSON.stringify(MAPS)}`];
const DIGEST = /^sha256:[0-9a-f]{64}$/;

const bpfman = executable();
let registry: TestRegistry;
beforeAll(async () => {
  registry = await startRegistry({ login: "basic" });
}, 60_000);
afterAll(() => registry?.close());

test.each(["classic", "nouns"])(
  "%s runs unchanged",
  async (grammar) => {
    const path = (name: string) => bpfman.path(name);
    for (const name of ["answers", "bin", "project", "mixed"]) mkdirSync(path(name));
    symlinkSync(BPFMAN, path("bin/bpfman"));
    writeFileSync(path("auth.json"), JSON.stringify({ auths: { [registry.host]: { auth: AUTH } } }));
    const [little, big] = ["bpfel", "bpfeb"].map((target) => compileBpf(SOURCE, ["-target", target]));
    for (const directory of ["project", "mixed"])
      writeFileSync(path(`${directory}/bpf_x86_bpfel.o`), little as Uint8Array);
    writeFileSync(path("project/bpf_s390_bpfeb.o"), big as Uint8Array);
    writeFileSync(path("mixed/bpf_future_bpfel.o"), little as Uint8Array);

    const script = resolve(import.meta.dir, `../fixtures/scripts/${grammar}-images.sh`);
    const child = Bun.spawn(["bash", script], {
      env: {
        PATH: `${path("bin")}:${process.env.PATH}`,
        BPFMAN_RUNTIME_DIR: bpfman.runtimeDir,
        BPFMAN_LOG: "error",
        ANSWERS: path("answers"),
        REGISTRY: registry.host,
        REGISTRY_AUTH_FILE: path("auth.json"),
        AUTH,
        LITTLE: path("project/bpf_x86_bpfel.o"),
        BIG: path("project/bpf_s390_bpfeb.o"),
        PROJECT: path("project"),
        MIXED: path("mixed"),
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const [, error, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    expect({ code, error }).toEqual({ code: 0, error: "" });
    const text = (name: string): string => readFileSync(path(`answers/${name}`), "utf8");
    const json = <T>(name: string): T => JSON.parse(text(`${name}.json`));

    // What it would be built from.
    expect(text("build-args.txt")).toBe(`BYTECODE_FILE=${path("project/bpf_x86_bpfel.o")}\n${LABELS.join("\n")}\n`);
    expect(Object.keys(json("build-args"))).toEqual(["platforms", "build_args", "programs", "maps"]);
    expect(json<BuildArgsAnswer>("build-args")).toMatchObject({ platforms: [], programs: PROGRAMS, maps: MAPS });
    expect(json<BuildArgsAnswer>("build-args-two")).toMatchObject({
      platforms: ["linux/amd64", "linux/s390x"],
      build_args: { BC_AMD64_EL: path("project/bpf_x86_bpfel.o"), BC_S390X_EB: path("project/bpf_s390_bpfeb.o") },
    });
    expect(text("build-args-project.txt").split("\n").slice(2)).toEqual([...LABELS, ""]);

    // What was published.
    expect(text("one.txt")).toMatch(/^published: 127\.0\.0\.1:\d+\/one@sha256:[0-9a-f]{64}\n$/);
    expect(text("two.txt")).toMatch(/^published: 127\.0\.0\.1:\d+\/two@sha256:[0-9a-f]{64}\n$/);
    expect(json<ImageBuildAnswer>("three").platforms).toEqual(["linux/amd64", "linux/s390x"]);
    if (grammar === "nouns") {
      const layers = [
        { media_type: expect.any(String), digest: expect.stringMatching(DIGEST), size: expect.any(Number) },
      ];
      const image = { digest: expect.stringMatching(DIGEST), media_type: expect.any(String) };
      const content = { programs: PROGRAMS, maps: MAPS, layers };
      expect(json<ImageInspectAnswer>("inspect-one")).toEqual({
        reference: `${registry.host}/one:v1`,
        ...image,
        ...content,
      });
      expect(json<ImageInspectAnswer>("inspect-two")).toEqual({
        reference: `${registry.host}/two:v1`,
        ...image,
        manifests: ["linux/amd64", "linux/s390x"].map((platform) => ({
          ...image,
          size: expect.any(Number),
          platform,
          ...content,
        })),
      });
    } else {
      const { programs, maps, digest } = json<ImagePullAnswer>("pulled");
      expect({ programs, maps, digest }).toEqual({
        programs: PROGRAMS,
        maps: MAPS,
        digest: text("one.txt").trim().split("@")[1] as string,
      });
    }

    // What was loaded.
    const [first] = json<LoadAnswer>("load").programs;
    const application = grammar === "nouns" ? "bpfman.io/application" : "bpfman_application";
    expect(first?.record).toMatchObject({
      load: {
        program_name: "pass",
        global_data: { LIMIT: "BwAAAA==" },
        image_source: { url: `${registry.host}/one:v1`, digest: expect.stringMatching(DIGEST), pull_policy: "Always" },
      },
      meta: { metadata: { owner: "me", [application]: "shop" } },
    });
    expect(json<ProgramAnswer>("second").record?.handles.map_owner_id).toBe(first?.record?.program_id as number);

    const words: [name: string, words: string][] = [
      ["no-login", "credentials"],
      ["no-file", "open bytecode ELF"],
      ["no-elf", "open bytecode ELF"],
      ["wrong-order", "expected ELFDATA2MSB"],
      ["no-platform", "unrecognised cilium/ebpf bytecode file"],
      ["no-image", "no such image"],
    ];
    if (grammar === "nouns") {
      for (const name of ["unsigned", "no-signer", "no-signers"]) words.push([name, "it has no signature"]);
    }
    for (const [name, wanted] of words) {
      // Nothing in the line without a platform says which grammar it is of.
      const prefix = grammar === "nouns" ? "bpfman: error: " : "error: ";
      if (name !== "no-platform") expect(text(`${name}.err`)).toStartWith(prefix);
      expect(text(`${name}.err`)).toContain(wanted);
    }
  },
  120_000,
);
