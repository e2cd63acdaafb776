/** Programs on counters of the kernel, with the executable: page faults are exact, clocks only go on. */
import { afterEach, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import { executable, idOf, mapOf } from "../labs/executable.ts";
import { counters, inKernel, until } from "../labs/kernel-lab.ts";
import { workload } from "../labs/workload.ts";

buildBpf();
const OBJECT = resolve(import.meta.dir, "../../dist/bpf/fixtures/kinds.bpf.o");
const SLOT = 17;

const bpfman = executable();
const work = workload();
/** The process whose events are counted: it faults once for each byte that it reads, and answers each. */
let child: Bun.Subprocess<"pipe", "pipe"> | null = null;
afterEach(async () => {
  child?.kill();
  await child?.exited;
  child = null;
});

async function load(...globals: readonly string[]) {
  const programs = await bpfman.load(OBJECT, "--programs", "perf_event:count_perf_event", ...globals);
  const map = mapOf(programs, "events");
  return { id: String(idOf(programs, "count_perf_event")), count: () => counters(map)[SLOT] ?? 0 };
}

test("page faults of one process are counted to the last one, until it is detached", async () => {
  child = Bun.spawn([work.binary], { stdin: "pipe", stdout: "pipe" });
  const process = child;
  const answers = process.stdout.getReader();
  const fault = async (times: number) => {
    process.stdin.write("x".repeat(times));
    await process.stdin.flush();
    for (let seen = 0; seen < times; ) seen += (await answers.read()).value?.length ?? times;
  };
  // What it does for the first time faults elsewhere, too.
  await fault(3);
  const { id, count } = await load("-g", `WORKLOAD=${work.nameHex}`);
  const place = ["--event", "faults", "--pid", String(process.pid), "--period", "1"];
  const { record, status } = await bpfman.attach(Number(id), "perf_event", ...place);
  const details = { event: "page-faults", cpu: null, pid: process.pid, period: 1, frequency: null };
  expect(record).toMatchObject({ kind: "perf_event", details });
  expect(status.kernel).toMatchObject({ link_type: "perf_event", attach_type: null });
  if ("perf_event_type" in (status.kernel ?? {})) {
    expect(status.kernel).toMatchObject({ perf_event_type: "event", event: "page-faults", cookie: 0 });
  }
  await fault(5);
  expect(count()).toBe(5);
  expect(await bpfman.ok("list", "links")).toContain(`page-faults pid ${process.pid}`);
  expect(await bpfman.ok("get", "link", String(record.id))).toMatch(
    /Event: +page-faults \n.*CPU: +None \n.*Period: +1 \n/s,
  );

  await bpfman.ok("detach", String(record.id));
  expect(inKernel("link", record.kernel_link_id ?? 0)).toBe(false);
  await fault(3);
  expect(count()).toBe(5);
  // Every second one.
  await bpfman.attach(Number(id), "perf_event", ...place.with(-1, "2"));
  await fault(6);
  expect(count()).toBe(8);
  await bpfman.ok("unload", id);
  await bpfman.expectNothingLeft();
});

test("a clock of a processor goes on after the command has ended", async () => {
  child = Bun.spawn(["sh", "-c", "read go; while :; do :; done"], { stdin: "pipe", stdout: "pipe" });
  const name = Buffer.from("sh".padEnd(16, "\0")).toString("hex");
  const { id, count } = await load("-g", `WORKLOAD=${name}`);
  const cpus = readFileSync("/sys/devices/system/cpu/online", "utf8").trim().split("-").map(Number);
  for (let cpu = cpus[0] ?? 0; cpu <= (cpus.at(-1) ?? 0); cpu++) {
    await bpfman.ok("attach", id, "perf_event", "-e", "cpu-clock", "--cpu", String(cpu), "--frequency", "99");
  }
  expect(count()).toBe(0);
  child.stdin.write("\n");
  await child.stdin.flush();
  await until(() => count() > 2);
  child.kill();
  await bpfman.ok("unload", id);
  await bpfman.expectNothingLeft();
});

test("wrong events, places and numbers", async () => {
  const { id } = await load();
  const attach = (code: number, name: Parameters<typeof bpfman.refused>[1], ...words: readonly string[]) =>
    bpfman.refused(code, name, "attach", id, "perf_event", ...words);

  const misspelt = await attach(3, "EVENT_NOT_FOUND", "-e", "page-fualts", "--cpu", "0", "--period", "1");
  expect([misspelt.message, misspelt.hint]).toEqual(['no event "page-fualts"', 'did you mean "page-faults"?']);
  await attach(1, "INVALID_ATTACH", "-e", "faults", "--period", "1");
  await attach(1, "INVALID_ATTACH", "-e", "faults", "--cpu", "0");
  await attach(1, "INVALID_ATTACH", "-e", "faults", "--cpu", "0", "--period", "1", "--frequency", "1");
  const away = await attach(1, "INVALID_ATTACH", "-e", "faults", "--cpu", "9999", "--period", "1");
  expect(away.message).toContain("9999");
  const often = await attach(1, "INVALID_ATTACH", "-e", "cpu-clock", "--cpu", "0", "--frequency", "4000000000");
  expect(often.hint).toContain("kernel.perf_event_max_sample_rate");
  await attach(3, "PROCESS_NOT_FOUND", "-e", "faults", "--pid", "2147483647", "--period", "1");
  const counting = ["-e", "cycles", "--cpu", "0", "--period", "1000000"];
  if (!(await hasHardwareCounters())) {
    const hardware = await attach(1, "KERNEL_UNSUPPORTED", ...counting);
    expect(hardware.message).toBe('attach to event "cpu-cycles": this machine does not count "cpu-cycles"');
    expect(hardware.hint).toContain("PMU");
  } else await bpfman.ok("attach", id, "perf_event", ...counting);
  await bpfman.ok("unload", id);
  await bpfman.expectNothingLeft();
});

/** A PMU of the processor, under any of its names. */
const hasHardwareCounters = (): Promise<boolean> =>
  Array.fromAsync(
    new Bun.Glob("*").scan({ cwd: "/sys/bus/event_source/devices", onlyFiles: false, followSymlinks: false }),
  ).then((names) => names.some((name) => /^(cpu|cpu_core|armv8.*)$/.test(name)));
