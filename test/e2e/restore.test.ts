/** What the executable brings back on the real kernel after what a reboot does to it: packets and events show that it runs. */
import { describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import type { ProgramAnswer, RestoreAnswer } from "../../src/domain/answer.ts";
import { watchMembers, wire } from "../labs/chain-lab.ts";
import { executable, idOf, mapOf } from "../labs/executable.ts";
import { extensionTest } from "../labs/extension-test.ts";
import { counters, inKernel, sh, until } from "../labs/kernel-lab.ts";
import { tcxTest } from "../labs/tcx-test.ts";
import { USER_FUNCTION, workload } from "../labs/workload.ts";

buildBpf();
const fixture = (name: string): string => resolve(import.meta.dir, `../../dist/bpf/fixtures/${name}.bpf.o`);
const UNIT = resolve(import.meta.dir, "../../examples/systemd/bpfman-restore.service");
const WAITING = 10;
const bpfman = executable();
const lab = wire();
const work = workload();

const restore = (...words: readonly string[]): Promise<RestoreAnswer> => bpfman.json("restore", ...words);
const resultsOf = ({ programs, links }: RestoreAnswer) => [...programs, ...links].map(({ result }) => result);
/** A program that was restored. */
const now = async ({ programs }: RestoreAnswer, name: string): Promise<ProgramAnswer> =>
  bpfman.json("get", "program", String(programs.find((each) => each.name === name)?.program_id));
const listed = async () => {
  const links = await bpfman.links();
  return links.map(({ id, kind, function_name: name, created_at: at, metadata, details }) => ({
    ...{ id, kind, name, at, metadata },
    details: { ...details, ifindex: 0, nsid: 0, dispatcher_id: 0, revision: 0 },
  }));
};

async function loadMembers(hook: "xdp" | "tc" | "tcx", count: number): Promise<number[]> {
  const kind = hook === "tcx" ? "tc" : hook;
  const names = Array.from({ length: count }, (_, member) => `${kind}_member_${member}`);
  const programs = await bpfman.load(fixture("chain"), "--programs", ...names.map((name) => `${hook}:${name}`));
  return names.map((name) => idOf(programs, name));
}
const place = (priority: number) => ["-i", "veth0", "-n", lab.netns(), "-p", String(priority), "-d", "ingress"];

/** Members attached with these priorities run in the same order afterwards. */
async function keepsOrder(hook: "xdp" | "tc" | "tcx", priorities: readonly number[], passes: number): Promise<void> {
  const ids = await loadMembers(hook, priorities.length);
  for (const [member, id] of ids.entries()) {
    const words = place(priorities[member] ?? 0).slice(0, hook === "xdp" ? -2 : undefined);
    await bpfman.attach(id, hook, ...words);
  }
  const seen = async (programs: readonly ProgramAnswer[]): Promise<readonly number[]> => {
    const watch = watchMembers((name) => mapOf(programs, name));
    watch.setVerdicts(Object.fromEntries(ids.map((_, member) => [member, passes])));
    watch.clear();
    lab.send(1);
    await until(() => watch.seen().length > 0);
    return watch.seen();
  };
  const before = [await listed(), await seen([await bpfman.json("get", "program", String(ids[0]))])];
  await bpfman.reboot();
  // A filter has no pin.
  if (hook === "tc") sh("tc", "-n", lab.name(), "qdisc", "delete", "dev", "veth0", "clsact");
  const answer = await restore();
  expect(new Set(resultsOf(answer))).toEqual(new Set(["restored"]));
  const programs = [await now(answer, `${hook === "tcx" ? "tc" : hook}_member_0`)];
  expect([await listed(), await seen(programs)]).toEqual(before);
}

describe("the programs of a hook run in the same order", () => {
  extensionTest("of XDP", () => keepsOrder("xdp", [50, 50, 10, 50], 2));
  extensionTest("of TC", () => keepsOrder("tc", [50, 50, 10, 50], 0));
  tcxTest("of TCX", () => keepsOrder("tcx", [50, 50, 10], -1));
});

test("events, globals and shared maps are as before; an old ID names the new one; a second restore does nothing", async () => {
  const globals = ["-g", `WORKLOAD=${work.nameHex}`];
  const programs = await bpfman.load(
    fixture("kinds"),
    "--programs",
    "uprobe:count_uprobe",
    "tracepoint:count_tracepoint",
    ...globals,
    "--keep",
    "-m",
    "k=v",
  );
  const [probe, point] = [idOf(programs, "count_uprobe"), idOf(programs, "count_tracepoint")];
  await bpfman.attach(probe, "uprobe", "--target", work.binary, "--fn-name", USER_FUNCTION);
  await bpfman.attach(point, "tracepoint", "--tracepoint", "syscalls/sys_enter_getpgid", "-m", "a=b");
  await bpfman.attach(
    probe,
    "uprobe",
    "--target",
    work.binary,
    "--fn-name",
    USER_FUNCTION,
    "--pid",
    String(process.pid),
  );
  const before = await listed();
  await bpfman.reboot();
  await until(() => !inKernel("prog", probe));
  const { code, out } = await bpfman.run("restore", "--kept");
  expect({ code, out }).toMatchObject({
    code: WAITING,
    out: expect.stringContaining(`: process ${process.pid} ended with the last boot (link:3)\n`),
  });
  expect(await listed()).toEqual(before.slice(0, 2));
  expect(out).toContain(`restored: program ${probe} "count_uprobe" as program `);
  const again = (await bpfman.programs()).find((each) => each.function_name === "count_uprobe")?.program_id;
  const named = await bpfman.run("get", "program", String(probe), "-o", "json");
  expect(named.error).toEndWith(`program ${probe} was restored as program ${again}\n`);
  expect(JSON.parse(named.out).record.program_id).toBe(again);
  const program: ProgramAnswer = await bpfman.json("get", "program", String(again));
  expect(program.record).toMatchObject({ load: { keep: true }, meta: { metadata: { k: "v" } } });
  const nouns: { record: { load: object } } = await bpfman.json("program", "get", String(again));
  expect(Object.keys(nouns.record.load)).not.toContain("keep");
  const events = mapOf([program], "events");
  const old = counters(events);
  await work.run(3);
  await work.runOther(2);
  expect(counters(events).map((count, slot) => count - (old[slot] ?? 0))).toEqual(
    counters(events).map((_, slot) => (slot === 0 || slot === 4 ? 3 : 0)),
  );
  expect((await bpfman.run("restore")).code).toBe(WAITING);
  expect(await bpfman.ok("restore", "--forget", "link:3")).toContain("forgotten: link 3, uprobe");
  expect(await bpfman.ok("restore")).toBe("nothing to restore\n");
  expect(await bpfman.findings()).toEqual([]);
});

tcxTest("an interface that comes late is waited for, and other commands work meanwhile", async () => {
  const [id = 0] = await loadMembers("tcx", 1);
  await bpfman.attach(id, "tcx", ...place(50));
  await bpfman.reboot();
  sh("ip", "-n", lab.name(), "link", "set", "veth0", "name", "late");
  const waiting = bpfman.start("restore", "--wait", "60s");
  while ((await bpfman.programs()).length === 0) await Bun.sleep(50);
  expect(await bpfman.links()).toEqual([]);
  await bpfman.ok("load", "file", "--path", fixture("life"), "--programs", "tcx:count");
  sh("ip", "-n", lab.name(), "link", "set", "late", "name", "veth0");
  expect(await waiting.ended).toMatchObject({
    code: 0,
    error: "",
    out: expect.stringContaining("restored: link 1, tcx veth0 ingress"),
  });
  expect((await bpfman.links()).map((link) => link.id)).toEqual([1]);
});

test("the saved copy is used, whatever became of the file; a damaged copy is not", async () => {
  const source = bpfman.path("mine.o");
  writeFileSync(source, readFileSync(fixture("life")));
  await bpfman.load(source, "--programs", "tracepoint:on_openat");
  const copy = bpfman.copyOf(source);
  writeFileSync(source, "something else");
  await bpfman.reboot();
  const whole = readFileSync(copy);
  writeFileSync(copy, new Uint8Array(whole.length));
  const { code, out } = await bpfman.run("restore");
  expect({ code, out }).toMatchObject({ code: WAITING, out: expect.stringContaining(`nor at "${source}" any more`) });
  expect(await bpfman.programs()).toEqual([]);
  writeFileSync(copy, whole);
  expect(resultsOf(await restore())).toEqual(["restored"]);
});

test("where nothing was, nothing is made", async () => {
  expect(await bpfman.ok("restore", "--kept", "--wait", "1h")).toBe("nothing to restore\n");
  expect(sh("ls", "-A", bpfman.runtimeDir)).toBe("");
});

test("mistakes are explained", async () => {
  for (const word of ["7", "links:7", "program:0", "link:99999999999"]) {
    expect((await bpfman.refused(2, "USAGE", "restore", "--forget", word)).message).toContain(
      `"${word}": must be program:ID or link:ID`,
    );
  }
  await bpfman.refused(2, "INVALID_REQUEST", "restore", "--forget", "link:7", "--kept");
  await bpfman.refused(2, "USAGE", "restore", "--wait", "soon");
});

const analyze = Bun.which("systemd-analyze");
const verify = analyze === null ? test.skip : test;
verify(`systemd accepts the unit${analyze === null ? " (skipped: there is no systemd-analyze)" : ""}`, () => {
  const unit = bpfman.path("bpfman-restore.service");
  const [command = ""] = bpfman.command();
  writeFileSync(unit, readFileSync(UNIT, "utf8").replace("ExecStart=bpfman", `ExecStart=${command}`));
  const { exitCode, stderr } = Bun.spawnSync(["systemd-analyze", "verify", "--man=no", unit]);
  expect({ exitCode, error: stderr.toString() }).toEqual({ exitCode: 0, error: "" });
});
