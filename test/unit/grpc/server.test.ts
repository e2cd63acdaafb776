/** The transport, with methods that do as each test says. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import {
  GRPC_CALLS_MAX,
  GRPC_CONNECTIONS_MAX,
  GRPC_ERROR_BYTES_MAX,
  GRPC_HEADER_LIST_BYTES_MAX,
  GRPC_HELD_BYTES_MAX,
  GRPC_REQUEST_BYTES_MAX,
  GRPC_STREAMS_MAX,
} from "../../../src/domain/limits.ts";
import { ERROR_CODES, type ErrorCode } from "../../../src/errors/codes.ts";
import { BpfmanError } from "../../../src/errors/error.ts";
import { STATUS, statusOf } from "../../../src/grpc/errors.ts";
import { Bpfman, GetRequestSchema, PullBytecodeRequestSchema } from "../../../src/grpc/generated/bpfman.ts";
import { Health } from "../../../src/grpc/generated/health.ts";
import { GrpcBed } from "../../labs/grpc-bed.ts";
import { ended, frame, type GrpcClient } from "../../labs/grpc-client.ts";
import { callHeaders, FLAG, http2Frame, RawClient, TYPE } from "../../labs/http2-frames.ts";

let bed: GrpcBed;
let client: GrpcClient;
beforeEach(async () => {
  bed = await new GrpcBed().open();
  client = bed.client();
});
afterEach(() => bed.close());

const GET = "/bpfman.v1.Bpfman/Get";
const PULL = "/bpfman.v1.Bpfman/PullBytecode";
const get = (id: number): Uint8Array => toBinary(GetRequestSchema, create(GetRequestSchema, { id }));
const never = (): Promise<never> => new Promise(() => {});
/** Until something that another process or the event loop does has happened. */
async function until(what: () => boolean): Promise<void> {
  while (!what()) await Bun.sleep(2);
}

describe("a call", () => {
  test("is answered", async () => {
    expect(await client.call(Bpfman.method.get, { id: 7 })).toMatchObject({ info: { name: "7" } });
  });

  test("may be empty both ways", async () => {
    expect(await client.send("/bpfman.v1.Bpfman/Unload", frame(new Uint8Array()))).toMatchObject({
      ...{ http: 200, status: 0, message: "" },
      body: frame(new Uint8Array()),
    });
  });

  test("may be one of 800 at once, which are answered in the order in which they are done", async () => {
    bed.get = async (id) => {
      await Bun.sleep(id % 7);
      return { info: { name: String(id) } };
    };
    const ids = Array.from({ length: 800 }, (_, id) => id);
    const answers = await Promise.all(ids.map((id) => client.call(Bpfman.method.get, { id })));
    expect(answers.map(({ info }) => info?.name)).toEqual(ids.map(String));
  });

  test("may come in single bytes, and be compressed", async () => {
    const stream = client.open(GET, { "grpc-encoding": "gzip" });
    for (const byte of frame(gzipSync(get(5)), 1)) stream.write(Buffer.from([byte]));
    stream.end();
    expect((await ended(stream)).body.toString()).toContain("5");
  });

  test("may have a content type of its own, and fields that nobody knows", async () => {
    const unknown = Buffer.concat([get(4), Buffer.from([0xfa, 0x7f, 1, 65])]);
    const headers = { "content-type": "application/grpc+proto", "x-trace": "1" };
    expect(await client.send(GET, frame(unknown), headers)).toMatchObject({ status: 0 });
  });
});

describe("what is no call", () => {
  test.each([
    ["a GET", GET, { ":method": "GET" }, 405],
    ["a body of another type", GET, { "content-type": "application/json" }, 415],
    ["a body of gRPC-Web", GET, { "content-type": "application/grpc-web" }, 415],
  ])("%s is told so", async (_, path, headers, http) => {
    const answer = await client.send(path, new Uint8Array(), headers);
    expect({ ...answer, body: answer.body.toString() }).toMatchObject({ http, body: expect.stringContaining("gRPC") });
  });

  test.each([
    ["a method that is not there", "/bpfman.v1.Bpfman/Nothing", frame(get(1)), {}, STATUS.UNIMPLEMENTED, "no method"],
    ["a service that is not there", "/grpc.reflection.v1.ServerReflection/X", frame(get(1)), {}, 12, "no method"],
    ["no message", GET, Buffer.alloc(0), {}, STATUS.INVALID_ARGUMENT, "no message"],
    ["half a message", GET, frame(get(1), 0, 100), {}, STATUS.INVALID_ARGUMENT, "ends within"],
    ["two messages", GET, Buffer.concat([frame(get(1)), frame(get(1))]), {}, STATUS.INVALID_ARGUMENT, "more than one"],
    ["a flag that has no meaning", GET, frame(get(1), 2), {}, STATUS.INVALID_ARGUMENT, "flag is 2"],
    ["bytes that are no message", GET, frame(Buffer.from([0xff, 0xff])), {}, STATUS.INVALID_ARGUMENT, "GetRequest"],
    ["a compression that is not known", GET, frame(get(1), 1), { "grpc-encoding": "br" }, 12, "gzip"],
    ["a compressed message without saying how", GET, frame(get(1), 1), {}, STATUS.UNIMPLEMENTED, "gzip"],
    ["what is not gzip", GET, frame(get(1), 1), { "grpc-encoding": "gzip" }, STATUS.INVALID_ARGUMENT, "gzip"],
    ["a timeout that is none", GET, frame(get(1)), { "grpc-timeout": "1x" }, STATUS.INVALID_ARGUMENT, "grpc-timeout"],
  ])("%s is an error", async (_, path, body, headers, status, message) => {
    const answer = await client.send(path, body, headers);
    expect(answer).toMatchObject({ http: 200, status });
    expect(answer.message).toContain(message);
    // The connection goes on.
    expect(await client.call(Bpfman.method.get, { id: 1 })).toBeDefined();
  });

  test("a request that is too large is refused, announced, sent or unpacked", async () => {
    const large = Buffer.alloc(GRPC_REQUEST_BYTES_MAX + 1);
    const bodies = [frame(get(1), 0, GRPC_REQUEST_BYTES_MAX + 1), frame(gzipSync(large), 1)];
    for (const body of bodies) {
      expect(await client.send(GET, body, { "grpc-encoding": "gzip" })).toMatchObject({ status: 8 });
    }
    const stream = client.open(PULL);
    stream.write(frame(large, 0, GRPC_REQUEST_BYTES_MAX));
    expect(await ended(stream)).toMatchObject({ status: STATUS.RESOURCE_EXHAUSTED });
    const url = "x".repeat(GRPC_REQUEST_BYTES_MAX - 100);
    const fits = toBinary(PullBytecodeRequestSchema, create(PullBytecodeRequestSchema, { image: { url } }));
    expect(await client.send(PULL, frame(fits))).toMatchObject({ status: 0 });
  });

  test("headers that are too long end the call, at most with the connection", async () => {
    const path = `/${"x".repeat(2 * GRPC_HEADER_LIST_BYTES_MAX)}`;
    const failed = await client.send(path, frame(get(1))).then(
      ({ http, status }) => http !== 200 || status !== 0,
      () => true,
    );
    expect(failed).toBe(true);
    expect(await bed.client().call(Bpfman.method.get, { id: 1 })).toBeDefined();
  });
});

describe("a failure", () => {
  test("has a number for each code, and its code before the text", () => {
    const numbers = {
      invalid: 3,
      "not-found": 5,
      conflict: 10,
      precondition: 9,
      permission: 7,
      unsupported: 12,
      unavailable: 14,
      cancelled: 1,
      internal: 13,
    };
    for (const code of Object.keys(ERROR_CODES) as ErrorCode[]) {
      const { status, message } = statusOf(new BpfmanError(code, "what failed", { hint: "do" }));
      expect({ code, status, message }).toEqual({
        ...{ code, message: `${code}: what failed; do` },
        status: numbers[ERROR_CODES[code].kind],
      });
    }
  });

  test("arrives as it is, in any language", async () => {
    bed.get = async () => {
      throw new BpfmanError("PROGRAM_NOT_FOUND", 'program "ü 100 % 🐝": gone', { hint: "try" });
    };
    expect(await client.send(GET, frame(get(1)))).toMatchObject({
      ...{ http: 200, status: 5, body: Buffer.alloc(0) },
      message: 'PROGRAM_NOT_FOUND: program "ü 100 % 🐝": gone; try',
    });
  });

  test("is cut off where it would not fit into a header", async () => {
    bed.get = async () => {
      throw new BpfmanError("PROGRAM_NOT_FOUND", "🐝".repeat(5000));
    };
    const { message } = await client.send(GET, frame(get(1)));
    expect(message).toMatch(/^PROGRAM_NOT_FOUND: (🐝)+$/u);
    expect(encodeURIComponent(message).length).toBeLessThanOrEqual(GRPC_ERROR_BYTES_MAX + 20);
  });

  test("that nobody expected shows no stack, and is logged", async () => {
    bed.get = async () => {
      throw new Error("boom");
    };
    const { status, message } = await client.send(GET, frame(get(1)));
    expect({ status, message }).toEqual({ status: 13, message: expect.stringMatching(/^INTERNAL: boom/) });
    expect(message).not.toContain(" at ");
    expect(bed.logged).toEqual(["a call failed"]);
  });
});

describe("the end of a call", () => {
  test("by the client aborts what it started", async () => {
    const signals: AbortSignal[] = [];
    bed.get = (_, { signal }) => {
      signals.push(signal);
      return never();
    };
    const stream = client.open(GET);
    stream.on("error", () => {});
    stream.end(frame(get(1)));
    await until(() => signals.length === 1);
    stream.close(8);
    await until(() => signals[0]?.aborted === true);
    // So does the end of the connection.
    const other = bed.client();
    other.open(GET).end(frame(get(1)));
    await until(() => signals.length === 2);
    other.close();
    await until(() => signals[1]?.aborted === true);
  });

  test.each(["1m", "1000u", "1000000n"])("by a deadline of %s aborts it too", async (timeout) => {
    let aborted = false;
    bed.get = (_, { signal }) => {
      signal.addEventListener("abort", () => {
        aborted = true;
      });
      return never();
    };
    const answer = await client.send(GET, frame(get(1)), { "grpc-timeout": timeout });
    expect(answer).toMatchObject({ http: 200, status: STATUS.DEADLINE_EXCEEDED });
    expect(aborted).toBe(true);
  });

  test("comes before a deadline that is far away", async () => {
    expect(await client.send(GET, frame(get(1)), { "grpc-timeout": "99999999H" })).toMatchObject({ status: 0 });
  });
});

describe("too much at once", () => {
  test("more connections than allowed are closed, and others go on", async () => {
    const others = Array.from({ length: GRPC_CONNECTIONS_MAX + 10 }, () => new RawClient(bed.path));
    await client.call(Bpfman.method.get, { id: 1 });
    await until(() => others.filter(({ isClosed }) => isClosed).length >= 10);
    expect(await client.call(Bpfman.method.get, { id: 1 })).toBeDefined();
    for (const other of others) other.end();
  });

  test("more calls than allowed are refused, and there is room again when they end", async () => {
    const open = callHeaders(GET);
    const others = Array.from({ length: Math.ceil(GRPC_CALLS_MAX / GRPC_STREAMS_MAX) }, () => new RawClient(bed.path));
    for (const other of others) {
      const streams = Array.from({ length: GRPC_STREAMS_MAX }, (_, at) =>
        http2Frame(TYPE.HEADERS, FLAG.END_HEADERS, 2 * at + 1, open),
      );
      await other.send(Buffer.concat(streams));
    }
    let refused = await client.send(GET, frame(get(1)));
    while (refused.status === 0) refused = await client.send(GET, frame(get(1)));
    expect(refused).toMatchObject({ http: 200, status: STATUS.RESOURCE_EXHAUSTED });
    for (const other of others) other.end();
    while ((await client.send(GET, frame(get(1)))).status !== 0);
  });

  test("bytes that are held for calls are counted, and given back", async () => {
    const halves = Array.from({ length: GRPC_HELD_BYTES_MAX / GRPC_REQUEST_BYTES_MAX + 1 }, () => {
      const stream = client.open(PULL);
      stream.on("error", () => {});
      stream.write(frame(Buffer.alloc(GRPC_REQUEST_BYTES_MAX - 1), 0, GRPC_REQUEST_BYTES_MAX));
      return stream;
    });
    expect(await Promise.race(halves.map(ended))).toMatchObject({ status: STATUS.RESOURCE_EXHAUSTED });
    for (const each of halves) each.close(8);
    while ((await client.send(GET, frame(get(1)))).status !== 0);
  });
});

describe("health", () => {
  test.each(["", "bpfman.v1.Bpfman", "grpc.health.v1.Health"])("of %j is good", async (service) => {
    expect(await client.call(Health.method.check, { service })).toMatchObject({ status: 1 });
  });

  test("of what is not there is NOT_FOUND", async () => {
    await expect(client.call(Health.method.check, { service: "x" })).rejects.toMatchObject({ status: 5 });
  });
});

describe("stopping", () => {
  test("lets a call finish, and takes no other", async () => {
    const answer = Promise.withResolvers<{ info: { name: string } }>();
    let started = false;
    bed.get = () => {
      started = true;
      return answer.promise;
    };
    const running = client.call(Bpfman.method.get, { id: 1 });
    await until(() => started);
    const stopped = bed.server.stop(10_000);
    await expect(bed.client().call(Bpfman.method.get, { id: 2 })).rejects.toBeDefined();
    answer.resolve({ info: { name: "late" } });
    expect(await running).toMatchObject({ info: { name: "late" } });
    await stopped;
  });

  test("cancels what takes longer, waits until it is undone, and says why", async () => {
    let undone = false;
    let started = false;
    bed.get = (_, { signal }) => {
      started = true;
      const { promise, reject } = Promise.withResolvers<never>();
      signal.addEventListener("abort", async () => {
        await Bun.sleep(20);
        undone = true;
        reject(new BpfmanError("CANCELLED", "undone"));
      });
      return promise;
    };
    const running = client.send(GET, frame(get(1)));
    running.catch(() => {});
    await until(() => started);
    await bed.server.stop(1);
    expect(undone).toBe(true);
    expect(await running).toMatchObject({ status: STATUS.UNAVAILABLE, message: "the server stops" });
  });
});
