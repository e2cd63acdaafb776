/** Every step of every operation fails once, and dies once: the result must be complete, or fixed by the next command. */
import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { programId } from "../../../src/domain/ids.ts";
import type { ProgramRecord } from "../../../src/domain/program.ts";
import { BpfmanError } from "../../../src/errors/error.ts";
import { createInvoke, type Invoke } from "../../../src/service/invoke.ts";
import { mapUsers } from "../../../src/service/removal/map-users.ts";
import { makeTestBed, type TestBed } from "../../fakes/fake-host.ts";
import { expectNoWorries } from "../../expect/no-worries.ts";
import { serviceObject } from "../../objects/service-object.ts";

interface Scenario {
  readonly name: string;
  /** Brings the bed to where the operation starts. */
  prepare(invoke: Invoke): Promise<void>;
  act(invoke: Invoke): Promise<unknown>;
  /** Steps that there must be at least, so that a scenario that does nothing is noticed. */
  readonly stepsMin: number;
}

const PROGRAMS = [
  { type: "tcx", name: "count" },
  { type: "tracepoint", name: "on_openat" },
  { type: "cgroup_sock_addr", name: "on_connect" },
];
const loadAll = (invoke: Invoke) => invoke("program/load", { source: { file: "/x.o" }, programs: PROGRAMS });
const attachTcx = (invoke: Invoke) =>
  invoke("link/attach", { programId: 100, attach: { kind: "tcx", iface: "eth0", direction: "ingress", priority: 1 } });

const loadApp = async (invoke: Invoke) =>
  void (await invoke("program/load", {
    ...{ source: { file: "/x.o" }, programs: PROGRAMS },
    metadata: { "bpfman.io/ProgramName": "app" },
  }));
const publish = (invoke: Invoke) =>
  invoke("volume/publish", {
    ...{ volumeId: "v1", targetPath: "/pods/v1", program: "app" },
    ...{ maps: ["counters", "shared_counts"], group: 7 },
  });

const SCENARIOS: readonly Scenario[] = [
  { name: "load", prepare: async () => {}, act: loadAll, stepsMin: 10 },
  {
    name: "load beside another",
    prepare: async (invoke) => void (await loadAll(invoke)),
    act: (invoke) => invoke("program/load", { source: { file: "/x.o" }, programs: PROGRAMS, mapOwnerId: 100 }),
    stepsMin: 8,
  },
  {
    name: "load and attach as one change",
    prepare: async () => {},
    act: (invoke) =>
      invoke("program/run", {
        ...{ source: { file: "/x.o" }, programs: PROGRAMS.slice(0, 2) },
        attach: { iface: "eth0", direction: "ingress", priority: 1, tracepoint: "sched/sched_switch" },
      }),
    stepsMin: 23,
  },
  { name: "attach", prepare: async (invoke) => void (await loadAll(invoke)), act: attachTcx, stepsMin: 4 },
  {
    name: "attach to a cgroup",
    prepare: async (invoke) => void (await loadAll(invoke)),
    act: (invoke) =>
      invoke("link/attach", { programId: 102, attach: { kind: "cgroup", cgroup: "/sys/fs/cgroup/system.slice" } }),
    stepsMin: 4,
  },
  {
    name: "detach",
    prepare: async (invoke) => {
      await loadAll(invoke);
      await attachTcx(invoke);
    },
    act: (invoke) => invoke("link/detach", { linkId: 1 }),
    stepsMin: 4,
  },
  {
    name: "unload",
    prepare: async (invoke) => {
      await loadAll(invoke);
      await attachTcx(invoke);
    },
    act: (invoke) => invoke("program/unload", { programId: 100 }),
    stepsMin: 7,
  },
  {
    name: "unload the last user of maps",
    prepare: async (invoke) => {
      await invoke("program/load", { source: { file: "/x.o" }, programs: PROGRAMS.slice(0, 1) });
    },
    act: (invoke) => invoke("program/unload", { programId: 100 }),
    stepsMin: 7,
  },
  { name: "attach a volume to a target", prepare: loadApp, act: publish, stepsMin: 6 },
  {
    name: "take a volume away",
    prepare: async (invoke) => {
      await loadApp(invoke);
      await publish(invoke);
    },
    act: (invoke) => invoke("volume/unpublish", { volumeId: "v1", targetPath: "/pods/v1" }),
    stepsMin: 3,
  },
];

async function bedFor(scenario: Scenario): Promise<{ bed: TestBed; invoke: Invoke }> {
  const bed = makeTestBed();
  bed.files.contents.set("/x.o", serviceObject());
  const invoke = createInvoke(bed.runtime);
  await scenario.prepare(invoke);
  bed.faults.reset();
  return { bed, invoke };
}

/** What the database says, with all its pins, and what the kernel has: one consistent picture, or this fails. */
function expectConsistent(bed: TestBed): void {
  bed.inspect((host) => {
    expect(host.store.unsettledPrograms()).toEqual([]);
    expect(host.store.unsettledLinks()).toEqual([]);
    const programs = host.store.programs();
    const links = host.store.links();
    const pins = new Set<string>();
    for (const program of programs) {
      pins.add(program.pinPath);
      for (const map of program.maps) if (map.pinPath !== null) pins.add(map.pinPath);
    }
    for (const link of links) pins.add(link.pinPath);
    const volumes = host.store.volumes().all();
    for (const { record, isReady } of volumes) {
      expect([isReady, bed.volumes.isPublished(record)]).toEqual([true, true]);
      for (const map of record.maps) pins.add(bed.volumes.mapPath(record, map));
    }
    expect([...bed.volumes.there.keys()]).toEqual(volumes.map(({ record }) => record.id));
    const traces = bed.traces();
    expect(traces.kernel.pins).toEqual([...pins].sort());
    expect(traces.kernel.programs).toEqual(programs.map((program) => program.id as number));
    expect(traces.kernel.links).toEqual(links.map((link) => link.kernelLinkId as number));
    expect(traces.bytecode).toEqual([...new Set(programs.map((program) => program.bytecodeDigest as string))]);
    expect(traces.directories).toEqual([...new Set(programs.map((program) => program.mapPinPath))].sort());
  });
}

/** Any change makes the next command mend what is left; this one finds nothing to do itself. */
const nextCommand = (invoke: Invoke) => invoke("link/detach", { linkId: 4711, ignoreMissing: true });

/** Ids of programs and links that there are. */
const picture = (bed: TestBed) =>
  bed.inspect((host) => ({
    programs: host.store.programs().map((program) => program.id),
    links: host.store.links().map((link) => link.id),
    volumes: host.store
      .volumes()
      .all()
      .map(({ record }) => record.id),
  }));

async function countSteps(scenario: Scenario): Promise<number> {
  const { bed, invoke } = await bedFor(scenario);
  await scenario.act(invoke);
  expectConsistent(bed);
  const steps = bed.faults.calls.length;
  bed.close();
  expect(steps).toBeGreaterThanOrEqual(scenario.stepsMin);
  return steps;
}

for (const scenario of SCENARIOS) {
  describe(scenario.name, () => {
    test("each step failed in turn is undone, or finished by the next command", async () => {
      const steps = await countSteps(scenario);
      for (let step = 1; step <= steps; step++) {
        const { bed, invoke } = await bedFor(scenario);
        const before = picture(bed);
        bed.faults.failAt = step;
        const outcome = await scenario.act(invoke).catch((cause: unknown) => cause);
        const failed = bed.faults.calls[step - 1] as string;
        expect(outcome).toBeInstanceOf(BpfmanError);
        expect((outcome as BpfmanError).message).toBe(`injected failure in ${failed}`);
        bed.faults.reset();
        if (scenario.name.startsWith("load") || scenario.name.startsWith("attach")) {
          // What makes things is taken back whole, at once.
          expectConsistent(bed);
          expect(picture(bed)).toEqual(before);
        }
        await nextCommand(invoke);
        expectConsistent(bed);
        bed.close();
      }
    });

    test("killed at each step, the next command finds its way back", async () => {
      const steps = await countSteps(scenario);
      for (let step = 1; step <= steps; step++) {
        const { bed, invoke } = await bedFor(scenario);
        const before = picture(bed);
        bed.faults.dieAt = step;
        await scenario.act(invoke).catch(() => {});
        bed.kernel.closeAll();
        bed.faults.reset();
        await expectNoWorries(bed.logged, invoke, step);
        await nextCommand(invoke);
        expectConsistent(bed);
        // Nothing that was there before and was not to be removed is lost.
        const after = picture(bed);
        const kept = before.programs.filter((id) => !scenario.name.startsWith("unload") || id !== 100);
        expect(after.programs).toEqual(expect.arrayContaining(kept));
        bed.close();
      }
    });
  });
}

test("an interrupted load is undone", async () => {
  const { bed, invoke } = await bedFor(SCENARIOS[0] as Scenario);
  const interrupted = new AbortController();
  bed.kernel.ext = false;
  const save = bed.files.saveBytecode;
  bed.files.saveBytecode = (path, bytes) => {
    save(path, bytes);
    interrupted.abort();
  };
  const outcome = await invoke(
    "program/load",
    { source: { file: "/x.o" }, programs: PROGRAMS },
    { signal: interrupted.signal },
  ).catch((cause: unknown) => cause);
  expect((outcome as BpfmanError).code).toBe("CANCELLED");
  expectConsistent(bed);
  expect(picture(bed).programs).toEqual([]);
  bed.close();
});

test("a row that cannot be read stops only commands that need it", async () => {
  const { bed, invoke } = await bedFor(SCENARIOS[0] as Scenario);
  await loadAll(invoke);
  await loadAll(invoke);
  const damage = new Database(bed.databasePath);
  damage.run("UPDATE programs SET metadata = '{nonsense', maps = '[' WHERE program_id = 101");
  damage.close();
  // Which pins its maps have cannot be told any more, so none of another program's counts as unused.
  bed.inspect((host) => {
    expect(host.store.mapUses().find(({ id }) => id === 101)?.mapPins).toBeNull();
    const program = host.store.program(programId(102)) as ProgramRecord;
    for (const users of [mapUsers(host), mapUsers(host, [program])]) expect(users.pinsToRemove(program)).toEqual([]);
  });
  for (const programId of [100, 102, 103]) {
    expect(await invoke("program/unload", { programId })).toMatchObject({ unloaded: true });
  }
  const asked = invoke("program/unload", { programId: 101 });
  expect(await asked.catch((cause: BpfmanError) => cause.code)).toBe("DATABASE_UNUSABLE");
  // Nor when it has lost its pin, so that each command looks after it.
  bed.inspect((host) => host.pins.remove(host.pins.paths.program(programId(101))));
  await loadAll(invoke);
  bed.close();
});

test("what could not be undone is said, and its row stays until it is", async () => {
  const { bed, invoke } = await bedFor(SCENARIOS[0] as Scenario);
  const finish = 10;
  await countSteps(SCENARIOS[0] as Scenario);
  bed.faults.dieAt = finish;
  const outcome = (await loadAll(invoke).catch((cause: unknown) => cause)) as BpfmanError;
  expect(outcome.hint).toContain("not undone");
  expect(outcome.details.left).not.toEqual([]);
  expect(bed.inspect((host) => host.store.unsettledPrograms().length)).toBe(PROGRAMS.length);
  bed.faults.reset();
  await nextCommand(invoke);
  expectConsistent(bed);
  bed.close();
});
