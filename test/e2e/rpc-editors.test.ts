/** What existing clients do on their own, and what people type by hand, tested against the executable. */
import { expect, test } from "bun:test";
import { join, resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import type { LoadAnswer, ProgramListAnswer } from "../../src/domain/answer.ts";
import { converse } from "../labs/conversation.ts";
import { executable } from "../labs/executable.ts";
import { RpcProcess } from "../labs/rpc-process.ts";

const OBJECT = join(resolve(import.meta.dir, "../.."), "dist/bpf/examples/packet_counter.bpf.o");
const ENV = { PATH: process.env.PATH ?? "" };
const WAITING = "waiting for JSON-RPC on stdin";

buildBpf();
const bpfman = executable();
const command = (...args: string[]): string[] => bpfman.command("rpc", ...args);
/** The server on a terminal of its own, which script(1) makes; both of its outputs come from there. */
const onTerminal = () =>
  converse(["script", "--quiet", "--return", "--command", command().join(" "), "/dev/null"], ENV);

test("empty tables as Lua's encoders write them, wherever they stand", async () => {
  const server = new RpcProcess(command("--stdio"));
  await server.result("initialize", { clientInfo: { name: "Neovim", version: "0.12.0" }, capabilities: {} });
  server.notify("initialized", []);
  const { programs } = await server.result<LoadAnswer>("program/load", {
    ...{ source: { file: OBJECT }, programs: [{ type: "tracepoint", name: "count_openat" }] },
    ...{ globalData: [], metadata: [] },
  });
  const programId = programs[0]?.record?.program_id;
  const { record } = await server.result<{ record: { id: number } }>("link/attach", {
    ...{ programId, attach: { kind: "tracepoint", tracepoint: "syscalls/sys_enter_openat" }, metadata: [] },
  });
  const listed = await server.result<ProgramListAnswer>("program/list", []);
  expect(listed.programs.map((each) => each.program_id)).toEqual([programId ?? 0]);
  await server.result("link/detach", { linkId: record.id });
  expect(await server.failure("program/unload", { program_id: programId })).toMatchObject({
    ...{ code: -32602, message: 'unknown field "program_id"' },
    data: { hint: 'did you mean "programId"?', details: { field: "program_id" } },
  });
  await server.result("program/unload", { programId });
  await server.result("shutdown", []);
  server.notify("exit", []);
  expect(await server.ended).toMatchObject({ code: 0, error: "" });
  await bpfman.expectNothingLeft();
});

test("the session ends with the process of --clientProcessId, whatever initialize says", async () => {
  const parent = Bun.spawn(["sleep", "1000"]);
  const server = new RpcProcess(command("--stdio", `--clientProcessId=${parent.pid}`));
  await server.result("initialize", { processId: process.pid, capabilities: {} });
  parent.kill("SIGKILL");
  expect(await server.ended).toMatchObject({ code: 0, error: "" });
});

test("a process of --clientProcessId that is not there: an error that says so, and no session", async () => {
  const server = new RpcProcess(command(`--clientProcessId=${2 ** 31 - 1}`));
  const { code, frames, error } = await server.ended;
  expect({ code, frames }).toEqual({ code: 2, frames: [] });
  expect(error).toContain("serve the client with pid 2147483647: no such process here");
  expect(error).toContain("another PID namespace");
});

test("bare JSON while the input stays open: the answer says what is missing, and the session ends", async () => {
  const server = new RpcProcess(command());
  server.raw('{"jsonrpc":"2.0","id":1,"method":"version"}\n');
  const { code, error } = await server.ended;
  expect({ code, error }).toEqual({ code: 1, error: "" });
  const { error: refused } = await server.heard.reply(null);
  expect(refused?.code).toBe(-32700);
  expect(refused?.message).toContain('the header is missing: each message begins with "Content-Length: N"');
});

test("on a terminal it says in one line what it waits for; Ctrl-D ends it", async () => {
  const terminal = onTerminal();
  expect(await terminal.line()).toBe(`${WAITING}, framed as in LSP; Ctrl-D ends the session\r`);
  terminal.say("\u0004");
  expect(await terminal.end()).toMatchObject({ code: 0 });
});

test("a frame that is typed on a terminal is answered", async () => {
  const terminal = onTerminal();
  await terminal.line();
  const body = '{"jsonrpc":"2.0","id":1,"method":"initialize"}';
  terminal.say(`Content-Length: ${body.length}\n\n${body}`);
  let said = "";
  while (!said.startsWith("Content-Length: ") || said.includes(String(body.length))) said = await terminal.line();
  await terminal.line();
  terminal.say("\u0004");
  const { out } = await terminal.end();
  expect(out).toContain('"serverInfo":{"name":"bpfman"');
});

test("where nobody looks it says nothing", async () => {
  const child = Bun.spawn(command(), { stdio: ["ignore", "pipe", "pipe"] });
  expect([await child.exited, await child.stdout.text(), await child.stderr.text()]).toEqual([0, "", ""]);
});
