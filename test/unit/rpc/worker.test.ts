import { afterEach, expect, test } from "bun:test";
import { join } from "node:path";
import { withWorker } from "../../../rpc/worker.ts";
import { WORKER_SILENCE_TIMEOUT_MS } from "../../../src/domain/limits.ts";
import type { LogLevel, LogPort } from "../../../src/domain/log.ts";
import type { Settings } from "../../../src/domain/settings.ts";
import type { BpfmanError } from "../../../src/errors/error.ts";
import type { Invoke } from "../../../src/service/invoke.ts";
import type { SessionService } from "../../../src/service/session.ts";
import type { Wish } from "../../labs/worker-process.ts";

const SCRIPT = join(import.meta.dir, "../../labs/worker-process.ts");
const processes: Bun.Subprocess<"pipe", "pipe", "inherit">[] = [];

afterEach(async () => {
  for (const each of processes.splice(0)) {
    each.kill("SIGKILL");
    await each.exited;
  }
});

function session({ idleMs = 60_000, command = [process.execPath, SCRIPT], level = "debug" as LogLevel } = {}) {
  const logged: unknown[] = [];
  const warn: LogPort["warn"] = (message, facts) => logged.push([message, facts]);
  const log: LogPort = { level, error: warn, warn, info: warn, debug: warn };
  const own = { log, invoke: async (name: string) => `${name} by the server`, release: async () => {} };
  const service = withWorker(own as unknown as SessionService, {
    beginning: { settings: {} as Settings, parentPid: 1 },
    idleMs,
    start() {
      const started = Bun.spawn(command, { stdio: ["pipe", "pipe", "inherit"] });
      processes.push(started);
      return started;
    },
  });
  const change = (wish: Wish, context: Parameters<Invoke>[2] = {}) =>
    service.invoke("program/load", wish, context) as Promise<unknown>;
  return { service, change, logged };
}
const failure = (running: Promise<unknown>): Promise<BpfmanError> =>
  running.then(
    (answer) => Promise.reject(new Error(`it answered ${JSON.stringify(answer)}`)),
    (thrown) => thrown,
  );

test("reads stay in the server, and only a change starts a worker, which is kept", async () => {
  const { service, change } = session();
  expect(await service.invoke("program/list", {})).toBe("program/list by the server" as never);
  await service.release("owner", null);
  expect(processes).toHaveLength(0);
  expect(await change({ answer: { a: "ü\n" } })).toEqual({ a: "ü\n" });
  expect(await change({ answer: 2 })).toBe(2);
  await service.release("owner", null);
  expect(processes).toHaveLength(1);
});

test("a change reports as it does in the server", async () => {
  const { change, logged } = session();
  const told: string[] = [];
  await change({}, { operationId: "7", owner: "4:5:6", progress: (message) => told.push(message) });
  expect(told).toEqual(["half done"]);
  expect(logged).toEqual([["program/load for 4:5:6", { operation: "7" }]]);
});

test("what the log would drop is not passed on, unless the change has a log of its own", async () => {
  const { change, logged } = session({ level: "off" });
  await change({});
  expect(logged).toEqual([]);
  const own: unknown[] = [];
  const note: LogPort["warn"] = (message) => own.push(message);
  await change({}, { owner: "4:5:6", log: { level: "trace", error: note, warn: note, info: note, debug: note } });
  expect(own).toEqual(["program/load for 4:5:6"]);
});

test("a failure is passed on whole, with a verifier log of megabytes", async () => {
  const { change } = session();
  const error = await failure(change({ logChars: 20_000_000 }));
  const { code, message, hint, sys, details, verifierLog } = error;
  expect({ code, message, hint, sys, details }).toEqual({
    ...{ code: "VERIFIER_REJECTED", message: "no", hint: "do", details: { at: [1] } },
    sys: { call: "bpf", errno: 22, name: "EINVAL" },
  });
  expect(verifierLog === "\n".repeat(20_000_000)).toBe(true);
});

test("a worker without anything to do ends, and the next change starts another", async () => {
  const { change } = session({ idleMs: 50 });
  expect(await change({ answer: 1 })).toBe(1);
  await processes[0]?.exited;
  expect(await change({ answer: 2 })).toBe(2);
  expect(processes).toHaveLength(2);
});

test("a worker is not idle while a change takes longer than that", async () => {
  const { change } = session({ idleMs: 50 });
  await change({});
  expect(await change({ blockMs: 300, answer: 1 })).toBe(1);
});

test("a change that stops when it is cancelled may take its time to undo", async () => {
  const { change } = session();
  await change({});
  const cancel = new AbortController();
  const running = failure(change({ undoMs: WORKER_SILENCE_TIMEOUT_MS + 500 }, { signal: cancel.signal }));
  cancel.abort();
  expect((await running).message).toBe("undone");
  expect(processes).toHaveLength(1);
});

test("one that does not is killed, and what it left is cleaned up", async () => {
  const { change } = session();
  const error = await failure(change({ blockMs: 60_000 }, { signal: AbortSignal.timeout(200) }));
  expect(error).toMatchObject({ code: "CANCELLED", hint: "what it had not finished was cleaned up" });
  expect(processes.map((each) => each.signalCode)).toEqual(["SIGKILL", null]);
  expect(await change({ answer: 1 })).toBe(1);
});

test("one that says that it stops, and then enters a system call, is killed as well", async () => {
  const { change } = session();
  await change({});
  const cancel = new AbortController();
  const running = failure(change({ undoMs: 0, blockUndoMs: 60_000 }, { signal: cancel.signal }));
  cancel.abort();
  expect(await running).toMatchObject({ code: "CANCELLED", hint: "what it had not finished was cleaned up" });
  expect(processes.map((each) => each.signalCode)).toEqual(["SIGKILL", null]);
  expect(await change({ answer: 1 })).toBe(1);
});

test("a release that loses its worker is given to another one", async () => {
  const { service, change, logged } = session();
  await change({});
  logged.length = 0;
  processes[0]?.kill("SIGKILL");
  await service.release("owner", null);
  expect(processes).toHaveLength(2);
  expect(logged).toEqual([]);
});

test("a change is cancelled for certain before it began", async () => {
  const { change } = session();
  expect(await failure(change({ undoMs: 0 }, { signal: AbortSignal.abort() }))).toMatchObject({ code: "CANCELLED" });
});

test("a worker that fails is an error that says how, and that tells of the clean-up", async () => {
  const broken = await failure(session().change({ printed: "no JSON\n" }));
  expect(broken).toMatchObject({ code: "WORKER_LOST", hint: "what it had not finished was cleaned up; try again" });
  expect(broken.message).toMatch(/^program\/load: its process was stopped: JSON/);
  const ended = session({ command: ["sh", "-c", "exit 3"] });
  expect(await failure(ended.change({}))).toMatchObject({
    ...{ code: "WORKER_LOST", message: "program/load: its process ended with code 3" },
    hint: "what it had not finished is cleaned up by the next change; try again",
  });
  expect(ended.logged).toEqual([
    ["not cleaned up after a change that was stopped; the next change tries again", { reason: "ended with code 3" }],
  ]);
  const missing = session({ command: ["/nonexistent"] });
  expect(await failure(missing.change({}))).toMatchObject({ code: "WORKER_LOST", sys: { name: "ENOENT" } });
});
