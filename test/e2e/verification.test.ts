/** While the verifier works for many seconds: sessions answer, and whatever is told to stop does. */
import { describe, expect, test } from "bun:test";
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join, resolve } from "node:path";
import type { LoadAnswer, ProgramListAnswer } from "../../src/domain/answer.ts";
import { buildBpf } from "../../scripts/build-bpf.ts";
import { frame } from "../fakes/rpc-session.ts";
import { wire } from "../labs/chain-lab.ts";
import { executable, idOf } from "../labs/executable.ts";
import { extensionTest } from "../labs/extension-test.ts";
import { bpftool, sh, until } from "../labs/kernel-lab.ts";
import { RpcProcess } from "../labs/rpc-process.ts";

const ROOT = resolve(import.meta.dir, "../..");
const SLOW = join(ROOT, "dist/bpf/fixtures/slow.bpf.o");
const LOAD_SLOW = { source: { file: SLOW }, programs: [{ type: "xdp", name: "slow" }] };
const CHAIN = join(ROOT, "dist/bpf/fixtures/chain.bpf.o");
const OBJECT = join(ROOT, "dist/bpf/examples/packet_counter.bpf.o");
const LOAD = { source: { file: OBJECT }, programs: [{ type: "tracepoint", name: "count_openat" }] };
const CANCELLED = { code: -32800, data: { code: "CANCELLED" } };

buildBpf();
const bpfman = executable();
const lab = wire();

async function started(params: Readonly<Record<string, unknown>> = {}): Promise<RpcProcess> {
  const server = new RpcProcess(bpfman.command("rpc"));
  await server.initialize(params);
  return server;
}

/** proc_pid_stat(5), from the state on; null if there is no such process. */
function statOf(pid: number): readonly string[] | null {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ");
  } catch {
    return null;
  }
}
const isAlive = (pid: number): boolean => !["Z", "X", undefined].includes(statOf(pid)?.[0]);

const SIGTERM_BIT = 1n << 14n;
/** Whether a signal ends the process at once, and not only when its JavaScript runs again: as while it loads an object. */
function isLoading(pid: number): boolean {
  const [, caught = "0"] = /^SigCgt:\s*(\w+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  if ((BigInt(`0x${caught}`) & SIGTERM_BIT) !== 0n) return false;
  // It has no handlers at its start either, but no maps.
  return filesOf(pid).some((file) => file.includes("bpf-map"));
}

/** Waits until it is in the middle of a load, of which nothing but the verification takes so many hundredths of a second. */
async function untilVerifying(pid: number, hundredths = 50): Promise<void> {
  await until(() => isLoading(pid));
  const before = Number(statOf(pid)?.[12]);
  await until(() => Number(statOf(pid)?.[12]) > before + hundredths);
}

/** What its descriptors are. */
function filesOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
    } catch {
      // It was closed meanwhile.
      return [];
    }
  });
}

/** The process that makes the changes of a session. */
function workerOf(server: number): number | null {
  const children = readFileSync(`/proc/${server}/task/${server}/children`, "utf8").trim();
  return children === "" ? null : Number(children);
}

/** Asks for a load that takes long, and waits until the verifier works at it. */
async function verifying(server: RpcProcess): Promise<{ readonly id: string; readonly worker: number }> {
  const id = server.ask("program/load", LOAD_SLOW);
  await until(() => workerOf(server.pid) !== null);
  const worker = workerOf(server.pid) as number;
  await untilVerifying(worker);
  return { id, worker };
}

async function expectChanges(server: RpcProcess): Promise<void> {
  const { programs } = await server.result<LoadAnswer>("program/load", LOAD);
  await server.result("program/unload", { programId: programs[0]?.record?.program_id });
}

describe("a session in the middle of a verification", () => {
  test("answers reads, and a cancellation, which leaves nothing", async () => {
    const server = await started({ session: { cleanup: true } });
    const { id, worker } = await verifying(server);
    await server.result("version", { features: true });
    expect(await server.result<ProgramListAnswer>("program/list")).toEqual({ programs: [] });
    const waiting = server.ask("program/load", LOAD);
    server.notify("$/cancelRequest", { id: waiting });
    expect((await server.heard.reply(waiting)).error).toMatchObject(CANCELLED);
    expect(server.heard.messages.some((message) => message.id === id)).toBe(false);
    server.notify("$/cancelRequest", { id });
    expect((await server.heard.reply(id)).error).toMatchObject({
      ...CANCELLED,
      message: "program/load: stopped inside a system call",
      data: { hint: "what it had not finished was cleaned up", details: { worker: "was ended by SIGKILL" } },
    });
    expect(isAlive(worker)).toBe(false);
    await bpfman.expectNothingLeft();
    await expectChanges(server);
    expect(await server.close()).toMatchObject({ code: 0, error: "" });
  });

  test.each(["SIGTERM", "SIGINT"] as const)("ends with 130 on %s, and removes what it owns", async (signal) => {
    const server = await started({ session: { cleanup: true } });
    await server.result("program/load", LOAD);
    const { id, worker } = await verifying(server);
    expect(await bpfman.programs()).toHaveLength(1);
    server.kill(signal);
    expect(await server.ended).toMatchObject({ code: 130, error: "" });
    expect((await server.heard.reply(id)).error).toMatchObject(CANCELLED);
    await until(() => !isAlive(worker));
    await bpfman.expectNothingLeft();
  });

  test("takes the verification with it when it is killed", async () => {
    const server = await started();
    const { worker } = await verifying(server);
    server.kill("SIGKILL");
    await server.ended;
    await until(() => !isAlive(worker));
    await bpfman.load(OBJECT, "--programs", "tracepoint:count_openat");
  });

  test.each(["SIGKILL", "SIGTERM"] as const)("says so if others end it with %s, and goes on", async (signal) => {
    const server = await started();
    const { id, worker } = await verifying(server);
    process.kill(worker, signal);
    expect((await server.heard.reply(id)).error).toMatchObject({
      message: `program/load: its process was ended by ${signal}`,
      data: { code: "WORKER_LOST", kind: "unavailable", hint: "what it had not finished was cleaned up; try again" },
    });
    await bpfman.expectNothingLeft();
    await expectChanges(server);
    expect(await server.close()).toMatchObject({ code: 0, error: "" });
  });
});

extensionTest("a cancelled attach to a chain leaves the hook as it was", async () => {
  const [first, second] = [
    await bpfman.load(CHAIN, "--programs", "xdp:xdp_member_0"),
    await bpfman.load(SLOW, "--programs", "xdp:slow_member"),
  ];
  const target = { iface: "veth0", netns: lab.netns() };
  const attach = ["--iface", target.iface, "--netns", target.netns, "--priority"];
  await bpfman.attach(idOf(first, "xdp_member_0"), "xdp", ...attach, "50");
  const before = await bpfman.json("dispatcher", "list");
  const server = await started();
  await server.result("link/detach", { linkId: 4711 }).catch(() => {});
  const worker = workerOf(server.pid) as number;
  const params = { programId: idOf(second, "slow_member"), attach: { kind: "xdp", ...target, priority: 60 } };
  const id = server.ask("link/attach", params);
  await untilVerifying(worker, 10);
  server.notify("$/cancelRequest", { id });
  expect((await server.heard.reply(id)).error).toMatchObject(CANCELLED);
  expect(await bpfman.json("dispatcher", "list")).toEqual(before);
  expect((await bpfman.links()).map((link) => link.program_id)).toEqual([idOf(first, "xdp_member_0")]);
  expect(bpftool("prog").filter(({ name }: { name: string }) => name.startsWith("slow"))).toHaveLength(1);
  expect(await server.close()).toMatchObject({ code: 0, error: "" });
});

test("only a session that changes something has a worker; it inherits no files, and another one follows it", async () => {
  const server = new RpcProcess(["sh", "-c", 'exec 9<"$0"; exec "$@"', OBJECT, ...bpfman.command("rpc")]);
  await server.initialize();
  await server.result("program/list");
  expect(workerOf(server.pid)).toBeNull();
  await expectChanges(server);
  const worker = workerOf(server.pid) as number;
  expect(filesOf(server.pid)).toContain(OBJECT);
  // What it opened itself: the database, which it keeps for the next change.
  expect(filesOf(worker).filter((file) => !/^(socket|pipe|anon_inode):|\/bpfman\.db(-wal|-shm)?$/.test(file))).toEqual(
    [],
  );
  process.kill(worker, "SIGTERM");
  // The server has taken note.
  await until(() => statOf(worker) === null);
  await expectChanges(server);
  expect(await server.close()).toMatchObject({ code: 0, error: "" });
});

test.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
  "%s to a session and its worker, as from a terminal, removes what it owns",
  async (signal) => {
    const server = new RpcProcess(["setsid", ...bpfman.command("rpc")]);
    await server.initialize({ session: { cleanup: true } });
    await server.result("program/load", LOAD);
    process.kill(-server.pid, signal);
    expect(await server.ended).toMatchObject({ code: 130, error: "" });
    await bpfman.expectNothingLeft();
  },
);

test("a signal ends a session with 130 although its client reads nothing", async () => {
  const pipe = bpfman.path("pipe");
  sh("mkfifo", pipe);
  // Open for both directions, so that there is a reader which does not read.
  const held = openSync(pipe, "r+");
  const output = openSync(pipe, "w");
  const [command = "", ...args] = bpfman.command("rpc");
  const child = Bun.spawn([command, ...args], { stdio: ["pipe", output, "pipe"] });
  try {
    child.stdin.write(frame({ jsonrpc: "2.0", id: "i", method: "initialize", params: { protocolVersion: 1 } }));
    for (let id = 0; id < 20; id++) child.stdin.write(frame({ jsonrpc: "2.0", id, method: "rpc.discover" }));
    child.stdin.write(frame({ jsonrpc: "2.0", id: "slow", method: "program/load", params: LOAD_SLOW }));
    await child.stdin.flush();
    await until(() => workerOf(child.pid) !== null);
    await untilVerifying(workerOf(child.pid) as number);
    child.kill("SIGTERM");
    expect(await child.exited).toBe(130);
    expect(await child.stderr.text()).toMatch(/^\S+ ERROR the client did not read the last replies\n$/);
  } finally {
    closeSync(held);
    closeSync(output);
  }
});

test.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
  "%s ends a command in the middle of a verification",
  async (signal) => {
    await bpfman.begin();
    const command = bpfman.start("load", "file", "--path", SLOW, "--programs", "xdp:slow");
    await untilVerifying(command.pid);
    command.kill(signal);
    expect(await command.ended).toEqual({ code: null, out: "", error: "" });
    await bpfman.expectNothingLeft();
  },
);
