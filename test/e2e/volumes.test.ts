/** Volumes on the real kernel: what a container would find there, and what is refused. In a mount namespace of the test's own. */
import { Database } from "bun:sqlite";
import { beforeEach, expect, test } from "bun:test";
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import type { DoctorAnswer, LoadAnswer, MapListAnswer, RepairAnswer } from "../../src/domain/answer.ts";
import { cleanUpAfterEach } from "../labs/clean-up.ts";
import { executable } from "../labs/executable.ts";
import { bpftool } from "../labs/kernel-lab.ts";
import { entered, type MountNamespace, mountNamespaces } from "../labs/mount-namespace.ts";
import { RpcProcess } from "../labs/rpc-process.ts";

buildBpf();
const OBJECT = resolve(import.meta.dir, "../../dist/bpf/fixtures/life.bpf.o");
const MAP = "counters_of_life";
const GROUP = 4242;
const NOBODY = 65534;

let namespace: MountNamespace;
let server: RpcProcess;
cleanUpAfterEach(async () => {
  await server.call("program/delete", { all: true });
  await server.close();
});
const makeNamespace = mountNamespaces();
const bpfman = executable();
/** Where containers have their directories. */
let pods = "";
let map = 0;

beforeEach(async () => {
  namespace = makeNamespace();
  await entered(namespace);
  pods = bpfman.path("pods");
  mkdirSync(pods, { mode: 0o755 });
  chmodSync(dirname(pods), 0o755);
  server = new RpcProcess(namespace.command(...bpfman.command("rpc")));
  await server.initialize();
  const { programs } = (await server.result("program/load", {
    ...{ source: { file: OBJECT }, programs: [{ type: "tracepoint", name: "on_openat" }] },
    metadata: { "bpfman.io/ProgramName": "life" },
  })) as unknown as LoadAnswer;
  const programId = programs[0]?.record?.program_id;
  const { maps } = (await server.result("map/list", { programId })) as unknown as MapListAnswer;
  map = maps.find(({ name }) => name === MAP)?.id as number;
});
const volume = () => ({ volumeId: "csi-1", targetPath: join(pods, "maps"), program: "life", maps: [MAP] });
const unpublish = () => server.result("volume/unpublish", { volumeId: "csi-1", targetPath: join(pods, "maps") });
const refusal = async (change: Readonly<Record<string, unknown>>) =>
  (await server.call("volume/publish", { ...volume(), ...change })).error?.data?.code;
/** Whether a user without rights in that group can read the map, and write to it. */
const isOpenTo = (group: number): boolean => {
  const who = ["setpriv", `--reuid=${NOBODY}`, `--regid=${group}`, "--clear-groups", "--"];
  const element = ["pinned", join(pods, "maps", MAP), "key", "0", "0", "0", "0"];
  const update = ["bpftool", "map", "update", ...element, "value", ..."10000000".split("")];
  return Bun.spawnSync(namespace.command(...who, ...update)).exitCode === 0;
};
/** What is in a volume: also of what the kernel itself may pin in a BPF file system (kernel/bpf/preload). */
const pinned = (): string[] => namespace.sh("ls", "-A", join(pods, "maps")).split("\n").filter(Boolean);
const own = (): string[] => [
  ...namespace.mountsIn(join(bpfman.runtimeDir, "csi")),
  ...namespace.mountsIn(pods),
  ...readdirSync(pods),
  ...(existsSync(join(bpfman.runtimeDir, "csi")) ? ["csi"] : []),
];

test("a container finds the map itself, and nothing is left when it is unpublished", async () => {
  expect(await server.result("volume/publish", volume())).toMatchObject({ published: true });
  const pin = join(pods, "maps", MAP);
  const seen = JSON.parse(namespace.sh("bpftool", "-j", "map", "show", "pinned", pin));
  expect(seen.id).toBe(map);
  namespace.sh("bpftool", "map", "update", "pinned", pin, "key", "0", "0", "0", "0", "value", ..."70000000".split(""));
  const [first] = bpftool("map", "dump", "id", String(map)) as { formatted?: { value: number } }[];
  expect(first?.formatted?.value).toBe(7);
  expect(pinned()).toEqual([MAP]);
  expect(await server.result("volume/publish", volume())).toMatchObject({ published: false });
  expect(await refusal({ volumeId: "csi-2", targetPath: join(pods, "maps/in") })).toBe("INVALID_VOLUME");
  expect(namespace.mountsIn(pods)).toEqual([join(pods, "maps")]);
  expect([isOpenTo(GROUP), isOpenTo(0)]).toEqual([false, false]);
  for (const unpublished of [true, false]) {
    expect(await unpublish()).toMatchObject({ unpublished });
    expect(own()).toEqual([]);
  }
  expect(bpftool("map", "show", "id", String(map)).id).toBe(map);
});

test("its group may use the maps, and no other; read-only, nobody can change what is pinned", async () => {
  await server.result("volume/publish", { ...volume(), group: GROUP, readOnly: true });
  const pin = join(pods, "maps", MAP);
  expect(namespace.sh("stat", "-c", "%a %u %g", pin, join(pods, "maps")).trim().split("\n")).toEqual([
    `660 0 ${GROUP}`,
    `750 0 ${GROUP}`,
  ]);
  expect([isOpenTo(GROUP), isOpenTo(GROUP + 1)]).toEqual([true, false]);
  for (const words of [
    ["rm", pin],
    ["mkdir", join(pods, "maps/more")],
    ["bpftool", "map", "pin", "id", String(map), join(pods, "maps/again")],
  ])
    expect(Bun.spawnSync(namespace.command(...words)).exitCode).not.toBe(0);
  expect(namespace.sh("findmnt", "-no", "OPTIONS", join(pods, "maps"))).toMatch(
    /^ro,(?=.*nosuid)(?=.*nodev)(?=.*noexec)/,
  );
  await unpublish();
  expect(own()).toEqual([]);
});

test("nothing is mounted where others could have put something", async () => {
  const other = join(pods, "other");
  mkdirSync(join(other, "full/in"), { recursive: true });
  mkdirSync(join(other, "world"));
  chmodSync(join(other, "world"), 0o777);
  mkdirSync(join(other, "theirs"));
  chownSync(join(other, "theirs"), NOBODY, NOBODY);
  symlinkSync("/etc", join(other, "link"));
  symlinkSync("full", join(other, "way"));
  writeFileSync(join(other, "file"), "");
  mkdirSync(join(other, "mounted"));
  namespace.sh("mount", "-t", "tmpfs", "none", join(other, "mounted"));
  const before = namespace.mountsIn("/");
  for (const target of ["full", "link", "way/new", "file", "file/x", "mounted", "world/x", "theirs/x", "missing/x"]) {
    expect([target, await refusal({ targetPath: join(other, target) })]).toEqual([target, "INVALID_VOLUME"]);
  }
  for (const targetPath of [join(bpfman.runtimeDir, "x"), join(bpfman.runtimeDir, "fs/maps/x"), "/tmp/x"])
    expect([targetPath, await refusal({ targetPath })]).toEqual([targetPath, "INVALID_VOLUME"]);
  expect(namespace.mountsIn("/")).toEqual(before);
  expect([existsSync("/tmp/x"), existsSync(join(bpfman.runtimeDir, "csi"))]).toEqual([false, false]);
  namespace.sh("umount", join(other, "mounted"));
  // An empty directory of root's will do.
  mkdirSync(join(pods, "maps"));
  expect(await server.result("volume/publish", volume())).toMatchObject({ published: true });
  await unpublish();
});

test("while a container works there, it stays, and is unpublished later", async () => {
  await server.result("volume/publish", volume());
  const busy = Bun.spawn(namespace.command("sh", "-c", 'cd "$1" && exec sleep infinity', "sh", join(pods, "maps")));
  while (!namespace.sh("readlink", `/proc/${busy.pid}/cwd`).includes("maps")) await Bun.sleep(10);
  const { error } = await server.call("volume/unpublish", { volumeId: "csi-1", targetPath: join(pods, "maps") });
  expect(error?.message).toContain("busy");
  busy.kill("SIGKILL");
  await busy.exited;
  // The next change finishes it.
  await server.result("program/unload", { programId: 4_000_000_000, ignoreMissing: true });
  expect(own()).toEqual([]);
});

test("a volume that only a lost database knew is unpublished, and what is mounted instead is an error", async () => {
  await server.result("volume/publish", volume());
  await server.result("program/delete", { all: true });
  await server.close();
  // As where the runtime directory was cleared, except of what is mounted.
  namespace.sh("umount", join(bpfman.runtimeDir, "fs"));
  namespace.sh("sh", "-c", 'rm -r "$1"/state "$1"/fs "$1"/lock "$1"/database', "sh", bpfman.runtimeDir);
  server = new RpcProcess(namespace.command(...bpfman.command("rpc")));
  await server.initialize();
  const target = join(pods, "maps");
  const { error } = await server.call("volume/unpublish", { volumeId: "csi-2", targetPath: target });
  expect(error?.data?.code).toBe("STATE_CONFLICT");
  expect(namespace.mountsIn(pods)).toEqual([target]);
  for (const unpublished of [true, false]) {
    expect(await unpublish()).toMatchObject({ unpublished });
    expect(own()).toEqual([]);
  }
  mkdirSync(target);
  namespace.sh("mount", "-t", "bpf", "none", target);
  const other = await server.call("volume/unpublish", { volumeId: "csi-1", targetPath: target });
  expect(other.error?.data).toMatchObject({ code: "STATE_CONFLICT", hint: expect.stringContaining(target) });
  namespace.sh("umount", target);
  expect(await unpublish()).toMatchObject({ unpublished: false });
});

test("where somebody bound a volume, it is not unpublished, and stays at its own target", async () => {
  await server.result("volume/publish", volume());
  const [target, copy] = [join(pods, "maps"), join(pods, "copy")];
  mkdirSync(copy);
  namespace.sh("mount", "--bind", target, copy);
  const { error } = await server.call("volume/unpublish", { volumeId: "csi-1", targetPath: copy });
  expect(error?.data).toMatchObject({ code: "STATE_CONFLICT", hint: expect.stringContaining(copy) });
  expect(namespace.mountsIn(pods)).toEqual([target, copy]);
  expect(pinned()).toEqual([MAP]);
  namespace.sh("umount", copy);
  expect(await server.result("volume/unpublish", { volumeId: "csi-1", targetPath: copy })).toMatchObject({
    unpublished: false,
  });
  expect(await unpublish()).toMatchObject({ unpublished: true });
});

test("doctor finds a volume whose row is gone, and repair unmounts it everywhere", async () => {
  await server.result("volume/publish", volume());
  namespace.sh("mkdir", join(pods, "copy"));
  namespace.sh("mount", "--bind", join(pods, "maps"), join(pods, "copy"));
  const database = new Database(join(bpfman.runtimeDir, "state/bpfman.db"));
  database.run("DELETE FROM volumes");
  database.close();
  const { findings } = (await server.result("doctor")) as unknown as DoctorAnswer;
  expect(findings.map(({ code, evidence }) => ({ code, mounts: evidence.mounts }))).toEqual([
    { code: "volume-left", mounts: [join(bpfman.runtimeDir, "csi/fs/csi-1"), join(pods, "maps"), join(pods, "copy")] },
  ]);
  const { steps } = (await server.result("repair")) as unknown as RepairAnswer;
  expect(steps.map(({ result }) => result)).toEqual(["done"]);
  expect([namespace.mountsIn(pods), existsSync(join(bpfman.runtimeDir, "csi"))]).toEqual([[], false]);
  // Its target was somebody's before.
  await server.result("volume/publish", volume());
  await unpublish();
});
