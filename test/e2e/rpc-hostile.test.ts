/** What a broken or hostile client may send: the executable answers or exits cleanly, and never hangs or grows. */
import { describe, expect, test } from "bun:test";
import { closeSync, openSync, readdirSync, readFileSync } from "node:fs";
import { FRAME_BYTES_MAX, HEADER_BYTES_MAX } from "../../src/domain/limits.ts";
import { executable } from "../labs/executable.ts";
import { sh } from "../labs/kernel-lab.ts";
import { RpcProcess } from "../labs/rpc-process.ts";
import { frame, type FromServer } from "../fakes/rpc-session.ts";

const bpfman = executable();
const MIB = 1024 * 1024;
const VERSION = { features: false };
const version = (id: unknown) => ({ jsonrpc: "2.0", id, method: "version", params: VERSION });

async function started(): Promise<RpcProcess> {
  const server = new RpcProcess(bpfman.command("rpc"));
  await server.initialize();
  return server;
}
const residentBytes = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024;
const descriptors = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;

describe("framing that cannot be repaired: what came before is answered, one error, exit code 1", () => {
  test.each([
    ["no Content-Length", "X-Nothing: 1\r\n\r\n{}"],
    ["negative", "Content-Length: -1\r\n\r\n{}"],
    ["not a number", "Content-Length: ten\r\n\r\n{}"],
    ["10 GB", "Content-Length: 10737418240\r\n\r\n{}"],
    ["endless header", "A".repeat(HEADER_BYTES_MAX + 1)],
    ["endless header lines", "A: b\r\n".repeat(HEADER_BYTES_MAX)],
    ["bare JSON", '{"jsonrpc":"2.0","id":1,"method":"version"}\n\n'],
    ["the end in the middle", "Content-Length: 100\r\n\r\n{}"],
  ])("%s", async (_name, bytes) => {
    const server = await started();
    server.send(version(7));
    server.raw(bytes);
    server.send(version(8));
    const { code, error } = await server.close();
    expect({ code, error }).toEqual({ code: 1, error: "" });
    expect(await server.heard.reply(7)).toHaveProperty("result");
    const [refused, ...more] = server.heard.messages.filter((each: FromServer) => each.id === null);
    expect(refused?.error?.code).toBe(-32700);
    expect(more).toEqual([]);
    expect(server.heard.messages.some((each: FromServer) => each.id === 8)).toBe(false);
  });
});

describe("what can be answered is answered, and the session goes on", () => {
  test.each([
    ["bad JSON", frame("{nope"), -32700],
    ["JSON of nothing", frame(""), -32700],
    ["bytes that are not UTF-8", Buffer.from('Content-Length: 3\r\n\r\n"\xff"', "latin1"), -32700],
    ["deep nesting", frame("[".repeat(100_000) + "]".repeat(100_000)), -32600],
    ["deep nesting to the limit of a frame", frame('{"a":'.repeat(FRAME_BYTES_MAX / 5)), -32600],
    ["an empty batch", frame("[]"), -32600],
    ["a batch of a million", frame(`[${"0,".repeat(1_000_000)}0]`), -32600],
  ])("%s", async (_name, bytes, code) => {
    const server = await started();
    server.raw(bytes);
    expect((await server.heard.reply(null)).error?.code).toBe(code);
    expect(await server.result("version", VERSION)).toMatchObject({ arch: expect.any(String) });
    expect(await server.close()).toMatchObject({ code: 0, error: "" });
  });

  test("a header with LF alone, frames byte by byte, and many in one piece", async () => {
    const server = await started();
    const body = JSON.stringify(version("lf"));
    server.raw(`Content-Length: ${body.length}\n\n${body}`);
    for (const byte of frame(version("slow"))) {
      server.raw(Uint8Array.of(byte));
      await Bun.sleep(0);
    }
    server.send(...Array.from({ length: 500 }, (_, index) => version(index)));
    for (const id of ["lf", "slow", 0, 499]) expect(await server.heard.reply(id)).toHaveProperty("result");
    expect(await server.close()).toMatchObject({ code: 0, error: "" });
  });

  test("a string as large as a frame, an id as large as that, unknown methods of any size", async () => {
    const server = await started();
    const huge = "x".repeat(FRAME_BYTES_MAX - 200);
    expect(await server.failure("program/get", { programId: huge })).toMatchObject({ code: -32602 });
    expect(await server.failure(huge)).toMatchObject({ code: -32601 });
    server.send({ jsonrpc: "2.0", id: huge, method: "version" });
    expect((await server.heard.reply(null)).error?.code).toBe(-32600);
    for (const { error } of server.heard.messages) expect((error?.message ?? "").length).toBeLessThan(2000);
    expect(await server.close()).toMatchObject({ code: 0, error: "" });
  });

  test("a frame one byte too large ends it", async () => {
    const server = await started();
    server.raw(`Content-Length: ${FRAME_BYTES_MAX + 1}\r\n\r\n`);
    expect((await server.heard.reply(null)).error?.code).toBe(-32700);
    expect(await server.ended).toMatchObject({ code: 1 });
  });
});

test("before initialize and after shutdown", async () => {
  const server = new RpcProcess(bpfman.command("rpc"));
  expect((await server.failure("version", VERSION)).code).toBe(-32002);
  await server.initialize();
  await server.result("shutdown");
  expect((await server.failure("version", VERSION)).code).toBe(-32600);
  server.notify("exit");
  expect(await server.ended).toMatchObject({ code: 0, error: "" });
});

test("a client that stops reading: nothing is lost, memory stays, and its death ends the server", async () => {
  const pipe = bpfman.path("pipe");
  sh("mkfifo", pipe);
  // Held open for both directions: it does not block, and the server sees a reader that does not read.
  const held = openSync(pipe, "r+");
  const [command = "", ...args] = bpfman.command("rpc");
  const child = Bun.spawn([command, ...args], { stdio: ["pipe", openSync(pipe, "w"), "pipe"] });
  const requests = 20_000;
  const answers = Buffer.concat([
    frame({ jsonrpc: "2.0", id: "i", method: "initialize", params: { protocolVersion: 1 } }),
    ...Array.from({ length: requests }, (_, id) => frame({ jsonrpc: "2.0", id, method: "rpc.discover" })),
  ]);
  const sent = (async () => {
    for (let at = 0; at < answers.length; at += 64 * 1024) {
      child.stdin.write(answers.subarray(at, at + 64 * 1024));
      await child.stdin.flush();
    }
  })().catch(() => {});
  // All replies together would be some gigabytes, of which a server that goes on makes dozens of megabytes a second: it would be
  // over the limit before it were done. One on a busy machine takes its time until it waits.
  let [earlier, now] = [0, 0];
  do {
    await Bun.sleep(3000);
    [earlier, now] = [now, residentBytes(child.pid)];
  } while (now >= earlier + 16 * MIB && now < 200 * MIB);
  expect(now).toBeLessThan(200 * MIB);
  expect(child.exitCode).toBeNull();
  closeSync(held);
  expect(await child.exited).toBe(0);
  await sent;
});

test("one hundred thousand requests leak no descriptor and no memory", async () => {
  const server = await started();
  await server.result("program/list");
  const batch = async (count: number): Promise<void> => {
    const last = `last-${Math.random()}`;
    const requests = Array.from({ length: count - 1 }, (_, id) =>
      id % 50 === 0 ? { jsonrpc: "2.0", id, method: "program/list" } : version(id),
    );
    server.send(...requests, { jsonrpc: "2.0", id: last, method: "program/get", params: { programId: 4294967295 } });
    await server.heard.reply(last);
    await server.heard.when("all", () => (server.heard.frames.length >= count ? true : undefined));
    server.heard.frames.length = 0;
  };
  for (let round = 0; round < 20; round++) await batch(1000);
  const before = { bytes: residentBytes(server.pid), open: descriptors(server.pid) };
  for (let round = 0; round < 80; round++) await batch(1000);
  expect(descriptors(server.pid)).toBe(before.open);
  expect(residentBytes(server.pid)).toBeLessThan(before.bytes + 24 * MIB);
  expect(await server.close()).toMatchObject({ code: 0, error: "" });
}, 120_000);

test("the parent that initialize names: its end is the session's", async () => {
  const parent = Bun.spawn(["sleep", "1000"]);
  const server = new RpcProcess(bpfman.command("rpc"));
  await server.initialize({ processId: parent.pid });
  parent.kill("SIGKILL");
  expect(await server.ended).toMatchObject({ code: 0, error: "" });
  const other = new RpcProcess(bpfman.command("rpc"));
  expect(await other.failure("initialize", { protocolVersion: 1, processId: 2 ** 31 - 1 })).toMatchObject({
    code: -32602,
    data: { details: { field: "processId" } },
  });
  await other.close();
});
