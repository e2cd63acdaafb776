/** The image: docs/howto/containers.md, run with podman as written, in mounts and a network of its own. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import { blocksOf } from "../documents/document.ts";
import { run as runHere } from "../../scripts/vm/run.ts";
import type { DaemonAnswer } from "../labs/ask-daemon.ts";
import { packageNamed } from "../labs/packages.ts";

buildBpf();
const ROOT = resolve(import.meta.dir, "../..");
const IMAGE = packageNamed("-image.tar");
const COMMANDS = blocksOf("docs/howto/containers.md")
  .filter(({ attributes }) => attributes["run-by"] === "test/packages/image.test.ts")
  .map(({ text }) => text)
  .join("");
let directory = "";

/**
 * Directories of the host that podman and bpfman use are ours here. Where cgroups are of both versions, crun refuses to run
 * anything, and without CAP_SYS_RESOURCE it may not raise limits: then the container gets the second version, whose
 * controllers it cannot have, so no cgroup of its own, and so not the host's PIDs, which podman refuses without one.
 */
const AROUND = `
  set -euo pipefail
  for each in /run /var/lib /etc/containers; do mkdir -p "$each"; mount -t tmpfs tmpfs "$each"; done
  echo '{"default":[{"type":"insecureAcceptAnything"}]}' >/etc/containers/policy.json
  echo 'unqualified-search-registries = []' >/etc/containers/registries.conf
  ip link set lo up
  if [ -d /sys/fs/cgroup/unified ]; then
    umount -lR /sys/fs/cgroup
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    without="--cgroups=disabled --ulimit=nofile=$(ulimit -Hn):$(ulimit -Hn) --ulimit=nproc=1000:1000"
  fi
  podman() {
    local words=() verb=$1 options=
    for word in "\${@:2}"; do [ -n "\${without-}" ] && [ "$word" = --pid=host ] || words+=("$word"); done
    [ "$verb" != run ] || options=\${without-}
    command podman --root "$STORE/graph" --runroot "$STORE/run" --storage-driver vfs --cgroup-manager=cgroupfs \\
      --events-backend=none "$verb" $options "\${words[@]}"
  }
  cd "$STORE"
`;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "i-"));
  mkdirSync(join(directory, "run"));
  copyFileSync(IMAGE, join(directory, basename(IMAGE)));
  copyFileSync(join(ROOT, "dist/bpf/examples/packet_counter.bpf.o"), join(directory, "packet_counter.bpf.o"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function run(commands: string) {
  writeFileSync(join(directory, "script.sh"), `${AROUND}${commands}`);
  const words = ["unshare", "--mount", "--propagation=private", "--net", "bash", join(directory, "script.sh")];
  const env = { PATH: process.env.PATH ?? "", HOME: directory, STORE: directory, TMPDIR: directory };
  const result = Bun.spawnSync(words, { env, stderr: "pipe" });
  return { code: result.exitCode, out: result.stdout.toString(), error: result.stderr.toString() };
}

test("it lists each processor's image in the same order, whichever buildah made first", () => {
  const read = (path: string) => JSON.parse(runHere(["tar", "-xOf", IMAGE, `./${path}`]));
  const [list] = read("index.json").manifests;
  const { manifests } = read(`blobs/${list.digest.replace(":", "/")}`);
  expect(manifests.map(({ platform }: { platform: object }) => platform)).toEqual([
    { architecture: "amd64", os: "linux" },
    { architecture: "arm64", os: "linux" },
  ]);
});

test("what it attaches stays, counts, and is found by a bpfman on the host", () => {
  const host = join(ROOT, "dist/bpfman");
  const after = `
    ping -q -c 2 127.0.0.1 >/dev/null
    echo "counted $(${host} map lookup demo/counters 0)"
    ${host} program delete --all
  `;
  const { code, out, error } = run(`${COMMANDS}${after}`);
  expect({ code, error, out }).toMatchObject({ code: 0 });
  expect(out).toMatch(/Program ID .*\n \d+ .*demo .*tcx .*count_packets/);
  expect(Number(/^counted (\d+)$/m.exec(out)?.[1])).toBeGreaterThanOrEqual(4);
}, 600_000);

test("without privileges it says which one is missing, and still answers what needs none", () => {
  const { code, out, error } = run(`
    podman pull -q oci-archive:${IMAGE}
    podman run --rm --network=host bpfman version
    podman run --rm --network=host bpfman list programs
  `);
  expect({ out, error }).toMatchObject({ out: expect.stringContaining("\nbpfman ") });
  expect([code, error]).toEqual([4, expect.stringContaining("CAP_BPF")]);
}, 600_000);

test("as bpfman-operator starts it, it serves the agent and the kubelet, and knows what others have attached", () => {
  // What its DaemonSet passes, and what its command line has of the node.
  const sockets = '"$STORE/sock/bpfman.sock" /counter.o /run/bpfman/csi/csi.sock';
  const asked = `${process.execPath} ${join(ROOT, "test/labs/ask-daemon.ts")} ${sockets}`;
  const { code, out, error } = run(`
    podman pull -q oci-archive:${IMAGE} >/dev/null
    mkdir -p /run/bpfman "$STORE/sock"
    mount --bind /run/bpfman /run/bpfman && mount --make-shared /run/bpfman
    node="--privileged --network=host --pid=host -e BPFMAN_RUNTIME_DIR=/run/bpfman -v /run/bpfman:/run/bpfman:rshared"
    node="$node -v $PWD/packet_counter.bpf.o:/counter.o:ro"
    trap 'podman kill --all >/dev/null' EXIT
    podman run --rm --name=daemon $node -v "$STORE/sock:/run/bpfman-sock" bpfman --csi-support &
    serving=$!
    until [ -S /run/bpfman/csi/csi.sock ]; do kill -0 $serving; sleep 0.2; done
    podman run --rm $node \\
      bpfman run /counter.o tcx:count_packets --iface lo --direction ingress --priority 50 -a demo >/dev/null
    ${asked}
    podman run --rm $node bpfman program delete --all
    ${asked}
    podman stop daemon >/dev/null
    wait $serving
    trap - EXIT
    ls "$STORE/sock"
  `);
  expect({ code, error, out }).toMatchObject({ code: 0 });
  const answers = out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as DaemonAnswer);
  expect(answers).toEqual([
    { programs: ["count_packets"], links: 1, driver: "csi.bpfman.io" },
    { programs: [], links: 1, driver: "csi.bpfman.io" },
  ]);
}, 600_000);
