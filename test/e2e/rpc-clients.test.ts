/** Clients of all kinds against the executable on the real kernel; bpftool and map counters verify the effects. */
import { beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, closeSync, cpSync, openSync } from "node:fs";
import { join, resolve } from "node:path";
import { startClient } from "../../rpc/client/client.ts";
import { buildBpf } from "../../scripts/build-bpf.ts";
import { type Conversation, converse } from "../labs/conversation.ts";
import { BPFMAN, executable } from "../labs/executable.ts";
import { bpftool, counters, inKernel, until } from "../labs/kernel-lab.ts";
import { realNode } from "../labs/node.ts";
import { temporaryDirectory } from "../labs/temporary-directory.ts";

const ROOT = resolve(import.meta.dir, "../..");
const OBJECT = join(ROOT, "dist/bpf/examples/packet_counter.bpf.o");
/** Slot of the map counters in examples/bpf/packet_counter.bpf.c. */
const OPENS = 2;
const ENV = { PATH: process.env.PATH ?? "" };

buildBpf();
const bpfman = executable();
const directory = temporaryDirectory();

function openFiles(times: number): void {
  for (let time = 0; time < times; time++) closeSync(openSync("/dev/null", "r"));
}
const opensOf = (map: number): number => counters(map)[OPENS] ?? -1;

/** Counts while it is attached, and says what bpftool sees of it. */
function expectCounting(program: number, map: number): void {
  expect(bpftool("prog", "show", "id", String(program))).toMatchObject({ name: "count_openat", type: "tracepoint" });
  const before = opensOf(map);
  openFiles(25);
  expect(opensOf(map)).toBeGreaterThanOrEqual(before + 25);
}

test("a Python script of raw frames drives the whole life of a program", async () => {
  const script = converse(
    ["python3", join(ROOT, "test/fixtures/rpc/raw_client.py"), OBJECT, ...bpfman.command("rpc")],
    ENV,
  );
  const attached: { program: number; link: number; map: number } = JSON.parse(await script.line());
  expect(attached).toMatchObject({ phase: "attached" });
  expect(bpftool("link", "show", "id", String(attached.link))).toMatchObject({ prog_id: attached.program });
  expectCounting(attached.program, attached.map);
  script.say("");

  expect(JSON.parse(await script.line())).toEqual({ phase: "detached", program: attached.program });
  expect(inKernel("link", attached.link)).toBe(false);
  const still = opensOf(attached.map);
  openFiles(25);
  expect(opensOf(attached.map)).toBe(still);
  script.say("");

  expect(JSON.parse(await script.line())).toEqual({ phase: "unloaded" });
  expect(inKernel("prog", attached.program)).toBe(false);
  script.say("");
  expect(await script.end()).toEqual({ code: 0, out: "", error: "" });
  await bpfman.expectNothingLeft();
});

test("the bundled client works in Node.js without any package", async () => {
  const script = join(ROOT, "test/fixtures/rpc/node_client.mjs");
  const command = [realNode(), script, join(ROOT, "dist/client.js"), OBJECT, ...bpfman.command("rpc")];
  const { code, out, error } = await converse(command, ENV).end();
  expect({ code, error }).toEqual({ code: 0, error: "" });
  expect(JSON.parse(out)).toEqual({
    bun: null,
    listed: ["count_openat"],
    seen: ["program/didLoad", "link/didAttach", "link/didDetach", "program/didUnload"],
    progress: expect.arrayContaining(["begin", "end"]),
    refused: { code: -31002, name: "PROGRAM_NOT_FOUND" },
    closed: "the server ended with exit code 0",
  });
  await bpfman.expectNothingLeft();
});

test("a session leaves the pipe that it shares as the shell had made it", () => {
  const words = bpfman.command("rpc").map((word) => Bun.$.escape(word));
  const script = `{ ${words.join(" ")} </dev/null; grep '^flags:' /proc/self/fdinfo/1; } | cat`;
  const { stdout } = Bun.spawnSync(["bash", "-c", script], { env: { ...ENV, ...bpfman.env } });
  // fdinfo has them in octal: O_WRONLY, and no O_NONBLOCK.
  expect(String(stdout)).toMatch(/^flags:\t01$/m);
});

test("a session that cannot write its replies says why, and fails", () => {
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params: {} });
  const full = openSync("/dev/full", "w");
  const { exitCode, stderr } = Bun.spawnSync(bpfman.command("rpc"), {
    env: { ...ENV, ...bpfman.env },
    stdio: [Buffer.from(`Content-Length: ${body.length}\r\n\r\n${body}`), full, "pipe"],
  });
  closeSync(full);
  expect(String(stderr)).toEndWith("ERROR write to standard output: ENOSPC: no space left on device\n");
  expect(exitCode).toBe(1);
});

describe("the client in Bun", () => {
  const start = () => {
    const [executable = "", ...args] = bpfman.command("rpc");
    return startClient({ command: [executable, ...args], cleanup: true });
  };

  test("hears of changes by commands, and finds those that it missed", async () => {
    const first = await start();
    const { sequence } = await (await first.events()).close().then(() => first.server);
    const [program] = await bpfman.load(OBJECT, "--programs", "tracepoint:count_openat");
    const id = program?.record?.program_id ?? 0;
    await first.dispose();

    const second = await start();
    const events = await second.events({ since: sequence });
    expect(events.complete).toBe(true);
    await bpfman.ok("unload", String(id));
    const heard: unknown[] = [];
    for await (const event of events) {
      heard.push({ kind: event.kind, id: "program_id" in event ? event.program_id : null });
      if (event.kind === "program/didUnload") break;
    }
    expect(heard).toEqual([
      { kind: "program/didLoad", id },
      { kind: "program/didUnload", id },
    ]);
    await second.dispose();
  });

  test("ends with what its session loaded; what others loaded stays", async () => {
    const [kept] = await bpfman.load(OBJECT, "--programs", "tracepoint:count_openat");
    const client = await start();
    const loaded = await client.call("program/load", {
      source: { file: OBJECT },
      programs: [{ type: "tracepoint", name: "count_openat" }],
    });
    expect((await bpfman.programs()).length).toBe(2);
    await client.dispose();
    expect(inKernel("prog", loaded.programs[0]?.record?.program_id ?? 0)).toBe(false);
    expect((await bpfman.programs()).map((program) => program.program_id)).toEqual([kept?.record?.program_id ?? 0]);
  });

  test("says which runtime directory is rejected, and why", async () => {
    const [executable = ""] = bpfman.command();
    const command = [executable, "rpc", "--runtime-dir"] as const;
    await expect(startClient({ command })).rejects.toThrow(/the server ended with exit code 2: error: .*--runtime-dir/);
  });
});

test("a session without root sees what everybody may see, and is denied the rest", async () => {
  const copy = directory.path("bpfman");
  chmodSync(directory.path(), 0o755);
  cpSync(BPFMAN, copy);
  const asNobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] as const;
  const client = await startClient({ command: [...asNobody, copy, "rpc"], env: ENV });
  expect(client.server).toMatchObject({ kernel: { btf: null, features: null }, sequence: null });
  expect(await client.call("version")).toMatchObject({ version: client.server.serverInfo.version, features: null });
  expect(await client.call("rpc.discover")).toMatchObject({ openrpc: "1.3.2" });
  const hint = "run it with sudo, or as a service with AmbientCapabilities=CAP_BPF";
  const refused = { code: -31005, data: { code: "PERMISSION_DENIED", kind: "permission", hint } };
  await expect(client.call("program/list")).rejects.toMatchObject(refused);
  await expect(client.events()).rejects.toMatchObject(refused);
  await client.dispose();
  expect(await client.closed).toBe("the server ended with exit code 0");
});

/** The examples say the same; only how they are started differs. */
const bundle = () => directory.path("parent.mjs");
const PARENTS: readonly (readonly [name: string, command: () => string[]])[] = [
  ["TypeScript, in Bun", () => [process.execPath, join(ROOT, "examples/parent-process/parent.ts")]],
  ["TypeScript, bundled for Node.js", () => [realNode(), bundle()]],
  ["Python", () => ["python3", join(ROOT, "examples/parent-process/parent.py")]],
];

describe.each(PARENTS)("the parent process in %s", (_name, command) => {
  beforeEach(async () => {
    const entrypoints = [join(ROOT, "examples/parent-process/parent.ts")];
    const built = await Bun.build({ entrypoints, target: "node", outdir: directory.path(), naming: "parent.mjs" });
    expect(built.success).toBe(true);
  });

  /** Runs it up to where it waits for Enter. */
  async function untilAttached(): Promise<{ parent: Conversation; lines: string[]; program: number; map: number }> {
    const parent = converse([...command(), OBJECT, ...bpfman.command("rpc")], ENV);
    const lines: string[] = [];
    while (!lines.at(-1)?.includes("press Enter")) lines.push(await parent.line());
    const program = Number(/^program (\d+) runs/.exec(lines.at(-1) ?? "")?.[1]);
    const maps: readonly number[] = bpftool("prog", "show", "id", String(program)).map_ids;
    const map = maps.find((id) => bpftool("map", "show", "id", String(id)).name === "counters") ?? 0;
    return { parent, lines, program, map };
  }

  test("loads, attaches, hears of it, and takes it away", async () => {
    const { parent, lines, program, map } = await untilAttached();
    expect(lines[0]).toMatch(/^bpfman \d+\.\d+\.\d+ on Linux \d/);
    expect(lines[1]).toMatch(new RegExp(`^event \\d+: program/didLoad of program ${program}$`));
    expect(lines[2]).toMatch(new RegExp(`^event \\d+: link/didAttach of program ${program}$`));
    expectCounting(program, map);
    parent.say("");
    const { code, out, error } = await parent.end();
    expect({ code, error }).toEqual({ code: 0, error: "" });
    expect(out.replaceAll(/\d+/g, "N")).toBe(
      "event N: link/didDetach of program N\nevent N: program/didUnload of program N\n",
    );
    await bpfman.expectNothingLeft();
  });

  test("leaves nothing when it is killed", async () => {
    const { parent, program, map } = await untilAttached();
    expectCounting(program, map);
    parent.kill("SIGKILL");
    await parent.end();
    await until(() => !inKernel("prog", program));
    await until(() => !inKernel("map", map));
  });

  test("shows what went wrong, and what to do", async () => {
    const missing = directory.path("missing.o");
    const { code, out, error } = await converse([...command(), missing, ...bpfman.command("rpc")], ENV).end();
    expect({ code, out: out.split("\n").length }).toEqual({ code: 1, out: 2 });
    expect(error).toContain("missing.o");
    expect(error).toMatch(/^hint: /m);
  });
});
