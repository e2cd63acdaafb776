/** The client against an in-memory server with scripted answers; test/e2e/rpc-clients.test.ts tests the executable. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { PassThrough } from "node:stream";
import {
  createMessageConnection,
  type MessageConnection,
  ResponseError,
  StreamMessageReader,
  StreamMessageWriter,
} from "vscode-jsonrpc/node";
import { type Client, connectClient, DisconnectedError, RpcError, startClient } from "../../../rpc/client/client.ts";
import { type ChangeEvent, EVENTS_QUEUED_MAX, EventStream } from "../../../rpc/client/event-stream.ts";
import type { InitializeResult } from "../../../rpc/protocol.ts";

const SERVER: InitializeResult = {
  serverInfo: { name: "bpfman", version: "1.2.3", commit: "0" },
  protocolVersion: 1,
  capabilities: { methods: ["version"], events: [], workDoneProgress: true, sessionCleanup: true },
  kernel: { release: "6.1", btf: null, features: null },
  sequence: 7,
};

/** What the server was sent, in order: requests and notifications. */
let seen: [method: string, params: unknown][] = [];
let server: MessageConnection;
let toClient: PassThrough;
let toServer: PassThrough;

beforeEach(() => {
  seen = [];
  toClient = new PassThrough();
  toServer = new PassThrough();
  server = createMessageConnection(new StreamMessageReader(toServer), new StreamMessageWriter(toClient));
  answer("initialize", () => SERVER);
  answer("shutdown", () => null);
  answer("version", () => ({ version: "1.2.3" }));
  answer("events/subscribe", () => ({ sequence: 7, complete: true }));
  answer("events/unsubscribe", () => null);
  for (const method of ["initialized", "$/cancelRequest"])
    server.onNotification(method, (params) => note(method, params));
  server.onNotification("exit", () => {
    note("exit", {});
    hangUp();
  });
  server.listen();
});
afterEach(() => {
  hangUp();
  server.dispose();
});

const note = (method: string, params: unknown) => void seen.push([method, params]);
function answer(method: string, respond: (params: unknown) => unknown): void {
  server.onRequest(method, (params) => {
    note(method, params);
    return respond(params);
  });
}
const hangUp = () => void toClient.destroy();
const connect = (): Promise<Client> => connectClient({ input: toClient, output: toServer });
const methods = () => seen.map(([method]) => method);
const didLoad = (sequence: number) => ({ sequence, at: "2026-01-01T00:00:00.000Z", program_id: 42, record: null });
const tellLoad = (sequence: number) => server.sendNotification("program/didLoad", didLoad(sequence));

/** What a promise fails with. */
const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => expect.unreachable(),
    (cause) => cause,
  );

describe("a session", () => {
  test("begins with initialize and initialized, and knows the server", async () => {
    const client = await connectClient(
      { input: toClient, output: toServer },
      { cleanup: true, clientInfo: { name: "test" } },
    );
    expect(client.server).toEqual(SERVER);
    await client.dispose();
    expect(seen).toEqual([
      ["initialize", { protocolVersion: 1, processId: null, clientInfo: { name: "test" }, session: { cleanup: true } }],
      ["initialized", {}],
      ["shutdown", {}],
      ["exit", {}],
    ]);
    expect(await client.closed).toBe("the connection was closed");
  });

  test("ends once, however often it is disposed of", async () => {
    const client = await connect();
    await Promise.all([client.dispose(), client.dispose()]);
    await client.dispose();
    expect(methods().filter((method) => method === "shutdown")).toHaveLength(1);
    expect(await failure(client.call("version"))).toBeInstanceOf(DisconnectedError);
  });

  test("is rejected with the server's own error", async () => {
    server.onRequest("initialize", () => new ResponseError(-32602, "wrong version"));
    expect(await failure(connect())).toMatchObject({ name: "RpcError", code: -32602, data: null });
  });
});

describe("a call", () => {
  test("sends params by name and gives the result", async () => {
    answer("program/unload", () => ({ program_id: 3, detached: [], unloaded: true }));
    const client = await connect();
    expect(await client.call("program/unload", { programId: 3 })).toMatchObject({ unloaded: true });
    expect(seen.at(-1)).toEqual(["program/unload", { programId: 3 }]);
  });

  test("fails with the server's number, message and data", async () => {
    const data = {
      code: "PROGRAM_NOT_FOUND",
      kind: "not-found",
      hint: null,
      details: { id: 3 },
      verifierLog: null,
      sys: null,
    };
    answer("program/get", () => new ResponseError(-31002, "no program 3", data));
    const client = await connect();
    const refused = await failure(client.call("program/get", { programId: 3 }));
    expect(refused).toBeInstanceOf(RpcError);
    expect(refused).toMatchObject({ method: "program/get", code: -31002, message: "no program 3", data });
  });

  test("is cancelled by a signal, and waits for what the server says to that", async () => {
    server.onRequest("program/load", async (_params, token) => {
      await new Promise<void>((resolve) => token.onCancellationRequested(() => resolve()));
      return new ResponseError(-32800, "cancelled");
    });
    const client = await connect();
    const abort = new AbortController();
    const load = client.call(
      "program/load",
      { source: { file: "/a.o" }, programs: [{ type: "xdp", name: "a" }] },
      { signal: abort.signal },
    );
    setImmediate(() => abort.abort());
    expect(await failure(load)).toMatchObject({ name: "RpcError", code: -32800 });
  });

  test("is not even sent when its signal was aborted before", async () => {
    const client = await connect();
    expect(await failure(client.call("version", {}, { signal: AbortSignal.abort() }))).toMatchObject({ code: -32800 });
    await client.dispose();
    expect(methods()).not.toContain("version");
  });

  test("tells its own progress, and nobody else's", async () => {
    server.onRequest("version", async (params: { readonly workDoneToken?: string }) => {
      const tell = (token: unknown, message: string) =>
        server.sendNotification("$/progress", { token, value: { kind: "report", message } });
      await tell("another", "not mine");
      await tell(params.workDoneToken, "half");
      return { version: "1" };
    });
    const client = await connect();
    const told: unknown[] = [];
    await client.call("version", {}, { onProgress: (value) => told.push(value) });
    expect(told).toEqual([{ kind: "report", message: "half" }]);
  });

  test("fails when the server goes away before it answers", async () => {
    server.onRequest("version", () => new Promise(() => {}));
    const client = await connect();
    const call = client.call("version");
    setImmediate(hangUp);
    const gone = await failure(call);
    expect(gone).toBeInstanceOf(DisconnectedError);
    expect(gone).toMatchObject({ message: "version: the connection was closed" });
    await client.dispose();
  });
});

describe("events", () => {
  test("come in order, also those that come before the answer to the subscription", async () => {
    answer("events/subscribe", async () => {
      await tellLoad(8);
      return { sequence: 8, complete: true };
    });
    const client = await connect();
    const events = await client.events({ kinds: ["program/didLoad"], since: 7 });
    expect(events).toMatchObject({ sequence: 8, complete: true });
    expect(seen.at(-1)).toEqual(["events/subscribe", { kinds: ["program/didLoad"], since: 7 }]);
    await tellLoad(9);
    const taken: ChangeEvent[] = [];
    for await (const event of events) {
      taken.push(event);
      if (event.sequence === 9) break;
    }
    expect(taken).toEqual([8, 9].map((sequence) => ({ kind: "program/didLoad", ...didLoad(sequence) })));
    expect(seen.at(-1)).toEqual(["events/unsubscribe", {}]);
  });

  test("call a listener until it is closed, one at a time", async () => {
    const client = await connect();
    const taken: number[] = [];
    const subscription = await client.subscribe({}, (event) => taken.push(event.sequence));
    expect(await failure(client.subscribe({}, () => {}))).toMatchObject({
      message: expect.stringContaining("already"),
    });
    await tellLoad(8);
    await client.call("version");
    await subscription.close();
    await subscription.close();
    await tellLoad(9);
    await (await client.events()).close();
    expect(taken).toEqual([8]);
    expect(methods().filter((method) => method.startsWith("events/"))).toEqual([
      "events/subscribe",
      "events/unsubscribe",
      "events/subscribe",
      "events/unsubscribe",
    ]);
  });

  test("can be subscribed to again after a subscription that failed", async () => {
    const client = await connect();
    answer("events/subscribe", () => new ResponseError(-31005, "no"));
    expect(await failure(client.events())).toMatchObject({ code: -31005 });
    answer("events/subscribe", () => ({ sequence: 1, complete: true }));
    expect((await client.events()).sequence).toBe(1);
  });

  test("end with the session", async () => {
    const client = await connect();
    const loop = (async () => {
      for await (const _ of await client.events()) expect.unreachable();
    })();
    await client.call("version");
    await client.dispose();
    await loop;
  });

  test("fail when the server dies", async () => {
    const client = await connect();
    const events = await client.events();
    const next = events[Symbol.asyncIterator]().next();
    hangUp();
    expect(await failure(next)).toBeInstanceOf(DisconnectedError);
    await client.dispose();
  });

  test("that nobody reads are dropped at the limit and counted, and the loop is told", async () => {
    const stream = new EventStream(async () => {});
    const event = (sequence: number): ChangeEvent => ({ kind: "program/didLoad", ...didLoad(sequence) });
    for (let sequence = 1; sequence <= EVENTS_QUEUED_MAX + 3; sequence++) stream.push(event(sequence));
    stream.push({ kind: "events/didDrop", count: 5, sequence: EVENTS_QUEUED_MAX + 8 });
    for (let sequence = 1; sequence <= EVENTS_QUEUED_MAX; sequence++) {
      expect((await stream.next()).value).toMatchObject({ kind: "program/didLoad", sequence });
    }
    const dropped = { kind: "events/didDrop", count: 8, sequence: EVENTS_QUEUED_MAX + 8 };
    expect((await stream.next()).value).toEqual(dropped);
    stream.push(event(EVENTS_QUEUED_MAX + 9));
    expect((await stream.next()).value).toMatchObject({ sequence: EVENTS_QUEUED_MAX + 9 });
  });
});

describe("an executable", () => {
  test("that is not there", async () => {
    const refused = await failure(startClient({ command: ["/nowhere/bpfman", "rpc"] }));
    expect(refused).toBeInstanceOf(DisconnectedError);
    expect(String(refused)).toContain('"/nowhere/bpfman" cannot be started');
  });

  test("that ends at once has its last output in the error", async () => {
    const log: string[] = [];
    const command = ["sh", "-c", "echo 'sudo: a password is required' >&2; exit 7"] as const;
    const refused = await failure(startClient({ command, onLog: (text) => log.push(text) }));
    expect(refused).toBeInstanceOf(DisconnectedError);
    expect(String(refused)).toContain("the server ended with exit code 7: sudo: a password is required");
    expect(log.join("")).toBe("sudo: a password is required\n");
  });
});
