/** uprobes in a container with its own mount and PID namespaces, and a root directory that the host cannot see. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  existsSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import type { LinkAnswer } from "../../src/domain/answer.ts";
import { buildBpf } from "../../scripts/build-bpf.ts";
import { executable, idOf, mapOf } from "../labs/executable.ts";
import { counters, sh } from "../labs/kernel-lab.ts";
import { OWN_MULTIARCH } from "../../scripts/debian.ts";

buildBpf();
const OBJECT = resolve(import.meta.dir, "../../dist/bpf/fixtures/life.bpf.o");
const fixture = (name: string): string => resolve(import.meta.dir, "../fixtures", name);
/** Slots of the map counters_of_life. */
const CALLS = 3;
const RETURNS = 4;
const LIBRARY = "/opt/lib/libprobed.so.1";

let root = "";

/** A root directory with one program, what it is linked with, and a linker cache of its own. */
beforeAll(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "bpfman-container-")));
  for (const directory of ["old", "etc", "opt/lib", "proc"]) mkdirSync(join(root, directory), { recursive: true });
  const soname = ["-shared", "-fPIC", "-O1", "-Wl,-soname,libprobed.so.1"];
  sh("gcc", ...soname, "-o", join(root, LIBRARY), fixture("container_library.c"));
  // In the cache, but mapped by nobody.
  sh(
    "gcc",
    "-shared",
    "-fPIC",
    "-Wl,-soname,libidle.so.2",
    "-o",
    join(root, "opt/lib/libidle.so.2"),
    fixture("container_library.c"),
  );
  sh("gcc", "-O1", "-o", join(root, "target"), fixture("container_target.c"), join(root, LIBRARY));
  for (const path of sh("ldd", "/bin/true").match(/\/\S+/g) ?? []) {
    mkdirSync(join(root, dirname(path)), { recursive: true });
    copyFileSync(realpathSync(path), join(root, path));
  }
  writeFileSync(join(root, "etc/ld.so.conf"), `/opt/lib\n/lib/${OWN_MULTIARCH}\n`);
  sh("ldconfig", "-r", root);
  // Leads out of the container for whoever follows it from outside.
  symlinkSync("/bin/true", join(root, "opt/lib/libleads.so"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const bpfman = executable();

/** The program in a container of its own; `call` makes it call the function so many times and waits for that. */
async function startContainer() {
  const enter = `mount --bind ${root} ${root} && cd ${root} && pivot_root . old && exec /target`;
  const unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", enter];
  const child = Bun.spawn(unshare, { stdin: "pipe", stdout: "pipe" });
  const answers = child.stdout.getReader();
  const read = async (count: number) => {
    for (let seen = 0; seen < count; ) {
      const { value, done } = await answers.read();
      if (done) throw new Error("the container has ended");
      seen += value.length;
    }
  };
  await read(1);
  const pid = Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").trim());
  return {
    pid,
    async call(times: number) {
      child.stdin.write("x".repeat(times));
      await child.stdin.flush();
      await read(times);
    },
    async stop() {
      child.stdin.end();
      await child.exited;
    },
  };
}

async function loaded() {
  const programs = await bpfman.load(OBJECT, "--programs", "uprobe:on_call", "uretprobe:on_return");
  const map = mapOf(programs, "counters");
  const base = [idOf(programs, "on_call"), idOf(programs, "on_return")] as const;
  return { call: base[0], ret: base[1], counted: () => [counters(map)[CALLS], counters(map)[RETURNS]] };
}

const LIBRARY_WAYS: readonly (readonly [string, string])[] = [
  ["by its path there", LIBRARY],
  ["by its bare name, through what the process has mapped", "libprobed"],
  ["by its soname, through what the process has mapped", "libprobed.so.1"],
];

test.each(LIBRARY_WAYS)("a library %s", async (_, target) => {
  const { call, ret, counted } = await loaded();
  const container = await startContainer();
  try {
    const where = ["uprobe", "--container-pid", String(container.pid), "--target", target, "-f", "probed_in_library"];
    const link = await bpfman.attach(call, ...where);
    const back = await bpfman.attach(ret, ...where);
    expect(link.record.details).toEqual({
      target,
      fn_name: "probed_in_library",
      offset: 0,
      pid: null,
      retprobe: false,
      container_pid: container.pid,
    });
    expect([link.record.kind, back.record.kind]).toEqual(["uprobe", "uretprobe"]);
    await container.call(5);
    expect(counted()).toEqual([5, 5]);
    await bpfman.ok("detach", String(link.record.id));
    await container.call(3);
    expect(counted()).toEqual([5, 8]);
  } finally {
    await container.stop();
  }
});

test("a library that nobody has mapped, through the container's own linker cache", async () => {
  const { call } = await loaded();
  const container = await startContainer();
  try {
    const link = await bpfman.attach(
      call,
      ...["uprobe", "-c", String(container.pid), "-t", "libidle", "-f", "beside_it"],
    );
    expect(link.status.kernel_seen).toBe(true);
    expect(existsSync("/opt/lib/libidle.so.2")).toBe(false);
  } finally {
    await container.stop();
  }
});

test("--pid counts one process of two that run the same library", async () => {
  const { call, counted } = await loaded();
  const [one, other] = [await startContainer(), await startContainer()];
  try {
    // The pid alone finds the library too: by what that process has mapped.
    await bpfman.attach(call, "uprobe", "--pid", String(one.pid), "-t", "libprobed", "-f", "probed_in_library");
    await other.call(4);
    expect(counted()[0]).toBe(0);
    await one.call(3);
    await other.call(2);
    expect(counted()[0]).toBe(3);
  } finally {
    await Promise.all([one.stop(), other.stop()]);
  }
});

test("each mistake has its message", async () => {
  const { call } = await loaded();
  const container = await startContainer();
  const uprobe = (...words: string[]) => ["attach", String(call), "uprobe", ...words];
  const pid = String(container.pid);
  try {
    const onHost = await bpfman.refused(
      3,
      "TARGET_NOT_FOUND",
      ...uprobe("--pid", pid, "-t", LIBRARY, "-f", "probed_in_library"),
    );
    expect(onHost.message).toContain(`no file "${LIBRARY}"`);
    expect(onHost.hint).toBe(`if process ${pid} runs in a container, add --container-pid ${pid}`);
    const missing = await bpfman.refused(3, "TARGET_NOT_FOUND", ...uprobe("-c", pid, "-t", "/opt/none", "-f", "f"));
    expect(missing.message).toBe(`no file "/opt/none" in the mount namespace of process ${pid}`);
    // The host has /bin/true, the container does not: the link must be followed inside.
    await bpfman.refused(3, "TARGET_NOT_FOUND", ...uprobe("-c", pid, "-t", "/opt/lib/libleads.so", "-f", "main"));
    const name = await bpfman.refused(3, "TARGET_NOT_FOUND", ...uprobe("-c", pid, "-t", "libnone", "-f", "f"));
    expect(name.message).toBe(`no library "libnone" in the dynamic linker's cache of process ${pid}`);
    const symbol = await bpfman.refused(
      3,
      "SYMBOL_NOT_FOUND",
      ...uprobe("-c", pid, "-t", "libprobed", "-f", "probed_in_libary"),
    );
    expect(symbol.hint).toContain("probed_in_library");
    const dead = readlinkSync("/proc/self").length + 4_194_304;
    const gone = await bpfman.refused(3, "PROCESS_NOT_FOUND", ...uprobe("-c", String(dead), "-t", "libc", "-f", "f"));
    expect(gone.message).toBe(`no process has pid ${dead}`);
  } finally {
    await container.stop();
  }
});

/**
 * Makes a root directory of the host's, with something at /host, and runs a command in there: with mounts and pids of its
 * own, as a pod has them that is not given the host's PID namespace.
 */
const POD = `set -e
mount -t tmpfs pod "$1"
for each in /*; do
  if [ -L "$each" ]; then cp -P "$each" "$1$each"
  elif [ -d "$each" ]; then mkdir "$1$each" && mount --rbind "$each" "$1$each"
  fi
done
mkdir -p "$1/host/proc"
if [ "$2" = mounted ]; then mount --rbind /proc "$1/host/proc"; else mkdir -p "$1/host/proc/$2"; fi
root=$1
shift 2
exec unshare --pid --fork --kill-child chroot "$root" sh -c 'mount -t proc proc /proc && exec "$@"' sh "$@"`;

function inPod(hostProc: string, ...words: readonly string[]) {
  const podRoot = bpfman.path("pod");
  mkdirSync(podRoot, { recursive: true });
  const command = ["sh", "-c", POD, "sh", podRoot, hostProc, ...bpfman.command(...words, "--output", "json")];
  const run = Bun.spawnSync(["unshare", "--mount", "--propagation", "private", ...command], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  return { code: run.exitCode, out: run.stdout.toString(), error: run.stderr.toString() };
}

test("in a pod with the host's processes at /host/proc, a pid is one of the host", async () => {
  const { call, counted } = await loaded();
  const container = await startContainer();
  const pid = String(container.pid);
  const attach = (target: string) =>
    ["attach", String(call), "uprobe", "-c", pid, "-t", target, "-f", "probed_in_library"] as const;
  try {
    // Without that mount the pod knows no such process, whatever an ordinary directory says.
    for (const directory of ["self", pid]) {
      const alone = inPod(directory, ...attach("libprobed"));
      expect(alone).toMatchObject({ code: 3, error: expect.stringContaining(`no process has pid ${pid}`) });
    }
    for (const [index, target] of ["libprobed", LIBRARY].entries()) {
      const inside = inPod("mounted", ...attach(target));
      expect([inside.code, inside.error]).toEqual([0, ""]);
      const link: LinkAnswer = JSON.parse(inside.out);
      expect(link.record.details).toMatchObject({ target, container_pid: container.pid });
      await container.call(5);
      expect(counted()[0]).toBe(5 * (index + 1));
      await bpfman.ok("detach", String(link.record.id));
    }
  } finally {
    await container.stop();
  }
});
