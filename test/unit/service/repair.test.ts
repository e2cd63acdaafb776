/** Repairs on the fake kernel: failures at each call are undone, and what is not proven ours is not touched. */
import { Database } from "bun:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { DoctorAnswer } from "../../../src/domain/answer.ts";
import { createInvoke, type Invoke } from "../../../src/service/invoke.ts";
import { makeTestBed, type TestBed } from "../../fakes/fake-host.ts";
import { compileBpf } from "../../objects/compile.ts";

const OBJECT = [
  'SEC("xdp") int x_a(void *ctx) { return 2; }',
  'SEC("xdp") int x_b(void *ctx) { return 2; }',
  'SEC("tc") int t_a(void *ctx) { return 0; }',
  'SEC("tracepoint/sched/sched_switch") int on_switch(void *ctx) { return 0; }',
].join("\n");

let bed: TestBed;
let invoke: Invoke;
function begin(): void {
  bed = makeTestBed();
  bed.kernel.ext = true;
  bed.files.contents.set("/x.o", compileBpf(OBJECT));
  invoke = createInvoke(bed.runtime);
}
beforeEach(begin);
afterEach(() => bed.close());

async function load(type: string, name: string): Promise<number> {
  const { programs } = await invoke("program/load", { source: { file: "/x.o" }, programs: [{ type, name }] });
  return programs[0]?.record?.program_id as number;
}

const xdp = { kind: "xdp", iface: "eth0", priority: 50 };
const tc = { kind: "tc", iface: "eth0", direction: "ingress", priority: 50 };
const TC_HOOK = { netns: null, ifindex: 2, direction: "ingress" } as const;
const FILTER = { priority: 50, handle: 1 };

const codes = async (): Promise<string[]> => [
  ...new Set((await invoke("doctor", {})).findings.map(({ code }: DoctorAnswer["findings"][number]) => code)),
];

function spoil(sql: string): void {
  const database = new Database(bed.databasePath);
  database.run(sql);
  database.close();
}

interface Drift {
  readonly code: string;
  make(): Promise<void>;
}

const DRIFTS: Readonly<Record<string, Drift>> = {
  "a program without a pin": {
    code: "program-unpinned",
    make: async () => {
      const id = await load("tracepoint", "on_switch");
      await invoke("link/attach", { programId: id, attach: { kind: "tracepoint", tracepoint: "sched/sched_switch" } });
      bed.kernel.pins.delete(`/fake/fs/prog_${id}`);
    },
  },
  "a filter that was deleted": {
    code: "hook-empty",
    make: async () => {
      await invoke("link/attach", { programId: await load("tc", "t_a"), attach: tc });
      bed.kernel.detachTc(TC_HOOK, FILTER);
    },
  },
  "a filter that somebody replaced": {
    code: "hook-taken",
    make: async () => {
      await invoke("link/attach", { programId: await load("tc", "t_a"), attach: tc });
      const theirs = await load("tc", "t_a");
      bed.kernel.replaceTc({ path: `/fake/fs/prog_${theirs}`, kind: "program", id: theirs }, TC_HOOK, FILTER);
    },
  },
  "a dispatcher that differs from its rows": {
    code: "dispatcher-differs",
    make: async () => {
      for (const name of ["x_a", "x_b"])
        await invoke("link/attach", { programId: await load("xdp", name), attach: xdp });
      spoil("UPDATE links SET details = json_set(details, '$.priority', 7) WHERE details ->> 'position' = 1");
    },
  },
};

describe.each(Object.entries(DRIFTS))("%s", (_, { code, make }) => {
  test("is found and repaired, and then nothing is found", async () => {
    await make();
    expect(await codes()).toEqual([code]);
    const planned = await invoke("repair", { dryRun: true });
    expect([planned.steps.map(({ result }) => result), await codes()]).toEqual([["planned"], [code]]);
    const { steps, findings } = await invoke("repair", {});
    expect(steps.map(({ result, action }) => ({ result, action }))).toEqual([
      { result: "done", action: planned.steps[0]?.action ?? "" },
    ]);
    expect([findings, await codes()]).toEqual([[], []]);
    expect((await invoke("repair", {})).steps).toEqual([]);
  });

  test.each(["failAt", "dieAt"] as const)("%s: wherever the repair ends, the next one finishes it", async (how) => {
    let failures = 0;
    for (let at = 1; ; at++) {
      bed.close();
      begin();
      await make();
      bed.faults.reset();
      bed.faults[how] = at;
      const { steps } = await invoke("repair", {}).catch(() => ({ steps: [] }));
      const reached = bed.faults.calls.length >= at;
      bed.faults.reset();
      const failed = steps.filter(({ result }) => result === "failed");
      for (const { reason } of failed) expect(reason).toContain("injected failure");
      failures += failed.length;
      const again = await invoke("repair", {});
      const left = again.steps.filter(({ result }) => result === "failed");
      expect({ at, findings: again.findings, left }).toEqual({ at, findings: [], left: [] });
      expect(await codes()).toEqual([]);
      if (!reached) break;
    }
    expect(failures).toBeGreaterThan(0);
  });
});

test("neither doctor nor a dry run changes anything", async () => {
  await load("tracepoint", "on_switch");
  bed.files.bytecode.clear();
  const before = [bed.traces(), bed.inspect((host) => host.store.programs())];
  await invoke("doctor", {});
  await invoke("repair", { dryRun: true });
  expect([bed.traces(), bed.inspect((host) => host.store.programs())]).toEqual(before as never);
});
