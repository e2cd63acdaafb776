/**
 * Tests rpc/PROTOCOL.md against the executable: vscode-jsonrpc's own client sends each request of the page, with real
 * IDs and paths, and the answers are compared with the page and with the schemas.
 */
import { expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import {
  createMessageConnection,
  type MessageConnection,
  ProgressType,
  type ResponseError,
  StreamMessageReader,
  StreamMessageWriter,
} from "vscode-jsonrpc/node";
import { openRpcDocument } from "../../rpc/openrpc.ts";
import type { ServerNotifications } from "../../rpc/protocol.ts";
import { SESSION_SCHEMAS } from "../../rpc/schemas.ts";
import { buildBpf } from "../../scripts/build-bpf.ts";
import type {
  DispatcherListAnswer,
  LinkAnswer,
  LoadAnswer,
  ReplaceAnswer,
  RunAnswer,
} from "../../src/domain/answer.ts";
import { CHANGE_KINDS } from "../../src/domain/change.ts";
import { OPERATIONS } from "../../src/service/operations.ts";
import { executable } from "../labs/executable.ts";
import { misfits } from "../expect/json-schema.ts";
import { cable, sh, until } from "../labs/kernel-lab.ts";
import { readProtocolPage } from "../documents/protocol-page.ts";
import { startRegistry } from "../servers/registry.ts";
import { differences } from "../expect/same-shape.ts";

buildBpf();
const REFUSED = resolve(import.meta.dir, "../../dist/bpf/fixtures/refused.bpf.o");
const OBJECT = resolve(import.meta.dir, "../../dist/bpf/examples/packet_counter.bpf.o");
const EVENTS = resolve(import.meta.dir, "../../dist/bpf/fixtures/events.bpf.o");
const page = readProtocolPage();
const bpfman = executable();
const wire = cable();

function connect(): { connection: MessageConnection; ended: Promise<number | null> } {
  const [command = "", ...args] = bpfman.command("rpc");
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "ignore"], env: { PATH: process.env.PATH } });
  const connection = createMessageConnection(
    new StreamMessageReader(child.stdout),
    new StreamMessageWriter(child.stdin),
  );
  connection.listen();
  return { connection, ended: new Promise((done) => child.once("close", done)) };
}

test("every request of the page is answered as the page says, and every change is told so", async () => {
  const { connection, ended } = connect();
  const document = await openRpcDocument("0.0.0");
  const root = JSON.parse(JSON.stringify(document));
  const asked = new Set<string>();
  const told = new Map<string, unknown>();
  connection.onNotification((method, params) => void told.set(method, params));
  const { token, value: example } = page.notification("$/progress")
    .params as unknown as ServerNotifications["$/progress"];
  const progress: unknown[] = [];
  connection.onProgress(new ProgressType<unknown>(), token, (value) => void progress.push(value));

  const attach = { kind: "tc", iface: wire.interface, direction: "ingress", priority: 50, netns: wire.netns };

  /** Sends the page's request with some params replaced, and compares the answer. */
  async function ask<Result>(
    method: string,
    params: Readonly<Record<string, unknown>> = {},
    session = connection,
  ): Promise<Result> {
    asked.add(method);
    const { request, response } = page.exchange(method);
    const result = await session.sendRequest<Result>(method, { ...request.params, ...params });
    const schema = document.methods.find((each) => each.name === method)?.result?.schema ?? {};
    if (method !== "rpc.discover") {
      expect({ method, misfits: misfits(result, schema, root) }).toEqual({ method, misfits: [] });
      expect({ method, differences: differences(response.result, result) }).toEqual({ method, differences: [] });
    }
    return result;
  }

  /** Loads and attaches what the page deletes: a link with its program, a chain, and a program. */
  async function remove(): Promise<void> {
    const attached = async () => {
      const { programs } = await ask<LoadAnswer>("program/load", { source: { file: OBJECT } });
      const programId = programs[0]?.record?.program_id;
      const { record } = await ask<LinkAnswer>("link/attach", { programId, attach });
      return { programId, linkId: record.id };
    };
    const { linkId } = await attached();
    await ask("link/delete", { linkId });
    const { programId } = await attached();
    const { dispatchers } = await ask<DispatcherListAnswer>("dispatcher/list");
    await ask("dispatcher/delete", { ...dispatchers[0]?.key });
    await ask("program/delete", { programId });
  }

  /** The page's session ends with what it made, where nothing can be restored. */
  async function restoreInSessionThatStays(): Promise<void> {
    const other = connect();
    const { request } = page.exchange("initialize");
    await other.connection.sendRequest("initialize", {
      ...request.params,
      processId: process.pid,
      session: { cleanup: false },
    });
    await other.connection.sendNotification("initialized", {});
    await ask("restore", {}, other.connection);
    await other.connection.sendRequest("shutdown");
    await other.connection.sendNotification("exit");
    expect(await other.ended).toBe(0);
    other.connection.dispose();
  }

  /** Mounts the map of a program that a volume names. */
  async function publish(): Promise<void> {
    const volume = { metadata: { "bpfman.io/ProgramName": "counter" }, application: null };
    const programs = [{ type: "tc", name: "count_packets" }];
    const asked = { source: { file: OBJECT }, programs, ...volume };
    const loaded = await connection.sendRequest<LoadAnswer>("program/load", asked);
    const targetPath = bpfman.path("volume");
    await ask("volume/publish", { targetPath });
    await ask("volume/unpublish", { targetPath });
    await connection.sendRequest("program/unload", { programId: loaded.programs[0]?.record?.program_id });
  }

  /** Lets programs report events and print. */
  async function report(): Promise<void> {
    const names = ["to_ring", "prints"];
    const programs = names.map((name) => ({ type: "xdp", name }));
    const loaded = await connection.sendRequest<LoadAnswer>("program/load", { source: { file: EVENTS }, programs });
    const packet = bpfman.path("packet");
    writeFileSync(packet, Buffer.alloc(64));
    for (const { record } of loaded.programs) {
      sh("bpftool", "prog", "run", "id", String(record?.program_id), "data_in", packet);
    }
    await ask("map/events", { source: loaded.programs[0]?.record?.program_id });
    await ask("trace");
    for (const { record } of loaded.programs) {
      await connection.sendRequest("program/unload", { programId: record?.program_id });
    }
  }

  const { sequence } = await ask<{ readonly sequence: number }>("initialize", { processId: process.pid });
  await connection.sendNotification("initialized", page.notification("initialized").params);
  const discovered = await ask<typeof document>("rpc.discover");
  expect({ ...discovered, info: null }).toEqual({ ...root, info: null });
  await ask("version");
  const { request, response } = page.exchange("Errors");
  const refused: ResponseError<unknown> = await connection.sendRequest(request.method, request.params).then(
    () => expect.unreachable(),
    (cause) => cause,
  );
  expect({ code: refused.code, message: refused.message, data: refused.data }).toEqual(response.error as never);

  await ask("events/subscribe", { since: sequence });
  const { programs } = await ask<LoadAnswer>("program/load", { source: { file: OBJECT } });
  const programId = programs[0]?.record?.program_id;
  const { kind: _, ...place } = attach;
  const ran = await ask<RunAnswer>("program/run", { source: { file: OBJECT }, attach: place });
  const programIds = [ran.programs[0]?.record?.program_id];
  const { replaced } = await ask<ReplaceAnswer>("program/replace", { source: { file: OBJECT }, programIds });
  await connection.sendRequest("program/unload", { programId: replaced[0]?.program.record?.program_id });
  await ask("program/list");
  await ask("program/get", { programId });
  await ask("complete", { file: OBJECT });
  await ask("object/check", { files: [REFUSED] });
  await ask("object/inspect", { file: OBJECT });
  await ask("map/list", { programId });
  const map = `${programId}/counters`;
  for (const method of ["map/get", "map/update", "map/lookup", "map/dump", "map/clear"]) await ask(method, { map });
  const flows = `${bpfman.runtimeDir}/fs/flows`;
  sh("bpftool", "map", "create", flows, "type", "hash", "key", "4", "value", "1", "entries", "1", "name", "flows");
  sh("bpftool", "map", "update", "pinned", flows, "key", "1", "2", "3", "4", "value", "5");
  await ask("map/delete", { map: flows, key: "01020304", foreign: true });
  sh("rm", flows);
  await publish();
  await ask("program/stats", { programIds: [programId] });
  await ask("metrics");
  await report();
  const { record } = await ask<LinkAnswer>("link/attach", { programId, attach });
  await ask("link/list");
  await ask("link/get", { linkId: record.id });
  // No program of the page is an iterator: test/kernel/iter.test.ts reads one as the page does.
  const unreadable = connection.sendRequest("link/read", { linkId: record.id });
  expect((await unreadable.catch((cause: ResponseError<unknown>) => cause)) as object).toMatchObject({
    data: { code: "NOT_SUPPORTED" },
  });
  asked.add("link/read");
  await ask("link/update", { linkId: record.id });
  const { dispatchers } = await ask<DispatcherListAnswer>("dispatcher/list");
  await ask("dispatcher/get", { ...dispatchers[0]?.key });
  rmSync(`${bpfman.runtimeDir}/fs/prog_${programId}`);
  await ask("doctor");
  await ask("repair");
  await restoreInSessionThatStays();
  await ask("link/detach", { linkId: record.id });
  await ask("history/list", { linkId: record.id });
  await ask("program/unload", { programId });
  const desired = { applications: { counter: { objects: [{ path: OBJECT, programs: [{ name: "count_packets" }] }] } } };
  await ask("apply", { documents: [{ text: JSON.stringify(desired) }] });
  await ask("export");
  await connection.sendRequest("program/unload", { programId: "counter/count_packets" });
  await remove();
  await until(() => CHANGE_KINDS.every((kind) => told.has(kind)));
  const registry = await startRegistry();
  try {
    const url = `${registry.host}/packet/counter:v1`;
    const bytecode = { file: OBJECT };
    await ask("image/generateBuildArgs", { bytecode });
    await ask("image/build", { tag: url, bytecode });
    for (const method of ["image/inspect", "image/pull", "image/verify"]) await ask(method, { url });
    for (const method of ["image/list", "image/prune"]) await ask(method);
  } finally {
    await registry.close();
  }
  await ask("events/unsubscribe");
  await ask("shutdown");
  await connection.sendNotification("exit", page.notification("exit").params);
  expect(await ended).toBe(0);
  connection.dispose();

  for (const kind of CHANGE_KINDS) {
    const schema = document["x-notifications"].find((each) => each.name === kind)?.schema ?? {};
    expect({ kind, misfits: misfits(told.get(kind), schema, root) }).toEqual({ kind, misfits: [] });
    const differing = differences(page.notification(kind).params, told.get(kind));
    expect({ kind, differing }).toEqual({ kind, differing: [] });
  }
  const results = document["x-notifications"].find((each) => each.name === "stream/didRead")?.schema ?? {};
  expect(misfits(told.get("stream/didRead"), results, root)).toEqual([]);
  expect(told.get("stream/didRead")).toMatchObject({ token: "events-1", results: [{ event: { number: 0 } }] });
  expect(progress.at(0)).toEqual({ kind: "begin", title: "image/pull" });
  expect(differences(example, progress.at(1))).toEqual([]);
  expect(progress.at(-1)).toEqual({ kind: "end" });
  expect([...asked].sort()).toEqual([...Object.keys(SESSION_SCHEMAS), ...Object.keys(OPERATIONS)].sort());
  await bpfman.expectNothingLeft();
});
