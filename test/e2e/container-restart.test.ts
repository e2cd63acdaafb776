/**
 * `bpfman serve --csi-support` in a container that is killed and started again: a mount namespace that keeps what
 * bpfman-operator's DaemonSet keeps, which is /run/bpfman, the directory of pods, and a BPF file system of the node.
 */
import { beforeEach, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { buildBpf } from "../../scripts/build-bpf.ts";
import { type AttachInfoSchema, Bpfman, BpfmanProgramType } from "../../src/grpc/generated/bpfman.ts";
import { Node } from "../../src/grpc/generated/csi.ts";
import { cleanUpAfterEach } from "../labs/clean-up.ts";
import { BPFMAN } from "../labs/executable.ts";
import { type CallFailed, GrpcClient } from "../labs/grpc-client.ts";
import { bpftool, cable, counters, inKernel, until } from "../labs/kernel-lab.ts";
import { entered, type MountNamespace, mountNamespaces } from "../labs/mount-namespace.ts";
import { temporaryDirectory } from "../labs/temporary-directory.ts";
import { tcxAvailable } from "../labs/tcx-test.ts";

buildBpf();
const OBJECT = resolve(import.meta.dir, "../../dist/bpf/fixtures/kinds.bpf.o");
const NOT_FOUND = 5;

/** In its own mount namespace already: what a container has of the machine. Then it becomes the daemon. */
const CONTAINER = `
set -eu
mount -t tmpfs tmpfs /run
mkdir /run/bpfman
mount --bind "$1/run" /run/bpfman
for each in /var/lib /var/cache; do mount -t tmpfs tmpfs $each; done
mount -t bpf bpf /sys/fs/bpf
if [ -e "$1/has-bpffs" ]; then
  mkdir /sys/fs/bpf/bpfman
  mount --bind "$1/bpffs" /sys/fs/bpf/bpfman
fi
exec "$2" --csi-support --socket-path "$1/d.sock" --socket-group 0 2>>"$1/log"
`;

let container: Bun.Subprocess | null = null;
let node: MountNamespace;
let clients: GrpcClient[] = [];
cleanUpAfterEach(async () => {
  for (const client of clients) client.close();
  container?.kill("SIGKILL");
  await container?.exited;
});
const directory = temporaryDirectory();
const makeNamespace = mountNamespaces();
const link = cable();

beforeEach(async () => {
  clients = [];
  node = makeNamespace();
  await entered(node);
  for (const name of ["run", "bpffs", "pods"]) mkdirSync(directory.path(name), { mode: 0o755 });
  writeFileSync(directory.path("log"), "");
  chmodSync(directory.path(), 0o755);
  node.sh("mount", "-t", "bpf", "bpf", directory.path("bpffs"));
  // As a hostPath with Bidirectional propagation is.
  node.sh("mount", "--bind", directory.path("pods"), directory.path("pods"));
  node.sh("mount", "--make-shared", directory.path("pods"));
});

/** Starts a container, after killing the one before; answers clients of its two sockets. */
async function restart(): Promise<{ readonly bpfman: GrpcClient; readonly csi: GrpcClient }> {
  container?.kill("SIGKILL");
  await container?.exited;
  const unshare = ["unshare", "--mount", "--propagation", "unchanged", "sh", "-c", CONTAINER, "container"];
  const words = node.command(`nsenter`, `--net=${link.netns}`, ...unshare, directory.path(), BPFMAN);
  const begun = readFileSync(directory.path("log"), "utf8").length;
  container = Bun.spawn(words, { env: { PATH: process.env.PATH ?? "" }, stdio: ["ignore", "ignore", "inherit"] });
  const log = () => readFileSync(directory.path("log"), "utf8").slice(begun);
  await until(() => log().includes("serving csi.v1") || container?.exitCode !== null);
  if (container.exitCode !== null) throw new Error(`the container ended: ${log()}`);
  const made = {
    bpfman: new GrpcClient(directory.path("d.sock")),
    csi: new GrpcClient(directory.path("run/csi/csi.sock")),
  };
  clients.push(made.bpfman, made.csi);
  return made;
}

const KINDS = ["xdp", "tc", ...(tcxAvailable ? (["tcx"] as const) : [])] as const;
type Kind = (typeof KINDS)[number];
const TYPES = { xdp: BpfmanProgramType.XDP, tc: BpfmanProgramType.TC, tcx: BpfmanProgramType.TCX };
/** Slots of `events` in kinds.bpf.c, which count packets of IPv4. */
const SLOTS = { xdp: 11, tc: 12, tcx: 10 };
const METADATA = { "bpfman.io/ProgramName": "counter", "bpfman.io/uuid": "1f0a" };

interface Attached {
  readonly id: number;
  readonly linkId: number;
}

/** Loads one object with a program of each kind, and attaches them, as the agent does. */
async function attachAll(
  client: GrpcClient,
): Promise<{ readonly of: ReadonlyMap<Kind, Attached>; readonly map: number }> {
  const { programs } = await client.call(Bpfman.method.load, {
    bytecode: { location: { case: "file", value: OBJECT } },
    metadata: METADATA,
    info: KINDS.map((kind) => ({ name: `count_${kind}`, programType: TYPES[kind] })),
  });
  const attached = new Map<Kind, Attached>();
  for (const [at, kind] of KINDS.entries()) {
    const id = programs[at]?.kernelInfo?.id ?? 0;
    const place = { iface: "veth0", priority: 50, metadata: METADATA };
    const direction = "ingress";
    const info: Readonly<Record<Kind, NonNullable<MessageInitShape<typeof AttachInfoSchema>["info"]>>> = {
      xdp: { case: "xdpAttachInfo", value: { ...place, proceedOn: [2, 31] } },
      tc: { case: "tcAttachInfo", value: { ...place, direction, proceedOn: [0, 3, 30] } },
      tcx: { case: "tcxAttachInfo", value: { ...place, direction } },
    };
    const { linkId } = await client.call(Bpfman.method.attach, { id, attach: { info: info[kind] } });
    attached.set(kind, { id, linkId });
  }
  const maps = programs[0]?.kernelInfo?.mapIds ?? [];
  const map = maps.find((id) => bpftool("map", "show", "id", String(id)).name === "events") ?? 0;
  return { of: attached, map };
}

const countsOf = (map: number): number[] => {
  const all = counters(map);
  return KINDS.map((kind) => all[SLOTS[kind]] ?? 0);
};

/** Sends pings until it is told to stop; answers how many, all of which must have come back. */
function traffic(): () => Promise<number> {
  const words = ["nsenter", `--net=${link.netns}-far`, "ping", "-q", "-i", "0.01", "10.99.0.1"];
  const ping = Bun.spawn(words, { stdout: "pipe" });
  return async () => {
    ping.kill("SIGINT");
    const said = await ping.stdout.text();
    const [, sent, received] = /(\d+) packets transmitted, (\d+) received/.exec(said) ?? [];
    expect([sent, said.includes("duplicates")]).toEqual([received, false]);
    return Number(sent);
  };
}

/** Ids of the programs that have the map. */
const usersOf = (map: number): number[] =>
  (bpftool("prog", "show") as { id: number; map_ids?: number[] }[]).flatMap(({ id, map_ids: ids = [] }) =>
    ids.includes(map) ? id : [],
  );

test("programs stay, links stay, and no packet passes by while the container is killed and started again", async () => {
  writeFileSync(directory.path("has-bpffs"), "");
  const first = await restart();
  const { of, map } = await attachAll(first.bpfman);
  const loaded = usersOf(map);
  const before = countsOf(map);
  const stop = traffic();
  await until(() => countsOf(map).every((count, at) => count > (before[at] ?? 0)));
  const second = await restart();
  for (const { id, linkId } of of.values()) {
    const { info, kernelInfo } = await second.bpfman.call(Bpfman.method.get, { id });
    expect({ id: kernelInfo?.id, links: info?.links }).toEqual({ id, links: [linkId] });
  }
  const sent = await stop();
  expect(countsOf(map)).toEqual(before.map((count) => count + sent));
  // Nothing was loaded meanwhile.
  expect(usersOf(map)).toEqual(loaded);
  for (const { id, linkId } of of.values()) {
    await second.bpfman.call(Bpfman.method.detach, { linkId });
    await second.bpfman.call(Bpfman.method.unload, { id });
  }
  await until(() => !inKernel("map", map));
  expect(link.ping(1)).toBe(1);
});

test("a volume outlives the container, and the next one unpublishes it everywhere", async () => {
  writeFileSync(directory.path("has-bpffs"), "");
  const first = await restart();
  const { map } = await attachAll(first.bpfman);
  const targetPath = directory.path("pods/volume");
  const volume = {
    ...{ volumeId: "csi-1", targetPath, readonly: true },
    volumeCapability: { accessType: { case: "mount", value: {} } },
    volumeContext: { "csi.bpfman.io/program": "counter", "csi.bpfman.io/maps": "events" },
  } as const;
  await first.csi.call(Node.method.nodePublishVolume, volume);
  const seen = (): number => JSON.parse(node.sh("bpftool", "-j", "map", "show", "pinned", `${targetPath}/events`)).id;
  expect(seen()).toBe(map);
  const second = await restart();
  await second.csi.call(Node.method.nodePublishVolume, volume);
  expect([seen(), node.mountsIn(targetPath)]).toEqual([map, [targetPath]]);
  await second.csi.call(Node.method.nodeUnpublishVolume, { volumeId: "csi-1", targetPath });
  expect([node.mountsIn(targetPath), existsSync(targetPath)]).toEqual([[], false]);
  expect(existsSync(directory.path("run/csi/fs"))).toBe(false);
});

test("without a BPF file system of the node, nothing stays on a hook, and programs can be attached anew", async () => {
  const first = await restart();
  const lost = await attachAll(first.bpfman);
  const second = await restart();
  for (const { id } of lost.of.values()) {
    const status = await second.bpfman.call(Bpfman.method.get, { id }).catch((cause: CallFailed) => cause.status);
    expect(status).toBe(NOT_FOUND);
    await until(() => !inKernel("prog", id));
  }
  const now = await attachAll(second.bpfman);
  const before = countsOf(now.map);
  expect(link.ping(3)).toBe(3);
  expect(countsOf(now.map)).toEqual(before.map((count) => count + 3));
  // One application has its programs once, also when they are loaded again as a whole, because one has gone.
  const [{ id = 0 } = {}] = now.of.values();
  await second.bpfman.call(Bpfman.method.unload, { id });
  await attachAll(second.bpfman);
  for (const each of now.of.values()) await until(() => !inKernel("prog", each.id));
});
