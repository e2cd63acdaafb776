/** The daemon over its socket, on the real kernel; bpftool, packets and counters verify the effects. */
import { describe, expect, test } from "bun:test";
import { closeSync, existsSync, openSync, readFileSync, statSync, unlinkSync } from "node:fs";
import { connect } from "node:net";
import { join, resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import { PULLS_AT_A_TIME_MAX } from "../../src/domain/limits.ts";
import { Bpfman, BpfmanProgramType } from "../../src/grpc/generated/bpfman.ts";
import { Health } from "../../src/grpc/generated/health.ts";
import { daemon } from "../labs/daemon.ts";
import { executable } from "../labs/executable.ts";
import { GrpcClient } from "../labs/grpc-client.ts";
import { bpftool, cable, counters, inKernel, until } from "../labs/kernel-lab.ts";
import { tcxTest } from "../labs/tcx-test.ts";

const ROOT = resolve(import.meta.dir, "../..");
buildBpf();
const OBJECT = join(ROOT, "dist/bpf/fixtures/life.bpf.o");
const SLOW = join(ROOT, "dist/bpf/fixtures/slow.bpf.o");
const REFUSED = join(ROOT, "dist/bpf/fixtures/refused.bpf.o");
const METADATA = { "bpfman.io/uuid": "1b3c", "bpfman.io/ProgramName": "on_openat" };
/** Slots of the map counters_of_life. */
const PACKETS = 0;
const OPENS = 2;

const bpfman = executable();
const wire = cable();

const file = (value: string) => ({ location: { case: "file", value } }) as const;
const load = (client: GrpcClient, name: string, programType: BpfmanProgramType, path = OBJECT) =>
  client.call(Bpfman.method.load, { bytecode: file(path), info: [{ name, programType }], metadata: METADATA });
const loadOpenat = (client: GrpcClient) => load(client, "on_openat", BpfmanProgramType.TRACEPOINT);
const OPENAT = { case: "tracepointAttachInfo", value: { tracepoint: "syscalls/sys_enter_openat" } } as const;

/** What it throws. */
const failed = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => "nothing",
    (thrown: unknown) => thrown,
  );

function openFiles(times: number): void {
  for (let time = 0; time < times; time++) closeSync(openSync("/dev/null", "r"));
}

/** Hundredths of a second of processor time (proc_pid_stat(5): utime, stime). */
function ticksOf(pid: number): number {
  const [, rest = ""] = /[)] (.*)$/s.exec(readFileSync(`/proc/${pid}/stat`, "utf8")) ?? [];
  const [utime, stime] = rest.split(" ").slice(11);
  return Number(utime) + Number(stime);
}

describe("a program", () => {
  test("is loaded, attached, shown, detached and unloaded, and stays when the daemon ends", async () => {
    const first = await daemon(bpfman);
    const client = first.client();
    const { programs } = await loadOpenat(client);
    const [{ info, kernelInfo } = {}] = programs;
    const id = kernelInfo?.id ?? 0;
    expect(bpftool("prog", "show", "id", String(id))).toMatchObject({ name: "on_openat", tag: kernelInfo?.tag });
    expect(info).toMatchObject({ name: "on_openat", metadata: METADATA, links: [] });
    expect(existsSync(info?.mapPinPath ?? "")).toBe(true);

    const { linkId } = await client.call(Bpfman.method.attach, { id, attach: { info: OPENAT } });
    const map = bpftool("map", "show", "pinned", `${info?.mapPinPath}/counters_of_life`).id;
    openFiles(10);
    expect(counters(map)[OPENS]).toBeGreaterThanOrEqual(10);
    expect(await client.call(Bpfman.method.get, { id })).toMatchObject({
      info: { name: "on_openat", links: [linkId], bytecode: file(OBJECT), mapUsedBy: [String(id)] },
      kernelInfo: { id, programType: 5, gplCompatible: true, jited: true, mapIds: expect.arrayContaining([map]) },
    });
    const { results } = await client.call(Bpfman.method.list, { bpfmanProgramsOnly: true, matchMetadata: METADATA });
    expect(results).toMatchObject([{ info: { links: [linkId] }, kernelInfo: { id } }]);
    // Commands work beside it.
    expect((await bpfman.links()).map(({ id: link }) => link)).toEqual([linkId]);

    await first.stop();
    expect(existsSync(first.socket)).toBe(false);
    const before = counters(map)[OPENS] ?? 0;
    openFiles(10);
    expect(counters(map)[OPENS]).toBeGreaterThanOrEqual(before + 10);

    const again = (await daemon(bpfman)).client();
    await again.call(Bpfman.method.detach, { linkId });
    await until(() => !bpftool("link", "show").some((link: { prog_id?: number }) => link.prog_id === id));
    expect(await again.call(Bpfman.method.get, { id })).toMatchObject({ info: { links: [] } });
    await again.call(Bpfman.method.unload, { id });
    await until(() => !inKernel("prog", id));
    expect(await failed(again.call(Bpfman.method.get, { id }))).toMatchObject({ status: 5 });
    expect(await failed(again.call(Bpfman.method.unload, { id }))).toMatchObject({ status: 5 });
  });

  tcxTest("is attached to an interface of another namespace, and unloaded with its links", async () => {
    const client = (await daemon(bpfman)).client();
    const { programs } = await load(client, "count", BpfmanProgramType.TCX);
    const id = programs[0]?.kernelInfo?.id ?? 0;
    const value = { iface: wire.interface, direction: "ingress", priority: 50, netns: wire.netns };
    await client.call(Bpfman.method.attach, { id, attach: { info: { case: "tcxAttachInfo", value } } });
    const map = bpftool("map", "show", "pinned", `${programs[0]?.info?.mapPinPath}/counters_of_life`).id;
    expect(wire.ping(5)).toBe(5);
    expect(counters(map)[PACKETS]).toBeGreaterThanOrEqual(5);
    await client.call(Bpfman.method.unload, { id });
    await until(() => !inKernel("prog", id));
    expect(await bpfman.links()).toEqual([]);
  });

  test("of others, gone from the kernel, or of an earlier boot is not found", async () => {
    const served = await daemon(bpfman);
    const client = served.client();
    const id = (await loadOpenat(client)).programs[0]?.kernelInfo?.id ?? 0;
    unlinkSync(join(bpfman.runtimeDir, `fs/prog_${id}`));
    await until(() => !inKernel("prog", id));
    expect(await failed(client.call(Bpfman.method.get, { id }))).toMatchObject({ status: 5 });
    const other = (await loadOpenat(client)).programs[0]?.kernelInfo?.id ?? 0;
    await served.stop();
    await bpfman.reboot();
    expect(await failed((await daemon(bpfman)).client().call(Bpfman.method.get, { id: other }))).toMatchObject({
      status: 5,
    });
    await bpfman.ok("restore", "--forget", `program:${other}`);
  });

  test("that the verifier refuses is an error of one line, and leaves nothing", async () => {
    const client = (await daemon(bpfman)).client();
    const refused = await load(client, "refused", BpfmanProgramType.TRACEPOINT, REFUSED).catch((thrown) => thrown);
    expect(refused).toMatchObject({ status: expect.any(Number), message: expect.stringMatching(/^[A-Z_]+: .+$/) });
    expect(await bpfman.programs()).toEqual([]);
  });
});

describe("while a program is verified", () => {
  test("calls are answered, and what is cancelled is undone", async () => {
    const served = await daemon(bpfman);
    const client = served.client();
    const stuck = served.client();
    const loading = load(stuck, "slow", BpfmanProgramType.XDP, SLOW).catch((thrown: unknown) => thrown);
    const children = `/proc/${served.pid}/task/${served.pid}/children`;
    await until(() => readFileSync(children, "utf8") !== "");
    const worker = Number(readFileSync(children, "utf8"));
    // Nothing but the verification takes so long.
    await until(() => ticksOf(worker) > 60);
    // It is verified for many seconds; the answers below come before that ends, or this test takes as long.
    let isOver = false;
    void loading.then(() => {
      isOver = true;
    });
    for (let time = 0; time < 20; time++) await client.call(Bpfman.method.list, {});
    expect(await client.call(Health.method.check, {})).toMatchObject({ status: 1 });
    expect(isOver).toBe(false);
    stuck.close();
    await until(() => !existsSync(`/proc/${worker}/fd`) || readFileSync(children, "utf8").trim() !== String(worker));
    expect((await loadOpenat(client)).programs).toHaveLength(1);
    expect((await bpfman.programs()).map(({ function_name }) => function_name)).toEqual(["on_openat"]);
  });
});

test("an application of a cluster that is loaded again keeps its programs and links as long as all of it is there", async () => {
  const served = await daemon(bpfman, "--csi-support", "--csi-socket", bpfman.path("csi.sock"));
  const client = served.client();
  const both = {
    bytecode: file(OBJECT),
    info: [
      { name: "on_openat", programType: BpfmanProgramType.TRACEPOINT },
      { name: "drop", programType: BpfmanProgramType.TC },
    ],
    metadata: METADATA,
  };
  const loaded = async () => (await client.call(Bpfman.method.load, both)).programs;
  const ids = (programs: Awaited<ReturnType<typeof loaded>>) => programs.map(({ kernelInfo }) => kernelInfo?.id ?? 0);
  const first = await loaded();
  const [id = 0, other = 0] = ids(first);
  const { linkId } = await client.call(Bpfman.method.attach, { id, attach: { info: OPENAT } });
  expect(ids(await loaded())).toEqual([id, other]);
  expect((await bpfman.links()).map(({ id: link }) => link)).toEqual([linkId]);
  const map = bpftool("map", "show", "pinned", `${first[0]?.info?.mapPinPath}/counters_of_life`).id;
  const before = counters(map)[OPENS] ?? 0;
  openFiles(10);
  expect(counters(map)[OPENS]).toBeGreaterThanOrEqual(before + 10);
  await client.call(Bpfman.method.unload, { id: other });
  const again = ids(await loaded());
  expect([again.includes(id), again.includes(other)]).toEqual([false, false]);
  expect((await bpfman.programs()).map(({ program_id }) => program_id).sort()).toEqual(again.sort());
});

test("while images are pulled from a registry that does not answer, a few at a time, other changes are made", async () => {
  let connections = 0;
  const socket = { open: () => void connections++, data: () => {} };
  using registry = Bun.listen({ hostname: "127.0.0.1", port: 0, socket });
  const served = await daemon(bpfman);
  const waiting = served.client();
  const url = `127.0.0.1:${registry.port}/programs/slow:v1`;
  const loads = Array.from({ length: 2 * PULLS_AT_A_TIME_MAX }, () =>
    failed(
      waiting.call(Bpfman.method.load, {
        bytecode: { location: { case: "image", value: { url, imagePullPolicy: 0 } } },
        info: [{ name: "on_openat", programType: BpfmanProgramType.TRACEPOINT }],
      }),
    ),
  );
  await until(() => connections >= PULLS_AT_A_TIME_MAX);
  const client = served.client();
  const { programs } = await loadOpenat(client);
  await client.call(Bpfman.method.unload, { id: programs[0]?.kernelInfo?.id ?? 0 });
  expect(await Promise.race([...loads, "still pulling"])).toBe("still pulling");
  expect(connections).toBe(PULLS_AT_A_TIME_MAX);
  waiting.close();
  await Promise.all(loads);
});

describe("the process", () => {
  test("takes the socket that systemd passes on, and leaves it", async () => {
    const passed = bpfman.path("passed.sock");
    const words = bpfman.command("serve", "--socket-path", bpfman.path("unused.sock"));
    // As systemd does: descriptor 3, and the number of the process that is to have it.
    const script = [
      "import os, socket, sys",
      "s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(8)",
      "os.dup2(s.fileno(), 3); os.set_inheritable(3, True)",
      "os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))",
      "os.execv(sys.argv[2], sys.argv[2:])",
    ].join("\n");
    const child = Bun.spawn(["python3", "-c", script, passed, ...words], { stdio: ["ignore", "ignore", "pipe"] });
    const said = child.stderr.getReader();
    expect(new TextDecoder().decode((await said.read()).value)).toContain("the socket of systemd");
    const client = new GrpcClient(passed);
    expect(await client.call(Health.method.check, {})).toMatchObject({ status: 1 });
    expect(existsSync(bpfman.path("unused.sock"))).toBe(false);
    client.close();
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
    expect(existsSync(passed)).toBe(true);
  });

  test("does not serve on what systemd did not pass on", async () => {
    // The shell keeps its number, and descriptor 3 is a file.
    const words = bpfman.command("serve").map((word) => `'${word}'`);
    const script = `exec 3</dev/null; export LISTEN_FDS=1 LISTEN_PID=$$; exec ${words.join(" ")}`;
    const child = Bun.spawn(["sh", "-c", script], { stdio: ["ignore", "ignore", "pipe"] });
    expect(await child.exited).toBe(1);
    expect(await child.stderr.text()).toContain("descriptor 3 is no Unix socket");
  });

  test("keeps its socket to root and one group, and refuses a second one on it", async () => {
    const served = await daemon(bpfman);
    const { mode, uid, gid } = statSync(served.socket);
    expect({ mode: mode & 0o777, uid, gid }).toEqual({ mode: 0o660, uid: 0, gid: 0 });
    await bpfman.refused(5, "SOCKET_IN_USE", "serve", "--socket-path", served.socket);
    expect(await served.client().call(Health.method.check, {})).toBeDefined();
    const { ino } = statSync(served.socket);
    served.kill("SIGKILL");
    await served.ended;
    expect(statSync(served.socket).ino).toBe(ino);
    expect(await (await daemon(bpfman)).client().call(Health.method.check, {})).toBeDefined();
  });

  test("is started by a first argument --csi-support, with the environment of the operator's DaemonSet", async () => {
    bpfman.env.BPFMAN_SOCKET_PATH = bpfman.path("env.sock");
    bpfman.env.RUST_LOG = "debug";
    bpfman.env.BPFMAN_RUNTIME_DIR = bpfman.runtimeDir;
    const [path = ""] = bpfman.command();
    const child = Bun.spawn([path, "--csi-support", "--csi-socket", bpfman.path("csi.sock"), "--socket-group", "0"], {
      env: { PATH: process.env.PATH ?? "", ...bpfman.env },
      stdio: ["ignore", "ignore", "pipe"],
    });
    await until(() => existsSync(bpfman.path("env.sock")));
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
    expect(await child.stderr.text()).toContain("DEBUG");
  });

  test("does nothing that costs processor time while nobody calls", async () => {
    const served = await daemon(bpfman);
    await served.client().call(Bpfman.method.list, {});
    // What a call leaves to be collected is collected within seconds.
    await Bun.sleep(3000);
    const before = ticksOf(served.pid);
    await Bun.sleep(3000);
    expect(ticksOf(served.pid) - before).toBeLessThanOrEqual(2);
  });

  test("takes no more memory than it may", async () => {
    const served = await daemon(bpfman);
    expect(served.memory("VmRSS")).toBeLessThanOrEqual(65);
    const client = served.client();
    const id = (await loadOpenat(client)).programs[0]?.kernelInfo?.id ?? 0;
    const calls = Number(process.env.BPFMAN_SERVE_CALLS ?? 300);
    for (let call = 0; call < calls; call++) await client.call(Bpfman.method.get, { id });
    expect(served.memory("VmRSS")).toBeLessThanOrEqual(90);
  });

  test("answers Prometheus on a socket of its own, and a line of text to what is no gRPC", async () => {
    const metrics = bpfman.path("m.sock");
    const served = await daemon(bpfman, "--metrics-socket", metrics);
    await loadOpenat(served.client());
    const get = (path: string) => fetch(`http://localhost${path}`, { unix: metrics });
    const answer = await get("/metrics");
    expect(answer.headers.get("content-type")).toStartWith("text/plain; version=0.0.4");
    expect(await answer.text()).toContain('bpfman_programs{type="tracepoint",application=""} 1\n');
    expect((await get("/other")).status).toBe(404);
    expect((await fetch("http://localhost/metrics", { unix: metrics, method: "POST" })).status).toBe(405);
    expect(statSync(metrics).mode & 0o777).toBe(0o666);
    const http1 = connect(served.socket);
    http1.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await new Promise((resolve) => http1.once("close", resolve).once("data", () => http1.destroy()));
    expect(await served.client().call(Health.method.check, {})).toBeDefined();
    await served.stop();
    expect(existsSync(metrics)).toBe(false);
  });
});
