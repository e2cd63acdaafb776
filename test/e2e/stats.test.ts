/** What programs cost, with the real kernel: counts equal the packets that were sent, and nothing of the counting is left. */
import { expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import type { LoadAnswer, ProgramListAnswer } from "../../src/domain/answer.ts";
import type { MetricsAnswer, ProgramStatsAnswer, StatsAnswer } from "../../src/domain/stats-answer.ts";
import { openKernel } from "../../src/kernel/open-kernel.ts";
import { toLoad } from "../objects/bpf-fixture.ts";
import { watchMembers, wire } from "../labs/chain-lab.ts";
import { executable, idOf, mapOf } from "../labs/executable.ts";
import { connected, measure } from "../labs/measuring.ts";
import { noExtensions } from "../labs/extension-test.ts";
import { bpftool, until } from "../labs/kernel-lab.ts";
import { RpcProcess } from "../labs/rpc-process.ts";

buildBpf();
const OBJECT = resolve(import.meta.dir, "../../dist/bpf/fixtures/chain.bpf.o");

const bpfman = executable();
const lab = wire();

async function load(...members: readonly number[]) {
  const programs = await bpfman.load(OBJECT, "--programs", ...members.map((number) => `xdp:xdp_member_${number}`));
  const watch = watchMembers((name) => mapOf(programs, name));
  return { ...watch, ids: members.map((number) => idOf(programs, `xdp_member_${number}`)) };
}

const attach = (program: number, priority: number, ...words: readonly string[]) =>
  bpfman.attach(program, "xdp", "-i", "veth0", "-n", lab.netns(), "-p", String(priority), ...words);

test("runs are counted while somebody measures, and no longer; each program has its owner", async () => {
  const { ids, packets, setVerdicts } = await load(0);
  const [id = 0] = ids;
  setVerdicts({ 0: 2 });
  await attach(id, 50);
  const before = packets()[0] ?? 0;
  let runs = 0;
  let last: StatsAnswer | null = null;
  let sent = false;
  await measure(await connected(bpfman.runtimeDir), { programIds: [id] }, (sample) => {
    last = sample;
    const [program] = sample.programs;
    runs += program?.runs ?? 0;
    if (!sent) lab.send(15);
    const more = !sent || runs < 15;
    sent = true;
    return more;
  });
  expect([runs, (packets()[0] ?? 0) - before]).toEqual([15, 15]);
  const [program] = (last as unknown as StatsAnswer).programs;
  expect(program).toMatchObject({ program_id: id, type: "xdp", managed: true, owner: "bpfman", in_chain: false });
  const { run_cnt: counted } = bpftool("prog", "show", "id", String(id));
  const counts = () => bpftool("prog", "show", "id", String(id)).run_cnt ?? 0;
  lab.send(5);
  await until(() => (packets()[0] ?? 0) - before === 20);
  if (readFileSync("/proc/sys/kernel/bpf_stats_enabled", "utf8").trim() === "0") expect(counts()).toBe(counted ?? 0);

  // A program that a process holds, as this one does.
  const held = await openKernel().load(toLoad("chain", "xdp:xdp_member_1"));
  try {
    const own = held.programs[0]?.kernel.id ?? 0;
    const { programs }: StatsAnswer = await bpfman.json("stats", "--interval", "1ms");
    const found = programs.find((each) => each.program_id === own) as ProgramStatsAnswer;
    expect(found).toMatchObject({ managed: false, application: null, runs: 0, ns_per_run: null });
    expect(found.name).toBe("xdp_member_1");
    expect(found.owner_pids).toContain(process.pid);
    expect(found.owner).toBe(readFileSync("/proc/self/comm", "utf8").trim());
  } finally {
    held.close();
  }
  await bpfman.refused(3, "PROGRAM_NOT_FOUND", "stats", "4294967295");
  await bpfman.refused(2, "USAGE", "stats", "--interval", "0");
});

test.skipIf(noExtensions === null)("a kernel that cannot watch members says so, and answers the rest", async () => {
  const { ids } = await load(0);
  await attach(ids[0] ?? 0, 50);
  const answer: StatsAnswer = await bpfman.json("stats", "--members", "--interval", "1ms");
  expect(answer.members_not_counted).toContain("no fentry and fexit programs");
  expect(answer.chains).toMatchObject([{ interface: "veth0", members: [{ runs: null, verdicts: {} }] }]);
  expect(answer.programs.find((program) => program.program_id === ids[0])?.runs).toBe(0);
  expect(await bpfman.ok("stats", "--members", "--interval", "1ms")).toContain("members of chains were not counted: ");
});

test("a measurement holds up no other request, and can be cancelled", async () => {
  await bpfman.begin();
  const server = new RpcProcess(bpfman.command("rpc"));
  await server.initialize({});
  const id = server.ask("program/stats", { intervalMs: 3_600_000 });
  expect(await server.result<ProgramListAnswer>("program/list")).toEqual({ programs: [] });
  const { programs } = await server.result<LoadAnswer>("program/load", {
    source: { file: OBJECT },
    programs: [{ type: "xdp", name: "xdp_member_0" }],
  });
  await server.result("program/unload", { programId: programs[0]?.record?.program_id });
  expect(server.heard.messages.some((message) => message.id === id)).toBe(false);
  server.notify("$/cancelRequest", { id });
  expect((await server.heard.reply(id)).error).toMatchObject({ code: -32800 });
  expect(await server.close()).toMatchObject({ code: 0, error: "" });
});

test("metrics: a file is replaced at once; a link or directory in its place stays", async () => {
  await load(0);
  const directory = bpfman.path("textfile");
  mkdirSync(directory);
  const [file, victim] = [`${directory}/bpfman.prom`, bpfman.path("victim")];
  writeFileSync(file, "old");
  expect(await bpfman.ok("metrics", "--output", file)).toMatch(/^wrote \d+ metrics to .*\/bpfman\.prom\n$/);
  const text = readFileSync(file, "utf8");
  expect(text).toContain('\nbpfman_programs{type="xdp",application=""} 1\n');
  expect(readdirSync(directory)).toEqual(["bpfman.prom"]);
  const { metrics }: MetricsAnswer = await bpfman.json("metrics");
  const names = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name);
  expect(metrics.filter(({ samples }) => samples.length > 0).map(({ name }) => name)).toEqual(names as string[]);

  mkdirSync(`${directory}/taken.prom`);
  writeFileSync(victim, "kept");
  symlinkSync(victim, `${directory}/link.prom`);
  for (const [name, reason] of [
    ["taken.prom", "it is a directory"],
    ["link.prom", "it is a symbolic link"],
  ]) {
    const failed = await bpfman.run("metrics", "--output", `${directory}/${name}`);
    expect([failed.code, failed.out]).toEqual([1, ""]);
    expect(failed.error).toContain(String(reason));
  }
  expect(readFileSync(victim, "utf8")).toBe("kept");
  expect(readdirSync(directory).sort()).toEqual(["bpfman.prom", "link.prom", "taken.prom"]);
});

const promtool = Bun.which("promtool");
test.skipIf(promtool === null)(
  `metrics: promtool has nothing to complain about${promtool === null ? " (skipped: promtool of Debian's package prometheus is not installed)" : ""}`,
  async () => {
    await bpfman.load(OBJECT, "--programs", "xdp:xdp_member_0", "-a", 'a "strange"\\\nname');
    await bpfman.run("detach", "4711");
    const text = await bpfman.ok("metrics");
    expect(text).toContain('application="a \\"strange\\"\\\\\\nname"');
    expect(text).toContain('bpfman_failed_operations{operation="link/detach",code="LINK_NOT_FOUND"} 1');
    const checked = Bun.spawnSync([promtool ?? "", "check", "metrics"], { stdin: Buffer.from(text), stderr: "pipe" });
    expect([checked.exitCode, checked.stdout.toString(), checked.stderr.toString()]).toEqual([0, "", ""]);
  },
);
