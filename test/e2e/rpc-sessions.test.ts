/** Sessions of the executable on the real kernel: other clients, cancellation, concurrent processes, sudden ends. */
import { describe, expect, test } from "bun:test";
import { chmodSync, cpSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { LinkAnswer, LoadAnswer, ProgramListAnswer } from "../../src/domain/answer.ts";
import { buildBpf } from "../../scripts/build-bpf.ts";
import { PULLS_AT_A_TIME_MAX } from "../../src/domain/limits.ts";
import { openProcesses } from "../../src/files/open-processes.ts";
import { converse } from "../labs/conversation.ts";
import { BPFMAN, executable } from "../labs/executable.ts";
import { bpftool, inKernel, until } from "../labs/kernel-lab.ts";
import { realNode } from "../labs/node.ts";
import { RpcProcess } from "../labs/rpc-process.ts";
import { startRegistry } from "../servers/registry.ts";

const ROOT = resolve(import.meta.dir, "../..");
const OBJECT = join(ROOT, "dist/bpf/examples/packet_counter.bpf.o");
const LOAD = { source: { file: OBJECT }, programs: [{ type: "tracepoint", name: "count_openat" }] };
const attach = { kind: "tracepoint", tracepoint: "syscalls/sys_enter_openat" };

buildBpf();
const processes = openProcesses();
const bpfman = executable();

async function started(params: Readonly<Record<string, unknown>> = {}): Promise<RpcProcess> {
  const server = new RpcProcess(bpfman.command("rpc"));
  await server.initialize(params);
  return server;
}
const idOf = ({ programs }: LoadAnswer): number => programs[0]?.record?.program_id ?? 0;

/** A process that holds the writer lock until it is told not to. */
async function lockHolder(): Promise<{ release(): Promise<void> }> {
  const child = Bun.spawn(["flock", join(bpfman.runtimeDir, "lock"), "sh", "-c", "echo held; exec sleep 1000"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await child.stdout.getReader().read();
  return {
    async release() {
      // The lock goes with the last of the two: flock has given its descriptor to sleep.
      Bun.spawnSync(["sh", "-c", `kill -9 $(cat /proc/${child.pid}/task/*/children)`]);
      await child.exited;
    },
  };
}

test("vscode-jsonrpc's own client drives the whole life of a program from Node.js", async () => {
  const script = join(ROOT, "test/fixtures/rpc/vscode_client.mjs");
  const client = converse([realNode(), script, OBJECT, ...bpfman.command("rpc")], { PATH: process.env.PATH ?? "" });
  const { programId, kernelLink }: { programId: number; kernelLink: number } = JSON.parse(await client.line());
  // Cancelled in the middle, the unload has removed the link alone, and the next change removes the program.
  if (inKernel("link", kernelLink))
    expect(bpftool("link", "show", "id", String(kernelLink))).toMatchObject({ prog_id: programId });
  client.say("go on");
  const told = JSON.parse(await client.line());
  expect(await client.end()).toMatchObject({ code: 0, error: "" });
  // A cancellation that comes when all is done is too late: both are right.
  expect([-32800, "too late"]).toContain(told.cancelled);
  expect(told).toMatchObject({
    name: "bpfman",
    links: 1,
    refused: { code: -32602, field: "programId" },
    unknown: -32601,
    progress: ["begin", "end"],
    left: { programs: [] },
    events: ["program/didLoad", "link/didAttach", "link/didDetach", "program/didUnload"],
    code: 0,
  });
  expect(inKernel("prog", programId)).toBe(false);
});

test("commands and a session change things in turn", async () => {
  const server = await started();
  const words = ["load", "file", "--path", OBJECT, "--programs", "tracepoint:count_openat", "-o", "json"];
  const ids: number[] = [];
  for (let turn = 0; turn < 3; turn++) {
    const own = idOf(await server.result("program/load", LOAD));
    const other = idOf(JSON.parse((await bpfman.run(...words)).out));
    ids.push(own, other);
    expect((await bpfman.run("unload", String(own))).code).toBe(0);
    expect(inKernel("prog", own)).toBe(false);
    // The session's connection is older than what the command has written.
    const error = (await server.heard.reply(server.ask("program/unload", { programId: own }))).error;
    expect(error).toMatchObject({ data: { code: "PROGRAM_NOT_FOUND" } });
    await server.result("program/unload", { programId: other });
    expect(inKernel("prog", other)).toBe(false);
  }
  expect(new Set(ids).size).toBe(6);
  expect(await server.result("program/list")).toEqual({ programs: [] });
  expect(await server.close()).toMatchObject({ code: 0, error: "" });
});

test("while an image is pulled from a registry that does not answer, programs that are there are changed", async () => {
  const asked = Promise.withResolvers<void>();
  const socket = { open: () => asked.resolve(), data: () => {} };
  using registry = Bun.listen({ hostname: "127.0.0.1", port: 0, socket });
  const server = await started();
  const programId = idOf(await server.result("program/load", LOAD));
  const image = { url: `127.0.0.1:${registry.port}/programs/slow:v1` };
  const pulling = server.ask("program/load", { ...LOAD, source: { image } });
  await asked.promise;
  const behind = server.ask("link/attach", { programId: "count_openat", attach });
  const { record } = await server.result<LinkAnswer>("link/attach", { programId, attach });
  expect(await server.result<ProgramListAnswer>("program/list")).toMatchObject({
    programs: [{ program_id: programId }],
  });
  await server.result("link/detach", { linkId: record.id });
  server.notify("$/cancelRequest", { id: pulling });
  expect((await server.heard.reply(pulling)).error).toMatchObject({ code: -32800, data: { code: "CANCELLED" } });
  expect(await server.heard.reply(behind)).toMatchObject({ result: { record: { program_id: programId } } });
  await server.result("program/unload", { programId });
  expect(await server.close()).toMatchObject({ code: 0, error: "" });
});

test("a registry hears of each change once, of a few at a time, and of none that is refused", async () => {
  const registry = await startRegistry();
  const heard: string[] = [];
  const gate = Promise.withResolvers<void>();
  using proxy = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch({ method, headers, url }) {
      const { pathname, search } = new URL(url);
      heard.push(pathname);
      await gate.promise;
      return fetch(`http://${registry.host}${pathname}${search}`, { method, headers });
    },
  });
  const server = await started();
  await server.result("image/build", { tag: `${registry.host}/x:v1`, bytecode: { file: OBJECT } });
  const image = (pullPolicy: string) => ({ source: { image: { url: `127.0.0.1:${proxy.port}/x:v1`, pullPolicy } } });
  chmodSync(dirname(bpfman.runtimeDir), 0o755);
  cpSync(BPFMAN, bpfman.path("bpfman"));
  const words = [bpfman.path("bpfman"), ...bpfman.command("rpc").slice(1)];
  const nobody = new RpcProcess(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", ...words]);
  await nobody.initialize();
  const denied = await nobody.call("program/load", { ...LOAD, ...image("Always") });
  expect(denied.error?.data?.code).toBe("PERMISSION_DENIED");
  await nobody.close();
  for (const [method, params] of [
    ["program/load", image("Always")],
    ["program/unload", { programId: 1, ...image("Always") }],
  ] as const)
    expect((await server.call(method, params)).error?.data?.code).toBe("INVALID_REQUEST");
  expect(heard).toEqual([]);
  const asked = Array.from({ length: 3 * PULLS_AT_A_TIME_MAX }, () =>
    server.ask("program/load", { ...LOAD, ...image("Always") }),
  );
  await until(() => heard.length >= PULLS_AT_A_TIME_MAX);
  await server.result("program/list");
  expect(heard).toHaveLength(PULLS_AT_A_TIME_MAX);
  gate.resolve();
  for (const id of asked) {
    const { result } = await server.heard.reply(id);
    expect(result).toMatchObject({ programs: [{ record: { load: { image_source: { pull_policy: "Always" } } } }] });
    await server.result("program/unload", { programId: idOf(result as LoadAnswer) });
  }
  expect(heard.filter((path) => path.endsWith("/manifests/v1"))).toHaveLength(asked.length);
  expect(await server.close()).toMatchObject({ code: 0, error: "" });
  await registry.close();
});

describe("cancellation while another process holds the lock", () => {
  test("ends the wait at once, also of what waits behind it, and changes nothing", async () => {
    const server = await started();
    const holder = await lockHolder();
    const [first, second] = [server.ask("program/load", LOAD), server.ask("program/load", LOAD)];
    // Reads do not wait.
    expect(await server.result("program/list")).toEqual({ programs: [] });
    for (const id of [second, first]) {
      server.notify("$/cancelRequest", { id });
      expect((await server.heard.reply(id)).error).toMatchObject({ code: -32800, data: { code: "CANCELLED" } });
    }
    await holder.release();
    const id = idOf(await server.result("program/load", LOAD));
    expect(await server.result<ProgramListAnswer>("program/list")).toMatchObject({ programs: [{ program_id: id }] });
    await server.result("program/unload", { programId: id });
    expect(await server.close()).toMatchObject({ code: 0, error: "" });
  });

  test("a signal ends the session, whoever holds the lock", async () => {
    const server = await started();
    const holder = await lockHolder();
    const id = server.ask("program/load", LOAD);
    await server.result("program/list");
    server.kill("SIGTERM");
    expect(await server.ended).toMatchObject({ code: 130, error: "" });
    expect((await server.heard.reply(id)).error?.code).toBe(-32800);
    await holder.release();
  });
});

test("two servers and ten commands at once stay consistent, and each server hears of all", async () => {
  const servers = [await started(), await started()] as const;
  for (const server of servers) await server.result("events/subscribe");
  const commands = Array.from({ length: 10 }, async () => {
    const [program] = await bpfman.load(OBJECT, "--programs", "tracepoint:count_openat");
    const id = program?.record?.program_id ?? 0;
    await bpfman.attach(id, "tracepoint", "--tracepoint", attach.tracepoint);
    return id;
  });
  const requests = servers.flatMap((server) =>
    Array.from({ length: 5 }, async () => {
      const id = idOf(await server.result("program/load", LOAD));
      await server.result<LinkAnswer>("link/attach", { programId: id, attach });
      return id;
    }),
  );
  const ids = (await Promise.all([...commands, ...requests])).sort((a, b) => a - b);
  expect(new Set(ids).size).toBe(20);
  for (const server of servers) {
    const { programs } = await server.result<ProgramListAnswer>("program/list");
    expect(programs.map((program) => program.program_id)).toEqual(ids);
    expect(programs.every((program) => program.links.length === 1 && program.kernel !== null)).toBe(true);
    const heard = await server.heard.when("all events", () => {
      const loads = server.heard.notifications("program/didLoad");
      const links = server.heard.notifications("link/didAttach");
      return loads.length === 20 && links.length === 20 ? [...loads, ...links] : undefined;
    });
    expect(new Set(heard.map((each) => each.sequence)).size).toBe(40);
    const loads = server.heard.notifications("program/didLoad").map((each) => Number(each.program_id));
    expect(loads.sort((a, b) => a - b)).toEqual(ids);
  }
  await Promise.all(ids.map((id, index) => servers[index % 2]?.result("program/unload", { programId: id })));
  expect(await bpfman.programs()).toEqual([]);
  for (const server of servers) expect(await server.close()).toMatchObject({ code: 0, error: "" });
}, 120_000);

describe("a session with cleanup", () => {
  /** A client that loads, attaches, says so and waits: it is killed from outside. */
  const CLIENT = `
import json, os, subprocess, sys
server = subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
last = 0
def call(method, params):
    global last
    last += 1
    body = json.dumps({"jsonrpc": "2.0", "id": last, "method": method, "params": params}).encode()
    server.stdin.write(b"Content-Length: %d\\r\\n\\r\\n" % len(body) + body)
    server.stdin.flush()
    length = int(server.stdout.readline().split(b":")[1])
    server.stdout.readline()
    return json.loads(server.stdout.read(length))["result"]
call("initialize", {"protocolVersion": 1, "processId": os.getpid(), "session": {"cleanup": True}})
load = {"source": {"file": sys.argv[1]}, "programs": [{"type": "tracepoint", "name": "count_openat"}]}
program = call("program/load", load)["programs"][0]["record"]["program_id"]
link = call("link/attach", {"programId": program, "attach": ${JSON.stringify(attach)}})
print(json.dumps({"program": program, "link": link["record"]["kernel_link_id"], "server": server.pid}), flush=True)
if os.environ.get("LOADING"):
    while True: call("program/load", load)
sys.stdin.read()
`;
  interface Made {
    readonly program: number;
    readonly link: number;
    readonly server: number;
  }

  async function client(env: Readonly<Record<string, string>> = {}) {
    const child = converse(["python3", "-c", CLIENT, OBJECT, ...bpfman.command("rpc")], {
      PATH: process.env.PATH ?? "",
      ...env,
    });
    const made: Made = JSON.parse(await child.line());
    expect(inKernel("prog", made.program) && inKernel("link", made.link)).toBe(true);
    return { child, made };
  }

  test("leaves nothing when its client is killed", async () => {
    const { child, made } = await client();
    child.kill("SIGKILL");
    await until(() => !inKernel("prog", made.program) && !inKernel("link", made.link));
    await until(() => processes.identity(made.server) === null);
    await bpfman.expectNothingLeft();
  });

  test("leaves nothing when its client is killed in the middle of a load", async () => {
    for (let round = 0; round < 3; round++) {
      const { child, made } = await client({ LOADING: "1" });
      await Bun.sleep(20 + round * 7);
      child.kill("SIGKILL");
      await until(() => processes.identity(made.server) === null);
      await bpfman.expectNothingLeft();
    }
  });

  test("whose server is killed is cleaned up by the next command that changes something", async () => {
    const { child, made } = await client();
    process.kill(made.server, "SIGKILL");
    await child.end();
    expect((await bpfman.programs()).map((program) => program.program_id)).toEqual([made.program]);
    await bpfman.ok("unload", "--ignore-missing", "4294967295");
    expect(await bpfman.programs()).toEqual([]);
    expect(inKernel("prog", made.program)).toBe(false);
    expect(inKernel("link", made.link)).toBe(false);
  });

  test("that lives is left alone by other commands", async () => {
    const { child, made } = await client();
    await bpfman.ok("unload", "--ignore-missing", "4294967295");
    expect(inKernel("prog", made.program) && inKernel("link", made.link)).toBe(true);
    child.kill("SIGKILL");
    await until(() => processes.identity(made.server) === null);
  });
});

test("without cleanup, a client killed in the middle of loads leaves whole programs only", async () => {
  const server = await started();
  for (let count = 0; count < 20; count++) server.ask("program/load", LOAD);
  await Bun.sleep(30);
  server.kill("SIGKILL");
  expect((await server.ended).code).toBeNull();
  await bpfman.ok("unload", "--ignore-missing", "4294967295");
  for (const program of await bpfman.programs()) expect(program.kernel).not.toBeNull();
});
