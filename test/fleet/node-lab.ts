/**
 * A Kubernetes node for each test: bpfman-agent as its project builds it, our daemon, and a stand-in for the API server, in
 * a network namespace and below a root directory of their own, as their containers have them.
 */
import { beforeEach, expect } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { cleanUpAfterEach } from "../labs/clean-up.ts";
import { BPFMAN } from "../labs/executable.ts";
import { type Cable, cable, ipBatch, sh as runOnMachine, until } from "../labs/kernel-lab.ts";
import { makeCertificate } from "../servers/registry.ts";
import { type RunningPod, serveContainers } from "./container-runtime.ts";
import { goProgram } from "./go-program.ts";

export const NODE = "fleet-node";
const BUN = process.execPath;
const ACCOUNT = "/run/secrets/kubernetes.io/serviceaccount";
/** As our image has it, so that commands in the daemon's container find its state. */
const IMAGE_ENV = { BPFMAN_RUNTIME_DIR: "/run/bpfman" };

/**
 * The root directory: everything of the machine, but /run, /var/lib, /var/cache and the BPF file system of its own, and the
 * host's processes at /host/proc, where the operator's DaemonSet mounts them. Then waits to be ended.
 */
const ROOT_SCRIPT = `
set -euo pipefail
root=$1
mount -t tmpfs tmpfs "$root"
for each in /*; do
  if [ -L "$each" ]; then cp -a "$each" "$root$each"
  elif [ -d "$each" ]; then
    mkdir "$root$each"
    # What other tests have mounted below /tmp stays out.
    [ "$each" = /tmp ] && bind=--bind || bind=--rbind
    mount "$bind" "$each" "$root$each"
  fi
done
mkdir -p "$root/host/proc"
mount --rbind /proc "$root/host/proc"
# The node's first process, whose network namespace is the node's. Some sandboxes hide their own from root.
mount -t tmpfs tmpfs "$root/host/proc/1"
mkdir "$root/host/proc/1/ns"
touch "$root/host/proc/1/ns/net"
mount --bind /proc/self/ns/net "$root/host/proc/1/ns/net"
for each in /run /var/lib /var/cache; do mount -t tmpfs tmpfs "$root$each"; done
mkdir -p "$root${ACCOUNT}" "$root/run/bpfman-sock" "$root/run/bpfman-agent" "$root/run/bpfman" "$root/run/netns"
cp "$2/token" "$2/ca.crt" "$root${ACCOUNT}"
mount -t bpf bpf "$root/sys/fs/bpf"
exec chroot "$root" sh -c 'echo ready; exec sleep infinity'
`;

/** Where applications and their states are: `NAME` is one of the cluster, `NAMESPACE/NAME` one of a namespace. */
function placeOf(name: string): { readonly name: string; readonly applications: string; readonly states: string } {
  const [first = "", second] = name.split("/");
  const group = "/apis/bpfman.io/v1alpha1";
  if (second === undefined) {
    return {
      name: first,
      applications: `${group}/clusterbpfapplications`,
      states: `${group}/clusterbpfapplicationstates`,
    };
  }
  const namespace = `${group}/namespaces/${first}`;
  return { name: second, applications: `${namespace}/bpfapplications`, states: `${namespace}/bpfapplicationstates` };
}

export interface Condition {
  readonly type: string;
  readonly message: string;
}

export interface ProgramState {
  readonly name: string;
  readonly type: string;
  readonly programId?: number;
  readonly programLinkStatus: string;
}

/** What the agent reports of one application on one node. */
export interface ApplicationState {
  readonly metadata: { readonly name: string; readonly finalizers?: readonly string[] };
  readonly status?: {
    readonly appLoadStatus: string;
    readonly updateCount: number;
    readonly conditions?: readonly Condition[];
    readonly programs?: readonly ProgramState[];
  };
}

interface ListOf<T> {
  readonly items: readonly T[];
}

export interface Registry {
  /** How often it was asked for a manifest. */
  asked(): number;
}

/** A pod that runs on the node. */
export interface Pod {
  readonly pid: number;
  readonly container: string;
  /** Sends so many pings from the node to its eth0, and answers how many came back. */
  ping(count: number): number;
}

export interface FleetNode {
  readonly cable: Cable;
  /** The daemon's process. */
  startDaemon(): Promise<void>;
  /** SIGKILL. */
  killDaemon(): Promise<void>;
  startAgent(): Promise<void>;
  stopAgent(): Promise<void>;
  /** Runs a command on the node, which must succeed; answers what it printed. */
  sh(...command: readonly string[]): string;
  /** Runs bpfman in the daemon's container in the same way. */
  bpfman(...words: readonly string[]): string;
  /** Where a file of the node is for this process. */
  path(onNode: string): string;
  /** Asks the API server. */
  api<T>(method: string, path: string, body?: unknown): Promise<T>;
  /** Starts a pod with one container, in a network namespace with eth0, which has an address that the node can ping. */
  startPod(name: string, labels: Readonly<Record<string, string>>): Promise<Pod>;
  /** Creates a ClusterBpfApplication, or for `NAMESPACE/NAME` a BpfApplication, as `kubectl apply` and the operator do. */
  apply(name: string, spec: object): Promise<void>;
  state(name: string): Promise<ApplicationState | null>;
  /** Waits until the agent reports this condition; answers the state with it. */
  reported(name: string, condition: string): Promise<ApplicationState>;
  /** Waits until the agent has nothing to do. */
  quiet(): Promise<void>;
  /** Lets the agent look at everything again: it does when a pod starts on its node. */
  nudge(): Promise<void>;
  /** Changes its specification, as `kubectl apply` does. */
  change(name: string, spec: object): Promise<void>;
  /** Takes away the BPF file systems with all pins: what another mount namespace leaves of them. */
  loseBpffs(): void;
  /** What a restart of the machine leaves on a node whose /run survives: another boot ID, and nothing in the kernel. */
  reboot(): void;
  /** A registry at 127.0.0.1:5000. */
  startRegistry(): Promise<Registry>;
  /** Deletes it as the operator does: with its own finalizer, which goes when all nodes have unloaded. */
  delete(name: string): Promise<void>;
  agentLog(): string;
  daemonLog(): string;
}

/** How often something is looked for, ten times a second: a virtual machine takes many times as long. */
const TRIES = process.env.BPFMAN_TEST_KERNEL === undefined ? 600 : 3000;

/** Waits until `ask` answers something other than null; throws with what was last seen if that takes a minute. */
async function answered<T>(what: string, ask: () => Promise<T | null>, seen: () => string): Promise<T> {
  for (let tries = 0; tries < TRIES; tries++) {
    const answer = await ask();
    if (answer !== null) return answer;
    await Bun.sleep(100);
  }
  throw new Error(`${what} did not happen:\n${seen()}`);
}

/** To be called at the top of a test file. */
export function fleetNode(): FleetNode {
  const link = cable();
  let directory = "";
  let holder: Bun.Subprocess<"ignore", "pipe", "pipe"> | null = null;
  const running = new Map<string, Bun.Subprocess>();
  let pods = 0;
  let containers: { close(): void } | null = null;
  const path = (name: string) => join(directory, name);
  const log = (name: string) => readFileSync(path(`${name}.log`), "utf8");

  const pathOnNode = (name: string) => `/proc/${holder?.pid}/root${name}`;

  const onNode = (...command: readonly string[]): string[] => [
    ...["nsenter", "--target", String(holder?.pid), "--mount", "--net", "--root", "--wd", "--"],
    ...command,
  ];

  function start(name: string, env: Record<string, string>, ...command: readonly string[]): void {
    const out = Bun.file(path(`${name}.log`));
    const environment = { PATH: process.env.PATH ?? "", ...env };
    // Appends, because what a killed process wrote is worth reading too.
    const words = ["sh", "-c", 'exec "$@" >>"$0" 2>&1', out.name ?? "", ...onNode(...command)];
    running.set(name, Bun.spawn(words, { env: environment, stdio: ["ignore", "ignore", "ignore"] }));
  }

  async function stop(name: string, signal: NodeJS.Signals): Promise<void> {
    const child = running.get(name);
    running.delete(name);
    child?.kill(signal);
    await child?.exited;
  }

  cleanUpAfterEach(async () => {
    containers?.close();
    containers = null;
    for (const name of [...running.keys()].toReversed()) await stop(name, "SIGKILL");
    // Its mount namespace goes with it, and what is pinned there.
    holder?.kill("SIGKILL");
    await holder?.exited;
    rmSync(directory, { recursive: true, force: true });
  });
  beforeEach(async () => {
    directory = realpathSync(mkdtempSync(join(tmpdir(), "bpfman-fleet-")));
    for (const name of ["root", "account"]) mkdirSync(path(name));
    for (const name of ["daemon", "agent", "api", "registry"]) writeFileSync(path(`${name}.log`), "");
    makeCertificate({ key: path("key.pem"), certificate: path("account/ca.crt") });
    const token = crypto.randomUUID();
    writeFileSync(path("account/token"), token);
    ipBatch(["-n", link.netns.replace("/run/netns/", "")], "link set lo up");
    const unshare = ["unshare", "--mount", "--propagation", "private"];
    const words = ["nsenter", `--net=${link.netns}`, ...unshare, "bash", "-c", ROOT_SCRIPT, "root"];
    holder = Bun.spawn([...words, path("root"), path("account")], { stdio: ["ignore", "pipe", "pipe"] });
    const { value } = await holder.stdout.getReader().read();
    if (value === undefined) throw new Error(`no root directory for the node: ${await holder.stderr.text()}`);
    pods = 0;
    const files = [path("account/ca.crt"), path("key.pem"), token, path("api.sock")];
    start("api", {}, BUN, resolve(import.meta.dir, "api-server.ts"), ...files);
    await answered(
      "the API server's start",
      async () => (log("api").includes("listening") ? true : null),
      () => log("api"),
    );
    const labels = { "kubernetes.io/hostname": NODE };
    // The address of veth0, which makes it the node's primary interface.
    const status = { addresses: [{ type: "InternalIP", address: "10.99.0.1" }] };
    await api("POST", "/api/v1/nodes", { metadata: { name: NODE, labels }, spec: {}, status });
  });

  async function api<T>(method: string, where: string, body?: unknown): Promise<T> {
    const request = { method, unix: path("api.sock"), ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
    const response = await fetch(`http://api${where}`, request);
    const answer = await response.text();
    if (!response.ok) throw new Error(`${method} ${where}: ${response.status} ${answer}`);
    return JSON.parse(answer) as T;
  }

  async function state(application: string): Promise<ApplicationState | null> {
    const { name, states } = placeOf(application);
    const found = await api<ListOf<ApplicationState>>(
      "GET",
      `${states}?labelSelector=bpfman.io/ownedByProgram=${name}`,
    );
    return found.items[0] ?? null;
  }

  const sh = (...command: readonly string[]) => runOnMachine(...onNode(...command));

  function loseBpffs(): void {
    const script = `for each in $(findmnt -rno TARGET -t bpf | tac); do umount "$each"; done; mount -t bpf bpf /sys/fs/bpf`;
    sh("bash", "-euc", script);
  }

  const logs = () => `agent: ${log("agent").slice(-6000)}\ndaemon: ${log("daemon").slice(-4000)}`;

  return {
    cable: link,
    async startDaemon() {
      const served = () => log("daemon").split("serving bpfman.v1").length;
      const before = served();
      start("daemon", { ...IMAGE_ENV, KUBE_NODE_NAME: NODE, RUST_LOG: "info" }, BPFMAN, "--csi-support");
      await answered("the daemon's start", async () => (served() > before ? true : null), logs);
    },
    killDaemon: () => stop("daemon", "SIGKILL"),
    async startAgent() {
      const host = { KUBERNETES_SERVICE_HOST: "127.0.0.1", KUBERNETES_SERVICE_PORT: "6443" };
      start("agent", { ...host, KUBE_NODE_NAME: NODE, GO_LOG: "info" }, goProgram("bpfman-agent"));
    },
    stopAgent: () => stop("agent", "SIGTERM"),
    sh,
    path: pathOnNode,
    bpfman: (...words) => sh("env", ...Object.entries(IMAGE_ENV).map((pair) => pair.join("=")), BPFMAN, ...words),
    api,
    async startPod(name, labels) {
      const container = "main";
      start(name, {}, "unshare", "--net", "sleep", "infinity");
      const pid = running.get(name)?.pid ?? 0;
      // It is no longer the process that starts it, and has its own namespace.
      const ownNetns = async () =>
        sh("readlink", `/proc/${pid}/ns/net`) === sh("readlink", "/proc/self/ns/net") ? null : true;
      await answered("the pod's network namespace", ownNetns, logs);
      await until(() => readFileSync(`/proc/${pid}/comm`, "utf8") === "sleep\n");
      const inside = ["nsenter", `--net=/proc/${pid}/ns/net`, "ip"];
      sh("ip", "link", "add", "pod0", "type", "veth", "peer", "name", "eth0", "netns", String(pid));
      sh("ip", "address", "add", "10.98.0.1/24", "dev", "pod0");
      sh("ip", "link", "set", "pod0", "up");
      sh(...inside, "address", "add", "10.98.0.2/24", "dev", "eth0");
      sh(...inside, "link", "set", "eth0", "up");
      const ping = (count: number): number => {
        const words = ["ping", "-q", "-c", String(count), "-i", "0.01", "-W", "1", "10.98.0.2"];
        return Number(/(\d+) received/.exec(Bun.spawnSync(onNode(...words)).stdout.toString())?.[1]);
      };
      await until(() => ping(1) === 1);
      mkdirSync(pathOnNode("/run/containerd"));
      const pod: RunningPod = { namespace: "team", name, container, pid };
      containers = await serveContainers(pathOnNode("/run/containerd/containerd.sock"), [pod]);
      const body = { metadata: { name, labels }, spec: { nodeName: NODE }, status: { phase: "Running" } };
      await api("POST", "/api/v1/namespaces/team/pods", body);
      return { pid, container, ping };
    },
    async apply(application, spec) {
      const { name, applications } = placeOf(application);
      const metadata = { name, finalizers: ["bpfman.io.operator/finalizer"] };
      await api("POST", applications, { metadata, spec: { nodeSelector: {}, ...spec } });
    },
    state,
    reported: (name, condition) =>
      answered(
        `${name} is ${condition}`,
        async () => {
          const seen = await state(name);
          return seen?.status?.conditions?.[0]?.type === condition ? seen : null;
        },
        logs,
      ),
    async quiet() {
      const isIdle = /"cluster-app","msg":"All BpfApplication objects have been reconciled"}\n(?![\s\S]*"cluster-app")/;
      await answered("the agent's rest", async () => (isIdle.test(log("agent")) ? true : null), logs);
    },
    async nudge() {
      const metadata = { name: `pod-${++pods}` };
      const body = { metadata, spec: { nodeName: NODE }, status: { phase: "Running" } };
      await api("POST", "/api/v1/namespaces/default/pods", body);
      const looked = new RegExp(
        `"Name":"${metadata.name}"[\\s\\S]*(All BpfApplication objects|BpfApplicationState updated)`,
      );
      await answered("the agent's look", async () => (looked.test(log("agent")) ? true : null), logs);
    },
    async change(application, spec) {
      const { name, applications } = placeOf(application);
      const old = await api<object>("GET", `${applications}/${name}`);
      await api("PUT", `${applications}/${name}`, { ...old, spec: { nodeSelector: {}, ...spec } });
    },
    loseBpffs,
    reboot() {
      loseBpffs();
      sh("bash", "-c", "tc qdisc del dev veth0 clsact; ip link set dev veth0 xdp off; rm -f /run/bpfman-sock/*");
      writeFileSync(path("boot_id"), `${crypto.randomUUID()}\n`);
      sh("mount", "--bind", path("boot_id"), "/proc/sys/kernel/random/boot_id");
    },
    async startRegistry() {
      const http = { addr: "127.0.0.1:5000" };
      const storage = { filesystem: { rootdirectory: path("registry") } };
      // YAML, as JSON is.
      writeFileSync(path("registry.yml"), JSON.stringify({ version: 0.1, log: { level: "info" }, storage, http }));
      start("registry", {}, "docker-registry", "serve", path("registry.yml"));
      await answered(
        "the registry's start",
        async () => (log("registry").includes("listening on") ? true : null),
        () => log("registry"),
      );
      return { asked: () => log("registry").split('"GET /v2/kinds/manifests/').length - 1 };
    },
    async delete(application) {
      const { name, applications } = placeOf(application);
      const where = `${applications}/${name}`;
      await api("DELETE", where);
      const isUnloaded = async () => ((await state(application))?.metadata.finalizers ?? []).length === 0;
      await answered(`the deletion of ${name}`, async () => ((await isUnloaded()) ? true : null), logs);
      const old = await api<{ metadata: object }>("GET", where);
      await api("PUT", where, { ...old, metadata: { ...old.metadata, finalizers: [] } });
      expect(await state(application)).toBeNull();
    },
    agentLog: () => log("agent"),
    daemonLog: () => log("daemon"),
  };
}
