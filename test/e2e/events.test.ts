/** Events of programs, what they print, and changes, as `events`, `trace` and `watch` and JSON-RPC clients get them: exact numbers. */
import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { closeSync, constants, openSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { type Client, RpcError, startClient } from "../../rpc/client/client.ts";
import type { MapEventAnswer, TraceLineAnswer } from "../../src/domain/answer.ts";
import { buildBpf } from "../../scripts/build-bpf.ts";
import { executable, type Started } from "../labs/executable.ts";
import { counters, sh, until } from "../labs/kernel-lab.ts";
import { RpcProcess } from "../labs/rpc-process.ts";

buildBpf();
const fixture = (name: string): string => resolve(import.meta.dir, `../../dist/bpf/fixtures/${name}.bpf.o`);
const OBJECT = fixture("events");
const PROCESSORS = readdirSync("/sys/devices/system/cpu").filter((name) => /^cpu\d+$/.test(name)).length;
const bpfman = executable();

interface Loaded {
  readonly id: number;
  /** Runs it so often, on one packet of 64 bytes. */
  run(times: number, cpu?: number): void;
  /** How many events it made, and how many of these found no room. */
  tally(): { readonly made: number; readonly refused: number };
}

async function load(name: string, object = OBJECT): Promise<Loaded> {
  const [program] = await bpfman.load(object, "--programs", `xdp:${name}`);
  const id = program?.record?.program_id ?? 0;
  const packet = bpfman.path("packet");
  writeFileSync(packet, Buffer.alloc(64));
  const tally = program?.status.maps.find((map) => map.name === "tally")?.id ?? 0;
  return {
    id,
    run(times, cpu) {
      const command = ["bpftool", "prog", "run", "id", String(id), "data_in", packet, "repeat", String(times)];
      sh(...(cpu === undefined ? [] : ["taskset", "-c", String(cpu)]), ...command);
    },
    tally() {
      const [made = 0, refused = 0] = counters(tally);
      return { made, refused };
    },
  };
}

const linesOf = <T = MapEventAnswer>(out: string): T[] =>
  out
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line));
const numbered = (number: number) => ({ number, bytes: 64, name: "veth0", last: number % 10 === 9 });
const isEvent = ({ event }: MapEventAnswer): boolean => event !== undefined;
const upTo = (count: number): number[] => [...Array(count).keys()];

/** What the descriptors of a process refer to. */
function descriptors(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`);
    } catch {
      return [];
    }
  });
}

/** Waits until the command reads perf buffers, one for each processor. */
async function reading(started: Started): Promise<void> {
  await until(() => descriptors(started.pid).filter((link) => link.includes("perf_event")).length === PROCESSORS);
}

describe("a ring buffer", () => {
  test("gives each event once, with all its members, in order", async () => {
    const { id, run } = await load("to_ring");
    run(5);
    const some = linesOf(await bpfman.ok("events", String(id), "--count", "3"));
    expect(some).toEqual([0, 1, 2].map((number) => ({ event: numbered(number) })));
    const waiting = bpfman.start("map", "events", `${id}/ring`, "--count", "1002");
    run(1000);
    const { code, out, error } = await waiting.ended;
    expect({ code, error }).toEqual({ code: 0, error: "" });
    expect(linesOf(out)).toEqual(
      upTo(1005)
        .slice(3)
        .map((number) => ({ event: numbered(number) })),
    );
    expect(await bpfman.ok("events", "to_ring", "--for", "0")).toBe("");
  });

  test("shows events of another size as bytes, and none that were discarded, even if nobody is woken for them", async () => {
    const { id, run } = await load("to_small");
    run(12);
    const { code, out, error } = await bpfman.run("events", String(id), "--for", "50ms", "-o", "json");
    expect(linesOf(out)).toEqual([
      ...[0, 1].map((number) => ({ event: numbered(number) })),
      { raw: "3500" },
      { event: numbered(4) },
      { raw: "3500" },
      { event: numbered(6) },
      { raw: "3500" },
      ...[9, 10].map((number) => ({ event: numbered(number) })),
    ]);
    expect(code).toBe(0);
    expect(error).toContain("an event has 2 bytes, but struct event has 24");
    run(1);
    expect(await bpfman.ok("events", String(id), "--raw", "--count", "1")).toBe(
      `{"raw":"0c000000000000004000000076657468300000000000${"00".repeat(2)}"}\n`,
    );
  });

  test("that was full says so, where it was, and loses nothing that is in it", async () => {
    const { id, run, tally } = await load("to_ring");
    run(3000);
    const { made, refused } = tally();
    expect({ made, isFull: refused > 0 }).toEqual({ made: 3000, isFull: true });
    const { out, error } = await bpfman.run("events", String(id), "--for", "0.2");
    const lines = linesOf(out);
    expect(lines.filter(isEvent)).toHaveLength(3000 - refused);
    expect(lines.filter(({ lost }) => lost === null)).toHaveLength(1);
    expect(error).toContain("events may be lost");
    run(1500);
    expect(linesOf(await bpfman.ok("events", String(id), "--for", "0.2"))).toHaveLength(1500);
  });

  test("is written into a pipe in few pieces, and other processes' descriptors of it stay as they are", async () => {
    const { id, run } = await load("to_ring");
    run(1500);
    const trace = bpfman.path("trace");
    const words = [
      "strace",
      "-qq",
      "-e",
      "trace=write",
      "-o",
      trace,
      ...bpfman.command("events", String(id), "--count", "1500"),
    ];
    const flags = `grep flags /proc/self/fdinfo/1 >&2`;
    const child = Bun.spawn(["sh", "-c", `(${flags}; "$@"; ${flags}) | cat`, "sh", ...words], { stderr: "pipe" });
    const [out, error] = [await new Response(child.stdout).text(), await new Response(child.stderr).text()];
    expect(linesOf(out)).toHaveLength(1500);
    const [before = "", after = ""] = error.trim().split("\n");
    expect(before).toMatch(/^flags:/);
    expect(after).toBe(before);
    const sizes = [...readFileSync(trace, "utf8").matchAll(/^write\(\d+, "\{.* = (\d+)$/gm)].map(([, size]) =>
      Number(size),
    );
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(out.length);
    expect(Math.max(...sizes)).toBeGreaterThan(32 * 1024);
  });

  test("that another process reads is read with a warning, which names it", async () => {
    const { id, run } = await load("to_ring");
    const other = bpfman.start("events", String(id));
    await until(() => readFileSync(`/proc/${other.pid}/maps`, "utf8").includes("bpf-map"));
    const { code, error } = await bpfman.run("events", String(id), "--for", "0");
    expect({ code, error }).toEqual({
      code: 0,
      error: expect.stringContaining(`process ${other.pid} (bpfman) reads map`),
    });
    run(1);
    other.kill("SIGTERM");
    expect(await other.ended).toMatchObject({
      code: 130,
      out: `{"event":${JSON.stringify(numbered(0))}}\n`,
      error: "",
    });
  });

  test("whose programs are unloaded ends the reading with an error, and what was printed is valid", async () => {
    const { id, run } = await load("to_ring");
    run(2);
    const reader = bpfman.start("events", String(id), "--error-format", "json");
    await until(() => readFileSync(`/proc/${reader.pid}/maps`, "utf8").includes("bpf-map"));
    await bpfman.ok("unload", String(id));
    const { code, out, error } = await reader.ended;
    expect(linesOf(out)).toHaveLength(2);
    expect({ code, error: JSON.parse(error).error }).toMatchObject({ code: 3, error: { code: "MAP_NOT_FOUND" } });
  });
});

describe("a perf buffer", () => {
  test("of each processor gives its events, in order", async () => {
    const { id, run } = await load("to_perf");
    const cpus = [0, PROCESSORS - 1];
    const reader = bpfman.start("events", String(id), "--count", "600");
    await reading(reader);
    for (const cpu of cpus) run(300, cpu);
    const { code, out, error } = await reader.ended;
    expect({ code, error }).toEqual({ code: 0, error: "" });
    const lines = linesOf(out);
    const numbers = lines.map(({ event }) => (event as { number: number }).number);
    expect(numbers.toSorted((a, b) => a - b)).toEqual(upTo(600));
    expect(lines.every(({ cpu, event }) => cpu === cpus[(event as { number: number }).number < 300 ? 0 : 1])).toBe(
      true,
    );
  });

  test("counts exactly what is lost", async () => {
    const { id, run, tally } = await load("to_perf");
    const reader = bpfman.start("events", String(id), "--for", "30s");
    await reading(reader);
    reader.kill("SIGSTOP");
    run(20_000, 0);
    reader.kill("SIGCONT");
    const { refused } = tally();
    expect(refused).toBeGreaterThan(0);
    await Bun.sleep(1500);
    reader.kill("SIGINT");
    const { code, out, error } = await reader.ended;
    const lines = linesOf(out);
    const lost = lines.reduce((sum, line) => sum + (line.lost ?? 0), 0);
    expect({ code, read: lines.filter(isEvent).length, lost }).toEqual({
      code: 130,
      read: 20_000 - refused,
      lost: refused,
    });
    expect(error).toContain(`${refused} events were lost`);
  });

  test("has one reader; a killed one leaves nothing", async () => {
    const { id, run, tally } = await load("to_perf");
    const first = bpfman.start("events", String(id));
    await reading(first);
    const refused = await bpfman.refused(5, "EVENTS_TAKEN", "events", String(id), "--for", "0");
    expect(refused.details).toMatchObject({ pid: first.pid });
    run(1, 0);
    expect(tally()).toEqual({ made: 1, refused: 0 });
    const second = bpfman.start("events", String(id), "--foreign", "--count", "1");
    await reading(second);
    run(1, 0);
    const { out, error } = await second.ended;
    expect(linesOf(out)).toEqual([{ cpu: 0, event: numbered(1) }]);
    expect(error).toContain(`process ${first.pid} (bpfman) reads map`);
    expect(error).toContain("it gets no more events");
    first.kill("SIGKILL");
    await first.ended;
    // Nobody is there to take it.
    run(1, 0);
    expect(tally()).toEqual({ made: 3, refused: 1 });
  });
});

describe("the type of events", () => {
  test("that is not known is said, and they are bytes", async () => {
    const { id, run } = await load("reports", fixture("untyped_events"));
    run(1);
    const { out, error } = await bpfman.run("events", String(id), "--count", "1");
    expect(out).toBe('{"raw":"40000000"}\n');
    expect(error).toContain("is not known: they are shown as bytes");
    run(1);
    expect(await bpfman.ok("events", String(id), "--type", "__u32", "--count", "1")).toBe('{"event":64}\n');
    const { hint } = await bpfman.refused(3, "TYPE_NOT_FOUND", "events", String(id), "--type", "event");
    expect(hint).toContain("there are: xdp_md");
  });

  test("is chosen where several are possible, and found where the map says it", async () => {
    const { id, run } = await load("reports", fixture("several_events"));
    const { message, hint } = await bpfman.refused(1, "MAP_AMBIGUOUS", "events", String(id));
    expect(`${message} ${hint}`).toMatch(/has 2 buffers of events: .*\(unclear\).* PROGRAM_ID\/NAME/);
    const reader = bpfman.start("events", `${id}/clear`, "--count", "1");
    await reading(reader);
    run(1, 0);
    expect((await reader.ended).out).toBe('{"cpu":0,"event":{"bytes":64}}\n');
    const two = ["--type", "opened", "--type", "declared"];
    const alike = await bpfman.refused(1, "TYPE_AMBIGUOUS", "events", `${id}/unclear`, ...two);
    expect(alike.details).toMatchObject({ types: ["struct declared", "struct opened"] });
    // Each by its size, and all of another size as bytes.
    expect(await bpfman.ok("events", `${id}/unclear`, "--count", "2")).toBe(
      '{"type":"struct closed","event":{"pid":7,"code":64}}\n{"type":"struct opened","event":{"pid":9}}\n',
    );
    run(1, 0);
    const { out, error } = await bpfman.run("events", `${id}/unclear`, "--type", "struct opened", "--count", "2");
    expect(out).toBe('{"raw":"0700000040000000"}\n{"event":{"pid":9}}\n');
    expect(error).toContain("an event has 8 bytes");
    const completed = (word: string) =>
      bpfman.ok("__complete", "words", "--", "events", `${id}/unclear`, "--type", word);
    expect(await completed("")).toMatch(/^closed\t$\n^opened\t$/m);
    expect(await completed("xdp")).toContain("xdp_md");
  });
});

test("what has no events is refused, and says what has", async () => {
  const { id } = await load("prints");
  expect((await bpfman.refused(1, "NOT_SUPPORTED", "events", `${id}/tally`)).hint).toContain("map dump");
  expect((await bpfman.refused(3, "MAP_NOT_FOUND", "events", String(id))).hint).toContain("bpfman trace");
  for (const named of [String(id), "prints"])
    expect((await bpfman.refused(3, "MAP_NOT_FOUND", "events", named)).message).toContain(
      `program ${id} (prints) has no`,
    );
  await bpfman.refused(3, "MAP_NOT_FOUND", "events", "nothing");
  const pin = `${bpfman.runtimeDir}/fs/prog_${id}`;
  expect((await bpfman.refused(5, "STATE_CONFLICT", "events", pin)).hint).toContain("bpfman map list");
  const { id: both } = await load("to_both");
  bpfman.env.BPFMAN_RUNTIME_DIR = bpfman.runtimeDir;
  const offered = (await bpfman.ok("__complete", "words", "--", "events", "")).split("\n");
  expect(offered).toEqual(expect.arrayContaining([expect.stringMatching(/^ring\t/), `${both}\tto_both (xdp)`]));
});

test("a reader ends with whatever reads its output, even if nothing comes any more", async () => {
  const { id, run } = await load("to_ring");
  run(2);
  const { stdout } = Bun.spawnSync(
    ["sh", "-c", `{ "$@"; echo "ended with $?" >&2; } | head -n 1`, "sh", ...bpfman.command("events", String(id))],
    { stderr: "inherit" },
  );
  expect(stdout.toString()).toBe(`{"event":${JSON.stringify(numbered(0))}}\n`);
});

describe("trace", () => {
  test("prints what programs print, as text and as JSON, and mounts nothing", async () => {
    const mounts = (): string[] => readFileSync("/proc/self/mountinfo", "utf8").match(/ - tracefs .*/g) ?? [];
    const before = mounts();
    const { run } = await load("prints");
    run(3, 0);
    const lines = await bpfman.ok("trace", "--count", "3");
    expect(lines).toMatch(/^(bpftool-\d+ \[000\] \d+\.\d{6}: number [012] of veth0: done\n){3}$/);
    run(2, 0);
    const read = linesOf<TraceLineAnswer>(await bpfman.ok("trace", "--count", "2", "-o", "json"));
    expect(read).toEqual(
      [3, 4].map((number) => ({
        ...{ task: "bpftool", pid: expect.any(Number), cpu: 0, at_seconds: expect.any(Number) },
        message: `number ${number} of veth0: done`,
      })),
    );
    expect(await bpfman.ok("trace", "--for", "50ms")).toBe("");
    const reader = bpfman.start("trace");
    await until(() => descriptors(reader.pid).some((link) => link.endsWith("/trace_pipe")));
    // Some kernels let only one process read, others give each line to one of them.
    const other = await bpfman.run("trace", "--for", "0");
    const reading = `process ${reader.pid} (bpfman)`;
    expect(
      [`${reading} reads trace_pipe, too`, `stop ${reading} first`].filter((words) => other.error.includes(words)),
    ).toEqual([other.code === 0 ? `${reading} reads trace_pipe, too` : `stop ${reading} first`]);
    reader.kill("SIGINT");
    expect(await reader.ended).toMatchObject({ code: 130, out: "", error: "" });
    expect(mounts()).toEqual(before);
  });
});

describe("watch", () => {
  test("prints each change of any process, and goes on after the last one that was seen", async () => {
    await bpfman.begin();
    const watching = bpfman.start("watch", "--count", "2", "-o", "json");
    const text = bpfman.start("watch", "--count", "2");
    for (const { pid } of [watching, text])
      await until(() => descriptors(pid).some((link) => link.includes("inotify")));
    const { id } = await load("prints");
    await bpfman.ok("unload", String(id));
    const { code, out, error } = await watching.ended;
    expect({ code, error }).toEqual({ code: 0, error: "" });
    const changes = linesOf<{ readonly kind: string; readonly sequence: number; readonly program_id: number }>(out);
    expect(changes.map(({ kind, program_id }) => [kind, program_id])).toEqual([
      ["program/didLoad", id],
      ["program/didUnload", id],
    ]);
    expect((await text.ended).out).toMatch(
      new RegExp(`^\\S+Z loaded program ${id} \\(xdp prints\\)\n\\S+Z unloaded program ${id} \\(xdp prints\\)\n$`),
    );
    const again = await bpfman.ok("watch", "--since", String(changes[0]?.sequence), "--count", "1", "-o", "json");
    expect(linesOf<unknown>(again)).toEqual([changes[1]]);
    expect(await bpfman.ok("watch", "--for", "50ms")).toBe("");
  });

  test("says what it cannot know any more: behind a log that was cut short, and behind a number of another log", async () => {
    const ids = [(await load("prints")).id, (await load("prints")).id, (await load("prints")).id];
    const database = new Database(`${bpfman.runtimeDir}/state/bpfman.db`);
    database.run("DELETE FROM changes WHERE sequence < 3");
    database.close();
    const cut = await bpfman.run("watch", "--since", "0", "--count", "1", "-o", "json");
    expect(linesOf(cut.out)).toMatchObject([
      { kind: "events/didDrop", count: 2, sequence: 2 },
      { kind: "program/didLoad", sequence: 3, program_id: ids[2] },
    ]);
    expect(cut.error).toContain("not all changes after number 0 are known any more, and the newest one is 3: see");
    expect(await bpfman.run("watch", "--since", "2", "--count", "1")).toMatchObject({ code: 0, error: "" });
    const other = await bpfman.run("watch", "--since", "77", "--for", "50ms");
    expect({ code: other.code, out: other.out }).toEqual({ code: 0, out: "" });
    expect(other.error).toContain("not all changes after number 77 are known any more, and the newest one is 3: see");
  });

  test("takes no time for a number", async () => {
    const { code, error } = await bpfman.run("watch", "--since", "1h");
    expect(code).toBe(2);
    expect(error).toContain('for a time, type "bpfman history --since 1h"');
  });

  test("ends with an error where nothing can be written, rather than go on unheard", async () => {
    await load("prints");
    const words = bpfman.command("watch", "--since", "0", "--for", "1m", "--error-format", "json");
    const { exitCode, stderr } = Bun.spawnSync(["sh", "-c", '"$@" > /dev/full', "sh", ...words]);
    expect([exitCode, JSON.parse(stderr.toString()).error.code]).toEqual([1, "IO_FAILED"]);
  });
});

/** Ends a command by SIGTERM once it waits for a reader that has paused: `whenWaiting` returns then. */
async function expectEndWhilePaused(
  words: readonly string[],
  whenWaiting: (pid: number, pipe: string) => Promise<void>,
): Promise<void> {
  const pipe = bpfman.path("pipe");
  sh("mkfifo", pipe);
  const reader = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK);
  const child = Bun.spawn(["sh", "-c", `exec "$@" > '${pipe}'`, "sh", ...bpfman.command(...words)]);
  try {
    await whenWaiting(child.pid, pipe);
    child.kill("SIGTERM");
    await child.exited;
    expect(child.signalCode).toBe("SIGTERM");
  } finally {
    child.kill("SIGKILL");
    await child.exited;
    closeSync(reader);
  }
}

test("a reader that pauses does not keep signals from ending the command", async () => {
  // More than the 64 KiB of a pipe.
  for (let i = 0; i < 5; i++) await bpfman.load(OBJECT, "--programs", "all", "-m", `note=${"x".repeat(4000)}`);
  // Not in epoll_wait(2), as while it waits for changes.
  await expectEndWhilePaused(["watch", "--since", "0", "-o", "json"], (pid) =>
    until(() => /sys_poll|poll_schedule|pipe_write/.test(readFileSync(`/proc/${pid}/wchan`, "utf8"))),
  );
});

test("neither does one that has left the widened pipe of events full", async () => {
  const { id, run } = await load("to_ring");
  await expectEndWhilePaused(["events", String(id)], async (pid, pipe) => {
    await until(() => descriptors(pid).filter((link) => link === pipe).length === 2);
    let isWaiting = false;
    for (let i = 0; i < 100 && !isWaiting; i++) {
      run(1500);
      await Bun.sleep(50);
      // With the signals' default actions: it waits for room, not for events.
      const caught = /^SigCgt:\s*(\w+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "";
      isWaiting = (BigInt(`0x${caught}`) & (1n << 14n)) === 0n;
    }
    expect(isWaiting).toBe(true);
  });
});

describe("over JSON-RPC", () => {
  async function session(): Promise<Client> {
    const [command = "", ...args] = bpfman.command("rpc");
    return startClient({ command: [command, ...args] });
  }

  test("results come as fast as they are taken, others are answered meanwhile, and a cancelled request ends", async () => {
    const { id, run, tally } = await load("to_ring");
    const client = await session();
    const taken: MapEventAnswer[] = [];
    const stop = new AbortController();
    const { promise: taking, resolve: take } = Promise.withResolvers<void>();
    const stream = client.stream(
      "map/events",
      { source: id },
      async (results) => {
        taken.push(...results);
        expect(results.filter(isEvent).length).toBeLessThanOrEqual(10);
        if (taken.filter(isEvent).length === 10) await taking;
      },
      { signal: stop.signal, window: 10 },
    );
    const ended = stream.then(
      () => null,
      (cause) => cause,
    );
    run(3000);
    await until(() => taken.filter(isEvent).length === 10);
    // The window is used up: what is not taken stays in the buffer, until that is full.
    expect((await client.call("version")).version).not.toBe("");
    run(1000);
    const { made, refused } = tally();
    expect(refused).toBeGreaterThan(0);
    expect(taken.filter(isEvent)).toHaveLength(10);
    take();
    await until(() => taken.filter(isEvent).length === made - refused);
    expect(taken.filter(({ lost }) => lost === null).length).toBeGreaterThan(0);
    stop.abort();
    const cause = await ended;
    expect(cause).toBeInstanceOf(RpcError);
    expect(cause).toMatchObject({ code: -32800, data: { details: { read: made - refused, lost: null } } });

    const failing = { source: id, stream: { token: "t", credits: -1 } };
    await expect(client.call("map/events", failing)).rejects.toMatchObject({ code: -32602 });
    // Without a stream, the answer has all of them.
    run(2);
    const answer = await client.call("map/events", { source: id, count: 2 });
    expect(answer).toMatchObject({ type: "struct event", ended: "count", read: 2, lost: 0, readers: [] });
    expect(answer.events).toEqual([made, made + 1].map((number) => ({ event: numbered(number) })));
    await client.dispose();
  });

  test("a request without an end ends with the session, one with a time is answered first", async () => {
    const { id, run } = await load("to_ring");
    const server = new RpcProcess(bpfman.command("rpc"));
    await server.initialize();
    const stream = { token: 1, credits: 10 };
    const endless = server.call("map/events", { source: id, stream });
    run(1);
    await until(() => server.heard.notifications("stream/didRead").length > 0);
    await expect(server.call("trace", { stream })).resolves.toMatchObject({ error: { code: -32602 } });
    const timed = server.call("map/events", { source: id, forMs: 300 });
    await server.call("version", {});
    const ended = server.close();
    expect(await endless).toMatchObject({ error: { code: -32800, data: { code: "CANCELLED", details: { read: 1 } } } });
    expect(await timed).toMatchObject({ result: { ended: "time", read: 0 } });
    expect(await ended).toMatchObject({ code: 0 });
  });

  test("lines of the trace come in the same way", async () => {
    const { run } = await load("prints");
    const client = await session();
    run(3);
    const lines: TraceLineAnswer[] = [];
    const { read } = await client.stream("trace", { count: 3 }, (some) => void lines.push(...some));
    expect([read, lines.map(({ message }) => message)]).toEqual([
      3,
      upTo(3).map((number) => `number ${number} of veth0: done`),
    ]);
    await client.dispose();
  });
});
