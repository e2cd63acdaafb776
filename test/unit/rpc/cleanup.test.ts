/** What a session with `cleanup` created is removed with it, however it ends; everything else stays. */
import { expect, test } from "bun:test";
import type { LoadAnswer } from "../../../src/domain/answer.ts";
import type { Invoke } from "../../../src/service/invoke.ts";
import type { TestBed } from "../../fakes/fake-host.ts";
import { beforeEachServiceBed } from "../../fakes/service-bed.ts";
import { Served } from "../../fakes/served.ts";

let bed: TestBed;
let other: Invoke;

beforeEachServiceBed((made, call) => {
  [bed, other] = [made, call];
});

const LOAD = { source: { file: "/x.o" }, programs: [{ type: "tracepoint", name: "on_openat" }] } as const;
const attach = { kind: "tracepoint", tracepoint: "sched/sched_switch" } as const;
/** A tracepoint takes a program once. */
const elsewhere = { kind: "tracepoint", tracepoint: "syscalls/sys_enter_openat" } as const;
const rows = () =>
  bed.inspect(({ store }) => ({
    programs: store.programs().map((program) => program.id as number),
    links: store.links().map((link) => link.id as number),
  }));
const loadedBy = ({ programs }: LoadAnswer): number => programs[0]?.record?.program_id ?? 0;

/** A session that loaded a program with a link, and attached a program of somebody else. */
async function busySession() {
  const session = new Served(bed);
  await session.initialize({ session: { cleanup: true } });
  const foreign = loadedBy(await other("program/load", LOAD));
  const own = loadedBy(await session.result<LoadAnswer>("program/load", LOAD));
  await session.result("link/attach", { programId: own, attach });
  await session.result("link/attach", { programId: foreign, attach });
  const theirs = await other("link/attach", { programId: own, attach: elsewhere });
  const kept = await other("link/attach", { programId: foreign, attach: elsewhere });
  expect(rows().links.length).toBe(4);
  return { session, foreign, own, theirs, kept: kept.record.id };
}

test.each(["the input ends", "exit", "a signal", "the client goes"])("when %s", async (how) => {
  const { session, foreign, kept } = await busySession();
  if (how === "exit") session.notify("exit");
  else if (how === "a signal") session.interrupt();
  else if (how === "the input ends") session.end();
  else {
    session.vanish();
    session.ask("version", { features: false });
  }
  await session.exitCode;
  expect(rows()).toEqual({ programs: [foreign], links: [kept] });
  expect([...bed.kernel.pins.keys()].filter((pin) => pin.includes("prog_"))).toEqual([`/fake/fs/prog_${foreign}`]);
});

test("something that others have already removed is not an error", async () => {
  const { session, foreign, own, kept } = await busySession();
  await other("program/unload", { programId: own });
  session.end();
  expect(await session.exitCode).toBe(0);
  expect(rows()).toEqual({ programs: [foreign], links: [kept] });
});

test("without cleanup everything stays", async () => {
  const session = new Served(bed);
  await session.initialize();
  await session.result("program/load", LOAD);
  session.end();
  await session.exitCode;
  expect(rows().programs.length).toBe(1);
});

test("a session that made nothing takes no lock and opens nothing for writing", async () => {
  const refuse = async (): Promise<never> => {
    throw new Error("not to be asked for");
  };
  const session = new Served({ ...bed, runtime: { ...bed.runtime, openLock: refuse } });
  await session.initialize({ session: { cleanup: true } });
  session.end();
  expect(await session.exitCode).toBe(0);
  expect(bed.logged.filter((line) => line.startsWith("error"))).toEqual([]);
});

test("of a server that was killed, the next change takes it away; one that lives keeps it", async () => {
  const { foreign, own, kept } = await busySession();
  await other("program/load", LOAD);
  expect(rows().programs).toContain(own);
  const [owner = ""] = bed.inspect((host) => host.store.brief().flatMap(({ owner }) => owner ?? []));
  bed.ended.add(owner);
  await other("link/detach", { linkId: kept });
  expect(rows().programs).toContain(foreign);
  expect(rows().programs).not.toContain(own);
  expect(rows().links).toEqual([]);
});

test("a failure at any step leaves rows that the next change takes away", async () => {
  for (let failAt = 1; ; failAt++) {
    const session = new Served(bed);
    await session.initialize({ session: { cleanup: true } });
    const own = loadedBy(await session.result<LoadAnswer>("program/load", LOAD));
    await session.result("link/attach", { programId: own, attach });
    const [owner = ""] = bed.inspect((host) => host.store.brief().flatMap(({ owner }) => owner ?? []));
    bed.faults.reset();
    bed.faults.failAt = failAt;
    session.end();
    await session.exitCode;
    const hit = bed.faults.calls.length >= failAt;
    bed.faults.reset();
    bed.ended.add(owner);
    const program = loadedBy(await other("program/load", LOAD));
    expect(rows()).toEqual({ programs: [program], links: [] });
    await other("program/unload", { programId: program });
    expect(bed.traces()).toMatchObject({ bytecode: [], kernel: { programs: [] } });
    bed.ended.clear();
    if (!hit) break;
  }
});
