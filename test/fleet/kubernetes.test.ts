/**
 * examples/kubernetes and docs/howto/kubernetes.md: kustomize renders the manifests, Go's types of Kubernetes and of the
 * operator take every field, and the sample application runs on a node, where a volume shows its map.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import { Node as CsiNode } from "../../src/grpc/generated/csi.ts";
import { blocksOf } from "../documents/document.ts";
import { GrpcClient } from "../labs/grpc-client.ts";
import { temporaryDirectory } from "../labs/temporary-directory.ts";
import { BUILD_LIMIT_MS, goProgram, missingProgram, operatorDirectory } from "./go-program.ts";
import { fleetNode } from "./node-lab.ts";

buildBpf();
const ROOT = resolve(import.meta.dir, "../..");
const EXAMPLES = join(ROOT, "examples/kubernetes");
const PAGE = "docs/howto/kubernetes.md";
const OBJECT = join(ROOT, "dist/bpf/examples/packet_counter.bpf.o");
const OPERATOR = "https://github.com/bpfman/bpfman-operator//config/default?ref=v0.6.0";
const PINGS = 4;

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  // biome-ignore lint/suspicious/noExplicitAny: a test of each field by Go's types is what follows.
  readonly spec: any;
}

const read = (name: string): string => readFileSync(join(EXAMPLES, name), "utf8");

/** The documents of a YAML file. */
function manifests(text: string): Manifest[] {
  const parsed = Bun.YAML.parse(text) as Manifest | Manifest[];
  return Array.isArray(parsed) ? parsed : [parsed];
}

function find(text: string, kind: string): Manifest {
  const found = manifests(text).find((each) => each.kind === kind);
  if (found === undefined) throw new Error(`there is no ${kind} in ${text}`);
  return found;
}

test("the page applies the directories that are there, and builds its images from their file", () => {
  const commands = blocksOf(PAGE)
    .filter(({ language }) => language === "sh")
    .map(({ text }) => text)
    .join("");
  const applied = [...commands.matchAll(/kubectl apply .*-k (\S+)/g)].map(([, directory]) => directory);
  expect(applied).toEqual(["examples/kubernetes/operator", "examples/kubernetes/counter"]);
  const images = [...commands.matchAll(/(?:-t |push )(registry\.example\.com\/\S+)/g)].map(([, image]) => image);
  const used = ["operator/kustomization.yaml", "counter/application.yaml", "counter/reader.yaml"].map(read).join("");
  for (const [image] of used.matchAll(/registry\.example\.com\/\S+/g)) expect(images).toContain(image);
});

const reason = missingProgram("kustomize") ?? missingProgram("decode") ?? missingProgram("bpfman-agent");
if (reason !== null) test.skip(`manifests and sample application (skipped: ${reason})`, () => {});

describe.skipIf(reason !== null)("manifests", () => {
  const directory = temporaryDirectory();
  let kustomize = "";
  let decode = "";
  beforeAll(() => {
    kustomize = goProgram("kustomize");
    decode = goProgram("decode");
  }, BUILD_LIMIT_MS);

  function run(command: readonly string[], stdin = "") {
    const result = Bun.spawnSync([...command], { stdin: Buffer.from(stdin), stdout: "pipe", stderr: "pipe" });
    return { code: result.exitCode, out: result.stdout.toString(), error: result.stderr.toString() };
  }

  function build(name: string): string {
    const { code, out, error } = run([kustomize, "build", directory.path(name)]);
    expect({ code, error }).toEqual({ code: 0, error: "" });
    return out;
  }

  /** Kind and name of each document, in the order of their kinds. */
  function decoded(text: string): string[] {
    const { code, out, error } = run([decode], text);
    expect({ code, error }).toEqual({ code: 0, error: "" });
    return out.trimEnd().split("\n").sort();
  }

  test("the operator's, with our image: the patch reaches what it is for", () => {
    cpSync(join(EXAMPLES, "operator"), directory.path("operator"), { recursive: true });
    // The same release, from Go's cache of modules, which kustomize may not be given as an absolute path.
    cpSync(join(operatorDirectory(), "config"), directory.path("config"), { recursive: true });
    expect(read("operator/kustomization.yaml")).toContain(OPERATOR);
    const local = read("operator/kustomization.yaml").replace(OPERATOR, "../config/default");
    writeFileSync(directory.path("operator/kustomization.yaml"), local);
    const rendered = build("operator");
    const kinds = decoded(rendered);
    expect(kinds).toContain("CustomResourceDefinition clusterbpfapplications.bpfman.io");
    expect(kinds.filter((each) => each.startsWith("Deployment "))).toEqual(["Deployment bpfman-operator"]);
    const [container, ...others] = find(rendered, "Deployment").spec.template.spec.containers;
    expect(others).toEqual([]);
    expect(container.image).toBe("quay.io/bpfman/bpfman-operator:v0.6.0");
    const env = Object.fromEntries(
      container.env.map(({ name, value }: { name: string; value: string }) => [name, value]),
    );
    expect(env).toMatchObject({
      BPFMAN_IMG: "registry.example.com/bpfman:0.1.0",
      BPFMAN_AGENT_IMG: "quay.io/bpfman/bpfman-agent:v0.6.0",
    });
  });

  test("the sample's; and a field that does not exist is refused", () => {
    cpSync(join(EXAMPLES, "counter"), directory.path("counter"), { recursive: true });
    const rendered = build("counter");
    expect(decoded(rendered)).toEqual([
      "BpfApplication pod-packet-counter",
      "ClusterBpfApplication packet-counter",
      expect.stringMatching(/^ConfigMap counter-reader-\w+$/),
      "DaemonSet counter-reader",
      "Namespace packet-counter",
    ]);
    const wrong = run([decode], rendered.replace("primaryNodeInterface", "primaryInterface"));
    expect(wrong).toMatchObject({ code: 1, error: expect.stringContaining('unknown field "spec.programs[0].tcx') });
  });

  test("every file of the directories is in them", () => {
    for (const name of ["counter", "operator"]) {
      const text = read(`${name}/kustomization.yaml`);
      const files = readdirSync(join(EXAMPLES, name)).filter((file) => file !== "kustomization.yaml");
      expect(files.filter((file) => !text.includes(file))).toEqual([]);
    }
  });
});

describe.skipIf(reason !== null)("the sample application", () => {
  const node = fleetNode();

  test("is loaded from its image, counts, and its map is seen through the reader's volume", async () => {
    await node.startRegistry();
    await node.startDaemon();
    await node.startAgent();
    const { metadata, spec } = find(read("counter/application.yaml"), "ClusterBpfApplication");
    const { url } = spec.byteCode.image;
    const here = url.replace("registry.example.com", "127.0.0.1:5000");
    node.bpfman("image", "build", "-t", here, "-b", OBJECT);
    await node.apply(metadata.name, { ...spec, byteCode: { image: { ...spec.byteCode.image, url: here } } });
    await node.reported(metadata.name, "Success");
    await node.quiet();

    const pod = find(read("counter/reader.yaml"), "DaemonSet").spec.template.spec;
    const [container] = pod.containers;
    const { csi } = pod.volumes.find((volume: { readonly name: string }) => volume.name === "maps");
    const pods = "/var/lib/kubelet/pods/4711/volumes/kubernetes.io~csi/maps";
    mkdirSync(node.path(pods), { recursive: true });
    const target = `${pods}/mount`;
    const client = new GrpcClient(node.path("/run/bpfman/csi/csi.sock"));
    const volume = { volumeId: "csi-4711", targetPath: target };
    try {
      const access = { accessType: { case: "mount", value: {} }, accessMode: { mode: 1 } } as const;
      const volumeContext = csi.volumeAttributes;
      await client.call(CsiNode.method.nodePublishVolume, { ...volume, volumeCapability: access, volumeContext });
      expect(node.sh("ls", target)).toMatch(/^counters$/m);

      // The reader's own command, once, with the volume where it mounts it, by root without any other capability.
      const [python, script, map] = container.command;
      const [only] = container.securityContext.capabilities.add;
      const words = [python, script.replace("/app", join(EXAMPLES, "counter")), map.replace("/maps", target)];
      const dump = (): number => {
        const printed = node.sh("setpriv", `--bounding-set=-all,+${only.toLowerCase()}`, ...words);
        return Number(/^packets=(\d+) bytes=\d+ openat=\d+$/m.exec(printed)?.[1]);
      };
      const before = dump();
      expect(node.cable.ping(PINGS)).toBe(PINGS);
      expect(dump()).toBeGreaterThanOrEqual(before + PINGS);
      // What the page has readers look at.
      expect(node.bpfman("list", "programs")).toContain("count_packets");
      await client.call(CsiNode.method.nodeUnpublishVolume, volume);
      expect(node.sh("ls", pods)).toBe("");
    } finally {
      client.session.destroy();
    }
    await node.delete(metadata.name);
  });
});
