import { expect, test } from "bun:test";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { openKernel } from "../../src/kernel/open-kernel.ts";
import { pinAt, toLoad } from "../objects/bpf-fixture.ts";
import { bpftool, counters, temporaryBpffs, until } from "../labs/kernel-lab.ts";

const bpffs = temporaryBpffs();
const kernel = openKernel();
const OPENAT = { kind: "tracepoint", group: "syscalls", name: "sys_enter_openat" } as const;

function openFiles(times: number): void {
  for (let time = 0; time < times; time++) closeSync(openSync("/dev/null", "r"));
}

async function load(limit = 0) {
  const globals = [{ section: ".rodata", offset: 0, bytes: new Uint8Array(Uint32Array.of(limit).buffer) }];
  const loaded = await kernel.load({ ...toLoad("counters", "tracepoint:count_opens"), globals });
  loaded.pinProgram("count_opens", bpffs.path("program"));
  loaded.close();
  const map = loaded.maps[0]!.id;
  return { program: loaded.programs[0]!.kernel.id, opens: () => counters(map)[1] ?? 0 };
}

test("counts while attached, also when only the pin is left, and not any longer", async () => {
  const { program, opens } = await load();
  const link = kernel.attach(pinAt(kernel, bpffs.path("program")), OPENAT);
  expect(kernel.link(link.id)).toMatchObject({ id: link.id, programId: program, type: 7, attachType: null });
  openFiles(10);
  const attached = opens();
  expect(attached).toBeGreaterThanOrEqual(10);

  link.pin(bpffs.path("link"));
  link.close();
  openFiles(10);
  const pinned = opens();
  expect(pinned).toBeGreaterThanOrEqual(attached + 10);
  expect(bpftool("link", "show", "id", String(link.id))).toMatchObject({ type: "perf_event", prog_id: program });

  // A perf-based link cannot be taken off; trying is harmless.
  kernel.forceDetach(link.id);
  openFiles(10);
  expect(opens()).toBeGreaterThanOrEqual(pinned + 10);

  const last = kernel.openPin(bpffs.path("link"));
  bpffs.unpin("link");
  last?.close();
  await until(() => kernel.link(link.id) === null);
  const detached = opens();
  openFiles(10);
  expect(opens()).toBe(detached);
});

test("a global decides how far it counts", async () => {
  const { opens } = await load(3);
  const link = kernel.attach(pinAt(kernel, bpffs.path("program")), OPENAT);
  openFiles(20);
  expect(opens()).toBe(3);
  link.close();
  await until(() => kernel.link(link.id) === null);
});

test("knows which tracepoints there are, and leaves no mount behind", () => {
  const mounts = readFileSync("/proc/self/mountinfo", "utf8");
  const names = kernel.tracepoints();
  expect(names).toContain("syscalls/sys_enter_openat");
  expect(names).toContain("sched/sched_switch");
  expect(names.length).toBeGreaterThan(300);
  expect(kernel.tracepointExists("sched", "sched_switch")).toBe(true);
  for (const [group, name] of [
    ["sched", "no_such_event"],
    ["no_such_group", "sched_switch"],
    ["sched/sched_switch/..", "sched_switch"],
    ["..", "events"],
    ["sched", ""],
    ["sched", "sched_switch\0"],
  ] as const) {
    expect(kernel.tracepointExists(group, name)).toBe(false);
  }
  expect(readFileSync("/proc/self/mountinfo", "utf8")).toBe(mounts);
  expect(existsSync("/sys/kernel/tracing/events")).toBe(mounts.includes("/sys/kernel/tracing "));
});

test("says that there is no such tracepoint", async () => {
  await load();
  expect(() => kernel.attach(pinAt(kernel, bpffs.path("program")), { ...OPENAT, name: "sys_enter_opennat" })).toThrow(
    expect.objectContaining({ code: "TRACEPOINT_NOT_FOUND" }),
  );
});

test("a program of another type is rejected", async () => {
  const loaded = await kernel.load(toLoad("counters", "tcx:count_packets"));
  loaded.pinProgram("count_packets", bpffs.path("program"));
  loaded.close();
  expect(() => kernel.attach(pinAt(kernel, bpffs.path("program")), OPENAT)).toThrow(
    expect.objectContaining({ code: "ATTACH_FAILED" }),
  );
});
