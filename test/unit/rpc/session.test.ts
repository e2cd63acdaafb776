/** Whole sessions with the fake kernel: life cycle, replies, order, cancellation, and what a session leaves. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { BpfmanError } from "../../../src/errors/error.ts";
import type { ImagesPort, PullRequest } from "../../../src/platform/images.ts";
import type { SessionService } from "../../../src/service/session.ts";
import { OPERATIONS } from "../../../src/service/operations.ts";
import { PULLS_AT_A_TIME_MAX, REQUEST_ID_CHARS_MAX } from "../../../src/domain/limits.ts";
import { makeTestBed, type TestBed } from "../../fakes/fake-host.ts";
import { readProtocolPage } from "../../documents/protocol-page.ts";
import { Served } from "../../fakes/served.ts";
import { serviceObject } from "../../objects/service-object.ts";

let bed: TestBed;
let session: Served;

beforeEach(() => {
  bed = makeTestBed();
  bed.files.contents.set("/x.o", serviceObject());
  session = new Served(bed);
});
afterEach(async () => {
  session.readOn();
  session.end();
  await session.exitCode;
  bed.close();
});

const VERSION = { features: false };
const LOAD = { source: { file: "/x.o" }, programs: [{ type: "tracepoint", name: "on_openat" }] };
const request = (id: unknown, method: string, params?: unknown) => ({ jsonrpc: "2.0", id, method, params });
const initialize = request("init", "initialize", { protocolVersion: 1 });

describe("life", () => {
  test("nothing but initialize is answered before it", async () => {
    expect(await session.failure("version", VERSION)).toEqual({
      code: -32002,
      message: expect.stringContaining("initialize"),
    });
    expect(await session.initialize()).toMatchObject({
      serverInfo: { name: "bpfman", version: "0", commit: "c" },
      protocolVersion: 1,
      capabilities: { methods: expect.arrayContaining(Object.keys(OPERATIONS)) },
      kernel: { release: "6", btf: null, features: null },
      sequence: 0,
    });
    expect(await session.result("version", VERSION)).toMatchObject({ version: "0" });
  });

  test.each([
    ["another version", { protocolVersion: 2 }, "protocolVersion"],
    ["a wrong pid", { protocolVersion: 1, processId: "1" }, "processId"],
    ["a client without a name", { clientInfo: { Name: "x" } }, "clientInfo.Name"],
    ["an unknown field of the session", { session: { cleanUp: true } }, "session.cleanUp"],
    ["cleanup that is no boolean", { protocolVersion: 1, session: { cleanup: 1 } }, "session.cleanup"],
  ])("initialize with %s is rejected, and may be tried again", async (_name, params, field) => {
    expect(await session.failure("initialize", params)).toMatchObject({ code: -32602, data: { details: { field } } });
    expect((await session.failure("version", VERSION)).code).toBe(-32002);
    await session.initialize();
  });

  test.each([
    ["nothing at all", undefined],
    ["an empty object", {}],
    ["an empty list", []],
    [
      "what an editor says to a language server",
      {
        processId: null,
        clientInfo: { name: "editor", version: "1.2", channel: "stable" },
        locale: "en",
        rootPath: null,
        rootUri: "file:///srv",
        capabilities: { workspace: { applyEdit: true }, window: { workDoneProgress: true } },
        initializationOptions: null,
        trace: "compact",
        workspaceFolders: [{ uri: "file:///srv", name: "srv" }],
      },
    ],
  ])("initialize with %s", async (_name, params) => {
    expect(await session.result("initialize", params)).toMatchObject({ protocolVersion: 1 });
    expect(await session.result("version", VERSION)).toMatchObject({ version: "0" });
  });

  test("initialize comes once", async () => {
    await session.initialize();
    expect((await session.failure("initialize", { protocolVersion: 1 })).code).toBe(-32600);
  });

  test("what comes right behind initialize waits for it; if that fails, so does the rest", async () => {
    session.send(request(1, "initialize", { protocolVersion: 1 }), request(2, "version", VERSION));
    expect((await session.heard.reply(2)).result).toMatchObject({ version: "0" });
    const other = new Served(bed);
    other.send(request(1, "initialize", { protocolVersion: 2 }), request(2, "version", VERSION));
    other.end();
    expect((await other.heard.reply(2)).error?.code).toBe(-32002);
  });

  test("after shutdown nothing is done any more, and exit ends it well", async () => {
    await session.initialize();
    expect(await session.result("shutdown")).toBeNull();
    for (const method of ["version", "initialize", "shutdown"])
      expect((await session.failure(method, {})).code).toBe(-32600);
    session.notify("exit");
    expect(await session.exitCode).toBe(0);
  });

  test("exit without shutdown is a failure", async () => {
    await session.initialize();
    session.notify("exit");
    expect(await session.exitCode).toBe(1);
  });

  test("the end of the input lets everything that came be answered", async () => {
    session.send(initialize, ...[1, 2, 3, 4].map((id) => request(id, "program/load", LOAD)));
    session.end();
    expect(await session.exitCode).toBe(0);
    for (const id of [1, 2, 3, 4]) expect(await session.heard.reply(id)).toHaveProperty("result.programs");
    expect(bed.inspect((host) => host.store.programs()).length).toBe(4);
  });

  test("all in one go, with shutdown and exit behind it", async () => {
    session.send(initialize, request(1, "program/load", LOAD), request(2, "shutdown"), {
      jsonrpc: "2.0",
      method: "exit",
    });
    expect(await session.exitCode).toBe(0);
    expect(await session.heard.reply(1)).toHaveProperty("result.programs");
    expect((await session.heard.reply(2)).result).toBeNull();
  });

  test("a signal ends it as interrupted", async () => {
    await session.initialize();
    session.interrupt();
    expect(await session.exitCode).toBe(130);
  });

  test("broken framing: one error, and what ran is answered", async () => {
    session.send(initialize, request(1, "program/load", LOAD));
    session.raw("Content-Length: -5\r\n\r\n{}");
    expect(await session.exitCode).toBe(1);
    expect(await session.heard.reply(1)).toHaveProperty("result.programs");
    expect((await session.heard.reply(null)).error).toMatchObject({ code: -32700 });
    expect(session.heard.messages.filter((each) => each.id === null).length).toBe(1);
  });
});

test("bare JSON on a line is answered at once with what is missing, and ends the session", async () => {
  session.raw('{"jsonrpc":"2.0","id":1,"method":"initialize"}\n');
  expect((await session.heard.reply(null)).error).toMatchObject({
    code: -32700,
    message: expect.stringContaining('each message begins with "Content-Length: N" and an empty line'),
  });
  expect(await session.exitCode).toBe(1);
});

describe("messages", () => {
  beforeEach(async () => {
    await session.initialize();
  });

  test.each([
    ["malformed JSON", "{", -32700, null],
    ["an empty frame", "", -32700, null],
    ["a number", "1", -32600, null],
    ["null", "null", -32600, null],
    ["an object without anything", "{}", -32600, null],
    ["an empty batch", "[]", -32600, null],
    ["a batch that is too long", JSON.stringify(Array(2000).fill(1)), -32600, null],
    ["no jsonrpc", '{"id":"a","method":"version"}', -32600, "a"],
    ["an old jsonrpc", '{"jsonrpc":"1.0","id":"a","method":"version"}', -32600, "a"],
    ["no method", '{"jsonrpc":"2.0","id":"a"}', -32600, "a"],
    ["a method that is no string", '{"jsonrpc":"2.0","id":"a","method":7}', -32600, "a"],
    ["params that are no object", '{"jsonrpc":"2.0","id":"a","method":"version","params":7}', -32600, "a"],
    ["an id that is an object", '{"jsonrpc":"2.0","id":{},"method":"version"}', -32600, null],
    ["an id that is true", '{"jsonrpc":"2.0","id":true,"method":"version"}', -32600, null],
    ["an id that no double holds", '{"jsonrpc":"2.0","id":9007199254740993,"method":"version"}', -32600, null],
    [
      "an id that no double holds, below zero",
      '{"jsonrpc":"2.0","id":-9007199254740993,"method":"version"}',
      -32600,
      null,
    ],
    ["an id that a double rounds", '{"jsonrpc":"2.0","id":1e300,"method":"version"}', -32600, null],
    ["an id one character too long", `{"jsonrpc":"2.0","id":"${"x".repeat(1025)}","method":"version"}`, -32600, null],
    ["an id that is a list", '{"jsonrpc":"2.0","id":[],"method":"version"}', -32600, null],
    ["an infinite id", '{"jsonrpc":"2.0","id":1e999,"method":"version"}', -32600, null],
    ["an endless id", `{"jsonrpc":"2.0","id":"${"x".repeat(5000)}","method":"version"}`, -32600, null],
    ["deep nesting", "[".repeat(1000) + "]".repeat(1000), -32600, null],
    ["an unknown method", '{"jsonrpc":"2.0","id":"a","method":"nope"}', -32601, "a"],
    ["a method of JavaScript", '{"jsonrpc":"2.0","id":"a","method":"__proto__"}', -32601, "a"],
    ["a method of Object", '{"jsonrpc":"2.0","id":"a","method":"toString"}', -32601, "a"],
    ["a reserved method", '{"jsonrpc":"2.0","id":"a","method":"$/nope"}', -32601, "a"],
    ["params by position", '{"jsonrpc":"2.0","id":"a","method":"program/get","params":[1]}', -32602, "a"],
  ] as const)("%s", async (...[, body, code, id]) => {
    session.send(body);
    expect((await session.heard.reply(id)).error?.code).toBe(code);
    expect(await session.result("version", VERSION)).toMatchObject({ version: "0" });
  });

  test.each([
    ["program/get", { programId: true }, "programId"],
    ["program/get", { programId: -1 }, "programId"],
    ["program/get", {}, "programId"],
    ["program/get", { programId: 1, more: 1 }, "more"],
    ["program/load", { ...LOAD, programs: [{ type: "xdpp", name: "x" }] }, "programs.0.type"],
    ["program/list", { workDoneToken: {} }, "workDoneToken"],
    ["link/attach", { programId: 1, attach: { kind: "tcx", iface: "x".repeat(128) } }, "attach.iface"],
    ["events/subscribe", { kinds: ["nope"] }, "kinds.0"],
    ["events/subscribe", { since: -1 }, "since"],
    ["shutdown", { now: true }, "now"],
  ])("%s %j: the path of the wrong field", async (method, params, field) => {
    expect(await session.failure(method, params)).toMatchObject({
      code: -32602,
      data: { code: "INVALID_REQUEST", kind: "invalid", details: { field } },
    });
  });

  test("names of JavaScript's own and halves of characters are rejected, wherever they stand", async () => {
    const load = (part: string) =>
      `{"jsonrpc":"2.0","id":"a","method":"program/load","params":{"source":{"file":"/x.o"},${part}}}`;
    for (const part of [
      '"__proto__":{"programs":[]}',
      '"metadata":{"constructor":"x"}',
      '"metadata":{"a":"\\ud800"}',
    ]) {
      session.send(load(part));
      expect((await session.heard.reply("a")).error).toMatchObject({ code: -32602 });
      session.heard.frames.length = 0;
    }
    expect(Object.hasOwn(Object.prototype, "programs")).toBe(false);
  });

  test("ids come back as they were sent, whatever they are", async () => {
    const longest = "x".repeat(REQUEST_ID_CHARS_MAX);
    for (const id of ["", "\ud800", "é", longest, 0, -1, 2 ** 53 - 1, -(2 ** 53) + 1, 1.5, 1e-300, null]) {
      session.send(request(id, "version", VERSION));
      expect(await session.heard.reply(id)).toHaveProperty("result.version");
    }
  });

  test("1 and '1' are two ids; an id in flight is rejected, and can be reused afterwards", async () => {
    session.send(request(1, "program/load", LOAD), request("1", "program/load", LOAD), request(1, "version", VERSION));
    expect(await session.heard.reply("1")).toHaveProperty("result");
    const replies = [await session.heard.reply(1), await session.heard.reply(1, 1)];
    expect(replies.map((each) => each.error?.code ?? "result").sort()).toEqual([-32600, "result"]);
    session.send(request(1, "version", VERSION));
    expect(await session.heard.reply(1, 2)).toHaveProperty("result");
  });

  test("a batch is answered by a batch, with what is wrong in its place", async () => {
    session.send([
      request(1, "version", VERSION),
      { jsonrpc: "2.0", method: "initialized" },
      7,
      request(2, "nope"),
      [request(3, "version")],
      request(1, "version", VERSION),
    ]);
    const replies = await session.heard.when("a batch", () => session.heard.frames.find(Array.isArray));
    const shown = (replies as readonly { id: unknown; error?: { code: number } }[]).map(
      ({ id, error }) => `${id} ${error?.code ?? "result"}`,
    );
    expect(shown.sort()).toEqual(["1 -32600", "1 result", "2 -32601", "null -32600", "null -32600"]);
  });

  test("a batch of notifications, notifications alone and replies to nothing are not answered", async () => {
    const before = session.heard.frames.length;
    session.send([{ jsonrpc: "2.0", method: "initialized" }], { jsonrpc: "2.0", method: "nope", params: [1] });
    session.send({ jsonrpc: "2.0", id: 5, result: {} }, { jsonrpc: "2.0", id: null, error: { code: 1, message: "" } });
    session.send({ jsonrpc: "2.0", method: "$/cancelRequest" }, { jsonrpc: "2.0", method: "$/progress", params: [] });
    session.send({ jsonrpc: "2.0", method: "program/unload", params: { programId: 1 } });
    await session.result("version", VERSION);
    expect(session.heard.frames.length).toBe(before + 1);
  });

  test("params may be left out, null or an empty list", async () => {
    session.send(request("n", "link/list", null), request("u", "link/list"), request("l", "link/list", []));
    for (const id of ["n", "u", "l"]) expect(await session.heard.reply(id)).toMatchObject({ result: { links: [] } });
  });

  test("empty tables may be empty lists, in the session's own methods too", async () => {
    await session.result("program/load", { ...LOAD, globalData: [], metadata: [] });
    const { programs } = await session.result<{ programs: object[] }>("program/list", { metadataSelector: [] });
    expect(programs.length).toBe(1);
    for (const method of ["events/subscribe", "events/unsubscribe", "shutdown"]) await session.result(method, []);
  });

  test("the error of an operation brings all that the command line would print", async () => {
    expect(await session.failure("program/unload", { programId: 999 })).toEqual({
      code: -31002,
      message: "program 999 does not exist",
      data: {
        ...{ code: "PROGRAM_NOT_FOUND", kind: "not-found", hint: 'see "bpfman list programs"' },
        ...{ details: { program_id: 999 }, verifierLog: null, sys: null },
      },
    });
  });

  test("without root", async () => {
    bed.capabilities = [];
    expect(await session.failure("program/list")).toMatchObject({ code: -31005, data: { code: "PERMISSION_DENIED" } });
    expect((await session.failure("events/subscribe")).code).toBe(-31005);
    expect(await session.result("version", VERSION)).toMatchObject({ version: "0" });
    const other = new Served(bed);
    expect(await other.initialize()).toMatchObject({ sequence: null });
    other.end();
    expect(await other.exitCode).toBe(0);
  });
});

test("what the page says of ids is what is done", async () => {
  const { text } = readProtocolPage();
  for (const said of [
    `up to ${REQUEST_ID_CHARS_MAX} characters`,
    "from -(2^53 - 1) to 2^53 - 1",
    "allows fractions and null",
  ])
    expect(text).toContain(said);
  await session.initialize();
  session.send(
    ...[request(1, "program/load", LOAD), request(1, "version", VERSION), request("1", "version", VERSION)],
    ...[request(null, "program/load", LOAD), request(null, "version", VERSION)],
    { jsonrpc: "2.0", method: "$/cancelRequest", params: { id: null } },
  );
  for (const id of [1, null]) {
    const replies = [await session.heard.reply(id), await session.heard.reply(id, 1)];
    expect(replies.map((each) => each.error?.code ?? "answered").sort()).toEqual([-32600, "answered"]);
    expect(replies.find((each) => each.error !== undefined)?.error?.message).toContain("not answered yet");
  }
  expect(await session.heard.reply("1")).toHaveProperty("result.version");
});

describe("order", () => {
  test("changes run one at a time in the order in which they came, reads beside them", async () => {
    const gate = Promise.withResolvers<void>();
    const order: string[] = [];
    const slow = new Served(bed, (service) => ({
      ...service,
      invoke: (async (name, params, context) => {
        order.push(`${name} begins`);
        if (name === "program/load") await gate.promise;
        const answer = await service.invoke(name, params, context);
        order.push(`${name} ends`);
        return answer;
      }) as SessionService["invoke"],
    }));
    await slow.initialize();
    order.length = 0;
    slow.send(request(1, "program/load", LOAD), request(2, "program/unload", { programId: 101, ignoreMissing: true }));
    expect(await slow.result("program/list")).toEqual({ programs: [] });
    expect(order).toEqual(["program/load begins", "program/list begins", "program/list ends"]);
    gate.resolve();
    await slow.heard.reply(2);
    expect(order.slice(3)).toEqual(["program/load ends", "program/unload begins", "program/unload ends"]);
    slow.end();
    await slow.exitCode;
  });
});

describe("an image", () => {
  const IMAGE = { ...LOAD, source: { image: { url: "registry.test/slow:v1" } } };

  /** A session whose registry answers when it is told to; `done` has what ended, in that order. */
  async function withRegistry(fails: BpfmanError | null = null) {
    const gate = Promise.withResolvers<void>();
    const done: string[] = [];
    const slow = new Served(bed, (service) => ({
      ...service,
      pullAhead: async (name, params, context) => {
        await service.pullAhead(name, { ...(params as object), source: LOAD.source }, context);
        await gate.promise;
        if (fails !== null) throw fails;
        done.push("pulled");
        return null;
      },
      invoke: (async (name, params, context) => {
        // By what it was pulled from, it is in the cache now.
        const { source } = params as { readonly source?: { readonly image?: unknown } };
        const answer = await service.invoke(name, source?.image === undefined ? params : LOAD, context);
        done.push(name);
        return answer;
      }) as SessionService["invoke"],
    }));
    await slow.initialize();
    const { programs } = await slow.result<{ programs: { record: { program_id: number } }[] }>("program/load", LOAD);
    done.length = 0;
    return { slow, gate, done, id: programs[0]?.record.program_id as number };
  }

  test("is pulled before its turn: what names others by ID goes first, what could need it does not", async () => {
    const { slow, gate, done, id } = await withRegistry();
    slow.send(request(1, "program/load", IMAGE));
    slow.send(
      request(2, "link/attach", {
        programId: "on_openat",
        attach: { kind: "tracepoint", tracepoint: "sched/sched_switch" },
      }),
    );
    slow.send(request(3, "program/load", LOAD));
    slow.send(request(4, "program/unload", { programId: id }));
    expect(await slow.heard.reply(4)).toHaveProperty("result");
    expect(done).toEqual(["program/unload"]);
    gate.resolve();
    await slow.heard.reply(3);
    expect(done).toEqual(["program/unload", "pulled", "program/load", "link/attach", "program/load"]);
    slow.end();
    await slow.exitCode;
  });

  test("that cannot be had, or is not wanted any more, holds nobody up", async () => {
    const fails = new BpfmanError("REGISTRY_UNREACHABLE", "pull the image: no answer");
    const { slow, gate, done } = await withRegistry(fails);
    slow.send(request(1, "program/load", IMAGE), request(2, "program/load", IMAGE), request(3, "program/load", LOAD));
    slow.notify("$/cancelRequest", { id: 2 });
    expect((await slow.heard.reply(2)).error).toMatchObject({ data: { code: "CANCELLED" } });
    gate.resolve();
    expect((await slow.heard.reply(1)).error).toMatchObject({ data: { code: "REGISTRY_UNREACHABLE" } });
    expect(await slow.heard.reply(3)).toHaveProperty("result.programs");
    expect(done).toEqual(["program/load"]);
    slow.end();
    await slow.exitCode;
  });

  /** What the registry was asked for; it has one image. */
  function asksOf(): Pick<PullRequest, "digest">[] {
    const asks: Pick<PullRequest, "digest">[] = [];
    bed.images = {
      pull: async ({ reference, pullPolicy, digest = null }: PullRequest) => {
        asks.push({ digest });
        return {
          ...{ reference, mediaType: "", programs: null, maps: null },
          source: { url: reference, digest: "sha256:first", pullPolicy },
          object: { name: "x.o", bytes: serviceObject() },
        };
      },
    } as unknown as ImagesPort;
    return asks;
  }

  test("is asked for once, and the change runs with what it was then", async () => {
    const asks = asksOf();
    await session.initialize();
    const image = { url: "registry.test/x:v1", pullPolicy: "Always" };
    expect(await session.result("program/load", { ...LOAD, source: { image } })).toMatchObject({
      programs: [{ record: { load: { image_source: { pull_policy: "Always", digest: "sha256:first" } } } }],
    });
    expect(asks).toEqual([{ digest: null }, { digest: "sha256:first" }]);
  });

  test("of a change that is refused is not asked for", async () => {
    const asks = asksOf();
    await session.initialize();
    const source = { image: { url: "registry.test/x:v1" } };
    for (const [method, params] of [
      ["program/load", { source }],
      ["program/load", { ...LOAD, source, programs: "all" }],
      ["program/load", { ...LOAD, source: { ...source, file: "/x.o" } }],
      ["program/unload", { programId: 100, source }],
      ["link/attach", { programId: 100, source }],
    ] as const) {
      expect(await session.failure(method, params)).toMatchObject({ data: { code: "INVALID_REQUEST" } });
    }
    const twice = { ...LOAD, source, application: "a", metadata: { bpfman_application: "b" } };
    expect(await session.failure("program/load", twice)).toMatchObject({ data: { code: "INVALID_METADATA" } });
    bed.capabilities = [];
    expect(await session.failure("program/load", { ...LOAD, source })).toMatchObject({
      data: { code: "PERMISSION_DENIED" },
    });
    expect(asks).toEqual([]);
  });

  test("is one of a few that are pulled at a time", async () => {
    let [running, most] = [0, 0];
    const gates: (() => void)[] = [];
    const slow = new Served(bed, (service) => ({
      ...service,
      pullAhead: async () => {
        most = Math.max(most, ++running);
        await new Promise<void>((go) => gates.push(go));
        running--;
        throw new BpfmanError("REGISTRY_UNREACHABLE", "pull the image: no answer");
      },
    }));
    await slow.initialize();
    const asked = Array.from({ length: 3 * PULLS_AT_A_TIME_MAX }, () => slow.ask("program/load", IMAGE));
    expect(await slow.result("program/list")).toEqual({ programs: [] });
    // Cancelled before it began, it is not pulled.
    const last = asked.pop() ?? null;
    slow.notify("$/cancelRequest", { id: last });
    expect((await slow.heard.reply(last)).error).toMatchObject({ data: { code: "CANCELLED" } });
    expect(gates).toHaveLength(PULLS_AT_A_TIME_MAX);
    for (const [index, id] of asked.entries()) {
      gates[index]?.();
      expect((await slow.heard.reply(id)).error).toMatchObject({ data: { code: "REGISTRY_UNREACHABLE" } });
    }
    expect([most, gates.length]).toEqual([PULLS_AT_A_TIME_MAX, asked.length]);
    slow.end();
    await slow.exitCode;
  });

  test("that is named wrongly is the error of the load, with the path of its field", async () => {
    const source = { image: { url: "registry.test/x:v1", pullPolicy: "Sometimes" } };
    await session.initialize();
    const { error } = await session.heard.reply(session.ask("program/load", { ...LOAD, source }));
    expect(error).toMatchObject({ data: { code: "INVALID_REQUEST", details: { field: "source.image.pullPolicy" } } });
  });
});

describe("cancellation", () => {
  /** A session whose changes wait for the lock until they are cancelled. */
  function waiting(): Served {
    const acquire = (_timeoutMs: number, signal: AbortSignal) =>
      new Promise<never>((_, reject) =>
        signal.addEventListener("abort", async () => {
          const { BpfmanError } = await import("../../../src/errors/error.ts");
          reject(new BpfmanError("CANCELLED", "wait for the lock: interrupted"));
        }),
      );
    return new Served({ ...bed, runtime: { ...bed.runtime, openLock: async () => ({ acquire }) } });
  }

  test("reaches what waits for the lock, and what waits for its turn", async () => {
    const held = waiting();
    await held.initialize();
    held.send(request(1, "program/load", LOAD), request("1", "program/load", LOAD));
    expect(await held.result("version", VERSION)).toBeDefined();
    held.notify("$/cancelRequest", { id: "1" });
    expect((await held.heard.reply("1")).error).toMatchObject({ code: -32800, data: { code: "CANCELLED" } });
    held.notify("$/cancelRequest", { id: 1 });
    expect((await held.heard.reply(1)).error).toMatchObject({ code: -32800, data: { kind: "cancelled" } });
    held.end();
    expect(await held.exitCode).toBe(0);
  });

  test("in the same breath as the request", async () => {
    const held = waiting();
    await held.initialize();
    held.send(request(1, "program/load", LOAD), { jsonrpc: "2.0", method: "$/cancelRequest", params: { id: 1 } });
    expect((await held.heard.reply(1)).error?.code).toBe(-32800);
    held.end();
    expect(await held.exitCode).toBe(0);
  });

  test("of finished or unknown requests has no effect", async () => {
    await session.initialize();
    for (const id of ["init", 99, null, {}]) session.notify("$/cancelRequest", { id });
    session.send(request("init", "version", VERSION));
    expect(await session.heard.reply("init")).toHaveProperty("result");
  });

  test("exit without shutdown, a client that has gone and a signal cancel what runs", async () => {
    for (const end of ["exit", "vanish", "interrupt"] as const) {
      const held = waiting();
      await held.initialize();
      held.ask("program/load", LOAD);
      await held.result("version", VERSION);
      if (end === "exit") held.notify("exit");
      else if (end === "interrupt") held.interrupt();
      else {
        held.vanish();
        held.ask("version", VERSION);
      }
      expect(await held.exitCode).toBe({ exit: 1, vanish: 0, interrupt: 130 }[end]);
    }
  });
});

describe("progress and trace", () => {
  test("a token gets the beginning, what is said, and the end", async () => {
    await session.initialize();
    await session.result("program/list", { workDoneToken: "t" });
    await session.call("program/get", { programId: 5, workDoneToken: 7 });
    expect(session.heard.notifications("$/progress")).toEqual([
      { token: "t", value: { kind: "begin", title: "program/list" } },
      { token: "t", value: { kind: "end" } },
      { token: 7, value: { kind: "begin", title: "program/get" } },
      { token: 7, value: { kind: "end" } },
    ]);
  });

  test("trace says how long requests took, and verbose what they did", async () => {
    await session.initialize({ trace: "messages" });
    await session.result("program/list");
    const traced = () => session.heard.notifications("$/logTrace").map((each) => String(each.message));
    expect(traced().some((message) => /^program\/list took [\d.]+ ms$/.test(message))).toBe(true);
    session.notify("$/setTrace", { value: "verbose" });
    await session.result("program/load", LOAD);
    expect(traced().some((message) => message.startsWith("debug: "))).toBe(true);
    for (const params of [{ value: "loud" }, [], undefined]) session.notify("$/setTrace", params);
    session.notify("$/setTrace", { value: "off" });
    await session.result("version", VERSION);
    const count = traced().length;
    await session.result("version", VERSION);
    expect(traced().length).toBe(count);
    expect(bed.logged.filter((line) => line === "warn the notification $/setTrace was ignored").length).toBe(3);
  });
});
