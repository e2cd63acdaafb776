/**
 * What no client library would send to the daemon, byte by byte. Whatever it does with the connection, it answers others
 * afterwards, and takes no more than 256 MiB.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Health } from "../../src/grpc/generated/health.ts";
import { BPFMAN } from "../labs/executable.ts";
import { frame, GrpcClient } from "../labs/grpc-client.ts";
import {
  callHeaders,
  FLAG,
  hpackField,
  hpackIndexed,
  http2Frame,
  RawClient,
  setting,
  TYPE,
  uint32,
} from "../labs/http2-frames.ts";
import { until } from "../labs/kernel-lab.ts";

const MEMORY_MIB_MAX = 256;
const LIST = callHeaders("/bpfman.v1.Bpfman/List");
const INITIAL_WINDOW_SIZE = 4;
const CANCEL = 8;

let directory = "";
let socket = "";
let daemon: Bun.Subprocess;

// One daemon for all: what one of them leaves behind adds up.
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "bpfman-hostile-"));
  socket = join(directory, "x.sock");
  const words = ["--runtime-dir", directory, "serve", "--socket-path", socket, "--socket-group", "0"];
  daemon = Bun.spawn([BPFMAN, ...words], { stdio: ["ignore", "ignore", "inherit"] });
  await until(() => statSync(socket, { throwIfNoEntry: false }) !== undefined);
});
afterAll(async () => {
  daemon.kill("SIGTERM");
  const code = await daemon.exited;
  rmSync(directory, { recursive: true });
  expect(code).toBe(0);
});

const peakMib = (): number =>
  Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${daemon.pid}/status`, "utf8"))?.[1]) / 1024;

const repeated = (bytes: Uint8Array, times: number): Buffer =>
  Buffer.concat(Array.from({ length: times }, () => bytes));

/** The streams of a client, by their place among them. */
const idAt = (at: number): number => 2 * at + 1;
const opened = (at: number, headers: Uint8Array = LIST): Buffer =>
  http2Frame(TYPE.HEADERS, FLAG.END_HEADERS, idAt(at), headers);

/** Sends the same again and again, until it is so many bytes, or the connection has ended. */
async function flood(client: RawClient, bytes: Uint8Array, total: number): Promise<void> {
  const chunk = repeated(bytes, Math.ceil(65_536 / bytes.length));
  for (let sent = 0; sent < total && !client.isClosed; sent += chunk.length) await client.send(chunk);
}

const deaf = (...settings: Uint8Array[]): RawClient => {
  const client = new RawClient(socket, Buffer.concat(settings));
  client.deafen();
  return client;
};

const SCENARIOS: Readonly<Record<string, () => Promise<readonly RawClient[]>>> = {
  "50,000 calls that are reset at once": async () => {
    const client = new RawClient(socket);
    for (let round = 0; round < 100 && !client.isClosed; round++) {
      const calls = Array.from({ length: 500 }, (_, at) => [
        opened(round * 500 + at),
        http2Frame(TYPE.RST_STREAM, 0, idAt(round * 500 + at), uint32(CANCEL)),
      ]);
      await client.send(Buffer.concat(calls.flat()));
    }
    return [client];
  },
  "pings, whose answers nobody reads": async () => {
    const client = deaf();
    await flood(client, http2Frame(TYPE.PING, 0, 0, new Uint8Array(8)), 50e6);
    return [client];
  },
  "settings, whose answers nobody reads": async () => {
    const client = deaf();
    await flood(client, http2Frame(TYPE.SETTINGS, 0, 0, setting(INITIAL_WINDOW_SIZE, 1)), 50e6);
    return [client];
  },
  priorities: async () => {
    const client = deaf();
    await flood(client, http2Frame(TYPE.PRIORITY, 0, 1, Uint8Array.of(0, 0, 0, 0, 16)), 10e6);
    return [client];
  },
  "windows that grow by one": async () => {
    const client = deaf();
    await flood(client, http2Frame(TYPE.WINDOW_UPDATE, 0, 0, uint32(1)), 10e6);
    return [client];
  },
  "data without bytes": async () => {
    const client = new RawClient(socket);
    await client.send(opened(0));
    await flood(client, http2Frame(TYPE.DATA, 0, 1), 20e6);
    return [client];
  },
  "headers that do not end": async () => {
    const client = new RawClient(socket);
    await client.send(http2Frame(TYPE.HEADERS, 0, 1, LIST));
    await flood(client, http2Frame(TYPE.CONTINUATION, 0, 1, hpackField("x", "y".repeat(8000))), 50e6);
    return [client];
  },
  "headers that name a long one again and again": async () => {
    const client = new RawClient(socket);
    const long = [hpackField("x", "y".repeat(3900), 0x40), repeated(hpackIndexed(62), 12_000)];
    const headers = Buffer.concat([LIST, ...long]);
    for (let at = 0; at < 300 && !client.isClosed; at++) await client.send(opened(at, headers));
    return [client];
  },
  "answers for which there is no window": async () => {
    const client = new RawClient(socket, setting(INITIAL_WINDOW_SIZE, 0));
    const call = (at: number): Buffer =>
      Buffer.concat([opened(at), http2Frame(TYPE.DATA, FLAG.END_STREAM, idAt(at), frame(new Uint8Array()))]);
    for (let round = 0; round < 50 && !client.isClosed; round++) {
      await client.send(Buffer.concat(Array.from({ length: 100 }, (_, at) => call(round * 100 + at))));
    }
    return [client];
  },
  "50,000 calls that are open, on 50 connections": async () => {
    const clients = Array.from({ length: 50 }, () => new RawClient(socket));
    const calls = Buffer.concat(Array.from({ length: 1000 }, (_, at) => opened(at)));
    await Promise.all(clients.map((client) => client.send(calls)));
    await Bun.sleep(500);
    return clients;
  },
  "50,000 calls that are open, on one connection": async () => {
    const client = new RawClient(socket);
    for (let round = 0; round < 500 && !client.isClosed; round++) {
      await client.send(Buffer.concat(Array.from({ length: 100 }, (_, at) => opened(round * 100 + at))));
    }
    return [client];
  },
  "2,000 requests that are announced as large, and stay half": async () => {
    const clients = Array.from({ length: 4 }, () => new RawClient(socket));
    const part = frame(new Uint8Array(16_000), 0, 900_000);
    const send = async (client: RawClient): Promise<void> => {
      await client.send(Buffer.concat(Array.from({ length: 500 }, (_, at) => opened(at))));
      for (let round = 0; round < 20 && !client.isClosed; round++) {
        for (let at = 0; at < 500; at++) await client.send(http2Frame(TYPE.DATA, 0, idAt(at), part));
      }
    };
    await Promise.all(clients.map(send));
    return clients;
  },
  "bytes that are no HTTP/2": async () => {
    const client = new RawClient(socket);
    await client.send(Buffer.alloc(1e6, 0x5a));
    return [client];
  },
  "a frame of a length that nobody may send": async () => {
    const client = new RawClient(socket);
    await client.send(http2Frame(TYPE.DATA, 0, 1, new Uint8Array(1e6)));
    return [client];
  },
  "500 connections": async () => {
    const clients = Array.from({ length: 500 }, () => new RawClient(socket));
    await until(() => clients.filter(({ isClosed }) => isClosed).length >= 400);
    return clients;
  },
};

test.each(Object.entries(SCENARIOS))("%s: survived", async (_, attack) => {
  const attackers = await attack();
  for (const attacker of attackers) attacker.end();
  // A connection more than is allowed is closed, until those above have ended.
  for (let tries = 0; ; tries++) {
    const client = new GrpcClient(socket);
    const answer = await client.call(Health.method.check, {}).catch((thrown: unknown) => thrown);
    client.close();
    if (!(answer instanceof Error)) break;
    if (tries === 100) throw answer;
    await Bun.sleep(50);
  }
  expect(peakMib()).toBeLessThan(MEMORY_MIB_MAX);
  expect(daemon.exitCode).toBeNull();
});
