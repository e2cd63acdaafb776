/** Changes as notifications: it does not matter who made them, only that they are in the log. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { NOTIFICATION_BACKLOG_BYTES_MAX } from "../../../src/domain/limits.ts";
import { createInvoke, type Invoke } from "../../../src/service/invoke.ts";
import type { SessionService } from "../../../src/service/session.ts";
import { makeTestBed, type TestBed } from "../../fakes/fake-host.ts";
import { Served } from "../../fakes/served.ts";
import { serviceObject } from "../../objects/service-object.ts";

let bed: TestBed;
let session: Served;
/** Another process: nothing goes through the session. */
let other: Invoke;

beforeEach(async () => {
  bed = makeTestBed();
  bed.files.contents.set("/x.o", serviceObject());
  other = createInvoke(bed.runtime);
  session = new Served(bed);
  await session.initialize();
});
afterEach(async () => {
  session.readOn();
  session.end();
  await session.exitCode;
  bed.close();
});

const LOAD = { source: { file: "/x.o" }, programs: [{ type: "tracepoint", name: "on_openat" }] } as const;
const attach = { kind: "tracepoint", tracepoint: "sched/sched_switch" } as const;

async function load(metadata: Readonly<Record<string, string>> = {}): Promise<number> {
  const { programs } = await other("program/load", { ...LOAD, metadata });
  return programs[0]?.record?.program_id as number;
}

/** The notifications so far, without those that are not of changes. */
const events = () =>
  session.heard.messages.filter((each) => /^(program|link|dispatcher|events)\//.test(each.method ?? ""));
const arrived = (count: number) =>
  session.heard.when(`${count} events`, () => (events().length >= count ? events() : undefined));

test("a client that did not subscribe gets no notifications", async () => {
  await load();
  await Bun.sleep(20);
  expect(events()).toEqual([]);
});

test("the life of a program, with its records", async () => {
  expect(await session.result("events/subscribe")).toEqual({ sequence: 0, complete: true });
  const program = await load({ owner: "me" });
  const link = await other("link/attach", { programId: program, attach });
  await other("link/detach", { linkId: link.record.id });
  await other("program/unload", { programId: program });
  const heard = await arrived(4);
  expect(heard.map(({ method, params }) => ({ method, ...params }))).toMatchObject([
    { method: "program/didLoad", sequence: 1, program_id: program, record: { meta: { metadata: { owner: "me" } } } },
    { method: "link/didAttach", sequence: 2, link_id: link.record.id, program_id: program, record: link.record },
    { method: "link/didDetach", sequence: 3, link_id: link.record.id, record: { id: link.record.id } },
    { method: "program/didUnload", sequence: 4, program_id: program, record: { program_id: program } },
  ]);
  for (const { params } of heard) expect(params?.at).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/);
});

test("a record is the one that the operation answers", async () => {
  await session.result("events/subscribe");
  const { programs } = await other("program/load", LOAD);
  expect((await arrived(1))[0]?.params?.record).toEqual(JSON.parse(JSON.stringify(programs[0]?.record)));
});

test("a chain tells of its dispatcher and of the members that move", async () => {
  const { programs } = await other("program/load", { ...LOAD, programs: [{ type: "xdp", name: "filter" }] });
  const programId = programs[0]?.record?.program_id as number;
  await session.result("events/subscribe");
  const xdp = (priority: number) =>
    other("link/attach", { programId, attach: { kind: "xdp", iface: "eth0", priority } });
  const first = await xdp(50);
  await other("link/update", { linkId: first.record.id, priority: 60 });
  await other("link/detach", { linkId: first.record.id });
  const heard = await arrived(6);
  expect(heard.map(({ method, params }) => [method, params?.dispatcher === null])).toEqual([
    ["dispatcher/didChange", false],
    ["link/didAttach", false],
    ["dispatcher/didChange", false],
    ["link/didUpdate", false],
    ["link/didDetach", false],
    ["dispatcher/didChange", true],
  ]);
  expect(heard[3]?.params).toMatchObject({ link_id: first.record.id, record: { details: { priority: 60 } } });
  expect(heard[2]?.params).toMatchObject({
    key: { type: "xdp", ifindex: 2 },
    dispatcher: { revision: 2, interface: "eth0" },
  });
});

test("a failed load and a failed unload send no notification", async () => {
  const program = await load();
  await session.result("events/subscribe");
  bed.faults.reset();
  await other("program/load", LOAD);
  const calls = bed.faults.calls.length;
  await arrived(1);
  for (let failAt = 1; failAt <= calls; failAt++) {
    bed.faults.reset();
    bed.faults.failAt = failAt;
    await other("program/load", LOAD).catch(() => {});
  }
  bed.faults.reset();
  bed.faults.failAt = 2;
  await other("program/unload", { programId: program }).catch(() => {});
  bed.faults.reset();
  await Bun.sleep(30);
  expect(events().map((each) => each.method)).toEqual(["program/didLoad"]);
});

test("only the requested kinds are sent; the last subscription counts", async () => {
  await session.result("events/subscribe", { kinds: ["link/didAttach"] });
  await session.result("events/subscribe", { kinds: ["program/didUnload"] });
  const program = await load();
  await other("link/attach", { programId: program, attach });
  await other("program/unload", { programId: program });
  expect((await arrived(1)).map((each) => each.method)).toEqual(["program/didUnload"]);
  expect(await session.result("events/unsubscribe")).toBeNull();
  await load();
  await Bun.sleep(20);
  expect(events().length).toBe(1);
});

describe("since", () => {
  test("brings what was missed, in order and once", async () => {
    const first = await load();
    const { sequence } = await session.result<{ sequence: number }>("events/subscribe");
    await session.result("events/unsubscribe");
    const second = await load();
    await other("program/unload", { programId: first });
    expect(await session.result("events/subscribe", { since: sequence })).toEqual({
      sequence: sequence + 2,
      complete: true,
    });
    await load();
    expect((await arrived(3)).map(({ params }) => [params?.sequence, params?.program_id])).toEqual([
      [sequence + 1, second],
      [sequence + 2, first],
      [sequence + 3, expect.any(Number)],
    ]);
  });

  test("0 brings everything there is", async () => {
    await load();
    await load();
    expect(await session.result("events/subscribe", { since: 0 })).toEqual({ sequence: 2, complete: true });
    expect((await arrived(2)).map(({ params }) => params?.sequence)).toEqual([1, 2]);
  });

  test("a number that was never given means another log", async () => {
    expect(await session.result("events/subscribe", { since: 77 })).toEqual({ sequence: 0, complete: false });
    await load();
    expect((await arrived(1))[0]?.params?.sequence).toBe(1);
  });
});

test("a client that does not read loses notifications, which are counted, and no reply", async () => {
  const answered = Promise.withResolvers<void>();
  const fat = new Served(bed, (service) => ({
    ...service,
    invoke: (async () => {
      setImmediate(answered.resolve);
      return { programs: "x".repeat(2 * NOTIFICATION_BACKLOG_BYTES_MAX) };
    }) as unknown as SessionService["invoke"],
  }));
  session.end();
  session = fat;
  fat.send({ jsonrpc: "2.0", id: "i", method: "initialize", params: { protocolVersion: 1 } });
  await fat.heard.reply("i");
  const { sequence } = await session.result<{ sequence: number }>("events/subscribe");
  session.stopReading();
  const asked = [session.ask("program/list"), session.ask("program/list")];
  await answered.promise;
  await Bun.sleep(10);
  const ids = [await load(), await load(), await load()];
  await Bun.sleep(50);
  session.readOn();
  for (const id of asked) expect(await session.heard.reply(id)).toHaveProperty("result.programs");
  const [dropped] = await arrived(1);
  expect(dropped).toMatchObject({ method: "events/didDrop", params: { count: 3, sequence: sequence + 3 } });
  const later = await load();
  expect((await arrived(2))[1]).toMatchObject({ method: "program/didLoad", params: { program_id: later } });
  await session.result("events/subscribe", { since: sequence, kinds: ["program/didLoad"] });
  expect((await arrived(6)).slice(2).map(({ params }) => params?.program_id)).toEqual([...ids, later]);
});
