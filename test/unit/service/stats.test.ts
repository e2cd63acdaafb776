import { afterEach, beforeEach, expect, test } from "bun:test";
import { programId } from "../../../src/domain/ids.ts";
import { BpfmanError } from "../../../src/errors/error.ts";
import { createInvoke, type Invoke } from "../../../src/service/invoke.ts";
import type { RunCounts, WatchedRuns } from "../../../src/platform/kernel.ts";
import { makeTestBed, type TestBed } from "../../fakes/fake-host.ts";
import { failureOfAsync } from "../../expect/failure.ts";
import { serviceObject } from "../../objects/service-object.ts";

let bed: TestBed;
let invoke: Invoke;
beforeEach(() => {
  bed = makeTestBed();
  bed.files.contents.set("/x.o", serviceObject());
  invoke = createInvoke(bed.runtime);
});
afterEach(() => {
  expect(bed.kernel.open).toEqual({ counting: 0, watches: 0 });
  bed.close();
});

const load = async (type: string, name: string, more: object = {}): Promise<number> => {
  const { programs } = await invoke("program/load", { source: { file: "/x.o" }, programs: [{ type, name }], ...more });
  return programs[0]?.record?.program_id ?? 0;
};

/** Each reading has so much more than the one before. */
function growing(each: RunCounts): () => RunCounts {
  let readings = 0;
  return () => {
    const at = readings++;
    return { runs: 100 + at * each.runs, timeNs: 5000 + at * each.timeNs };
  };
}

test("what a program did in the interval, whose it is, and whose others are", async () => {
  const id = await load("tcx", "count", { application: "demo" });
  bed.kernel.runs.set(id, growing({ runs: 10, timeNs: 400 }));
  const loaded = await bed.kernel.load({
    ...{ bytes: serviceObject(), name: "other", globals: [], alongside: [], reuse: new Map() },
    programs: [{ name: "sock", type: "tc", attachFunction: null }],
  });
  const stranger = loaded.programs[0]?.kernel.id ?? programId(0);
  bed.holders.set(stranger, [{ pid: 7, name: "dogd" }]);
  const { programs, not_counted: reason } = await invoke("program/stats", {});
  expect(reason).toBeNull();
  expect(programs).toMatchObject([
    {
      ...{ program_id: id, name: "count", type: "tcx", managed: true, application: "demo", owner: "bpfman" },
      ...{ in_chain: false, owner_pids: [], run_time_ns: 400, ns_per_run: 40 },
    },
    { program_id: stranger, name: "sock", managed: false, owner: "dogd", owner_pids: [7], ns_per_run: null },
  ]);
  loaded.close();
  // What was asked about is read once more, to see that it is there.
  const { programs: one } = await invoke("program/stats", { programIds: [id] });
  expect(one).toMatchObject([{ program_id: id, runs: 10 }]);
});

test("what was not counted is null, and says why", async () => {
  const id = await load("tcx", "count");
  bed.kernel.counting = false;
  bed.kernel.countingRefused = new BpfmanError("PERMISSION_DENIED", "that takes CAP_SYS_ADMIN");
  expect(await invoke("program/stats", {})).toMatchObject({
    not_counted: "that takes CAP_SYS_ADMIN",
    programs: [{ program_id: id, runs: null, run_time_ns: null, runs_per_second: null, cpu_percent: null }],
  });
  // The administrator has the kernel count all the time.
  bed.kernel.counting = true;
  expect(await invoke("program/stats", {})).toMatchObject({ not_counted: null, programs: [{ runs: 0 }] });
});

test("an id that is not there, and an interruption, leave nothing open", async () => {
  await load("tcx", "count");
  expect(await failureOfAsync(() => invoke("program/stats", { programIds: [4711] }))).toMatchObject({
    code: "PROGRAM_NOT_FOUND",
  });
  const signal = AbortSignal.abort();
  expect(await failureOfAsync(() => invoke("program/stats", {}, { signal }))).toMatchObject({ code: "CANCELLED" });
});

test("somebody who takes measurements gets one after the other, with what each saw", async () => {
  const id = await load("tcx", "count");
  bed.kernel.runs.set(id, growing({ runs: 10, timeNs: 400 }));
  const seen: (number | null)[] = [];
  const write = (bytes: Uint8Array): boolean => {
    seen.push(JSON.parse(new TextDecoder().decode(bytes)).programs[0].runs);
    return seen.length < 3;
  };
  await invoke("program/stats", {}, { sink: { separator: "\n", write } });
  expect(seen).toEqual([10, 10, 10]);
});

test("members of a chain are counted on demand, by what sits in their slots", async () => {
  bed.kernel.ext = true;
  const [first, second] = [await load("xdp", "filter"), await load("xdp", "filter")];
  const attach = { kind: "xdp", iface: "eth0", priority: 50 };
  const links: number[] = [];
  for (const id of [first, second, second])
    links.push((await invoke("link/attach", { programId: id, attach })).record.id);
  const without = await invoke("program/stats", { programIds: [first] });
  expect(without.programs).toMatchObject([{ program_id: first, in_chain: true, runs: null }]);
  expect(without.chains).toBeUndefined();

  const members = bed.inspect((host) => {
    const slot = (link: number) => host.store.links().find(({ id }) => id === link)?.kernelLinkId;
    return links.map((link) => host.kernel.link(slot(link) as never)?.programId ?? 0);
  });
  const counts = (runs: number, verdicts: [number | null, number][]): WatchedRuns => ({
    ...{ runs, timeNs: runs * 50 },
    verdicts: new Map(verdicts),
  });
  bed.kernel.watched.set(members[0] ?? 0, () =>
    counts(9, [
      [1, 6],
      [2, 0],
      [null, 3],
    ]),
  );
  bed.kernel.watched.set(members[1] ?? 0, () => counts(4, [[2, 4]]));
  const { programs, chains, members_not_counted: reason } = await invoke("program/stats", { members: true });
  expect(reason).toBeNull();
  const shared = { program_id: second, runs: 4, verdicts: { pass: 4 } };
  expect(
    chains?.map(({ interface: name, members: all }) => [name, all.toSorted((a, b) => a.link_id - b.link_id)]),
  ).toMatchObject([
    [
      "eth0",
      [
        {
          program_id: first,
          link_id: links[0],
          runs: 9,
          ns_per_run: 50,
          verdicts: { drop: 6, other: 3 },
          counted_with: [],
        },
        { ...shared, link_id: links[1], counted_with: [links[2]] },
        { ...shared, link_id: links[2], counted_with: [links[1]] },
      ],
    ],
  ]);
  // Twins are not shown beside the programs for which they stand; dispatchers are bpfman's.
  const ids = programs.map((program) => program.program_id);
  expect(members.filter((id) => ids.includes(id))).toEqual([]);
  expect(programs.find((program) => program.program_id === first)).toMatchObject({ runs: 9 });
  expect(programs.find((program) => program.program_id === second)).toMatchObject({ runs: 4 });
  expect(programs.filter((program) => !program.managed)).toMatchObject([{ owner: "bpfman", in_chain: false }]);

  bed.kernel.watchRefused = new BpfmanError("LOAD_FAILED", "no such thing");
  const refused = await invoke("program/stats", { members: true });
  expect(refused.members_not_counted).toBe("no such thing");
  expect(refused.chains?.[0]?.members.map((member) => [member.runs, member.verdicts])).toEqual(
    links.map(() => [null, {}]),
  );
  expect(refused.programs.length).toBe(programs.length);
});

test("metrics count what there is, and leave out what was not counted", async () => {
  const id = await load("tcx", "count", { application: "demo" });
  await invoke("link/attach", {
    programId: id,
    attach: { kind: "tcx", iface: "eth0", direction: "ingress", priority: 5 },
  });
  for (const link of [8, 9]) await invoke("link/detach", { linkId: link }).catch(() => {});
  const found = async () =>
    new Map((await invoke("metrics", {})).metrics.map(({ name, samples }) => [name, samples] as const));
  const labels = { program_id: String(id), name: "count", type: "tcx", application: "demo" };
  const metrics = await found();
  expect(metrics.get("bpfman_programs")).toEqual([{ labels: { type: "tcx", application: "demo" }, value: 1 }]);
  expect(metrics.get("bpfman_links")).toEqual([{ labels: { type: "tcx", application: "demo" }, value: 1 }]);
  expect(metrics.get("bpfman_program_runs_total")).toEqual([{ labels, value: 0 }]);
  expect(metrics.get("bpfman_program_verified_instructions")).toEqual([{ labels, value: 10 }]);
  expect(metrics.get("bpfman_run_statistics_enabled")).toEqual([{ labels: {}, value: 1 }]);
  expect(metrics.get("bpfman_failed_operations")).toEqual([
    { labels: { operation: "link/detach", code: "LINK_NOT_FOUND" }, value: 2 },
  ]);
  bed.kernel.counting = false;
  const uncounted = await found();
  expect(uncounted.get("bpfman_program_runs_total")).toEqual([]);
  expect(uncounted.get("bpfman_run_statistics_enabled")).toEqual([{ labels: {}, value: 0 }]);

  expect(await invoke("metrics", { output: "/out/x.prom" })).toMatchObject({ file: "/out/x.prom" });
  expect(new TextDecoder().decode(bed.files.contents.get("/out/x.prom"))).toContain(
    `bpfman_links{type="tcx",application="demo"} 1\n`,
  );
});
