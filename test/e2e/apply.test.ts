/** Desired state with the executable: what runs afterwards, interfaces that come and go, another host, stdin. */
import { describe, expect, test } from "bun:test";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ApplyAnswer, ProgramAnswer } from "../../src/domain/answer.ts";
import { executable, mapOf } from "../labs/executable.ts";
import { cable, counters, sh, until } from "../labs/kernel-lab.ts";
import { tcxTest } from "../labs/tcx-test.ts";
import { compileBpf } from "../objects/compile.ts";

const bpfman = executable();
const net = cable();

const source = (step: number): string => `
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u64); } seen SEC(".maps");
SEC("tc") int count(struct __sk_buff *ctx) {
  __u32 key = 0; if (ctx->protocol != 0x0008) return 0; __u64 *value = bpf_map_lookup_elem(&seen, &key);
  if (value) __sync_fetch_and_add(value, ${step}); return 0; }
SEC("tracepoint/syscalls/sys_enter_openat") int on_openat(void *ctx) { return 0; }
`;

const build = (step: number): void => writeFileSync(bpfman.path("net.o"), compileBpf(source(step)));

/** A document whose program is attached to what a pattern matches in the test's namespace. */
function write(iface: string, priority = 50): string {
  const attach = [{ kind: "tc", iface, netns: net.netns, direction: "ingress", priority }];
  const programs = [{ name: "count", type: "tc", attach }, { name: "on_openat" }];
  const path = bpfman.path("state.json");
  writeFileSync(path, JSON.stringify({ applications: { counter: { objects: [{ path: "net.o", programs }] } } }));
  return path;
}

const interfaces = async (): Promise<string[]> =>
  (await bpfman.links()).map(({ details }) => ("interface" in details ? details.interface : "")).sort();
const inNamespace = (...words: readonly string[]): string => sh("nsenter", `--net=${net.netns}`, "ip", ...words);

/** Waits for what only another process does. */
async function eventually(holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 600; tries++) {
    if (await holds()) return;
    await Bun.sleep(50);
  }
  expect.unreachable("it did not come to be");
}

test("what a document names runs; a second time nothing is changed; new bytecode keeps links and what maps hold", async () => {
  build(1);
  const document = write("veth?");
  await bpfman.ok("apply", document);
  const [link] = await bpfman.links();
  expect(net.ping(3)).toBe(3);
  const id = mapOf([await bpfman.json<ProgramAnswer>("get", "program", "count")], "seen");
  await until(() => counters(id)[0] === 3);
  expect(await bpfman.ok("apply", document)).toEndWith("0 changed, 3 unchanged\n");
  build(100);
  const answer = await bpfman.json<ApplyAnswer>("apply", document);
  expect(answer.applications[0]?.changes.map(({ action }) => action)).toEqual(["replace", "replace", "unchanged"]);
  expect((await bpfman.links())[0]?.link_id).toBe(link?.link_id as number);
  expect(net.ping(1)).toBe(1);
  await until(() => counters(id)[0] === 103);
  write("nothing*");
  await bpfman.ok("apply", document);
  expect(await interfaces()).toEqual([]);
  expect(net.ping(1)).toBe(1);
  expect(counters(id)[0]).toBe(103);
});

test("following attaches to interfaces that come, lets go of those that went, and ends on a signal", async () => {
  build(1);
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    const document = write("driver=veth");
    const following = bpfman.start("apply", document, "--follow");
    await eventually(async () => (await interfaces()).join() === "veth0");
    inNamespace("link", "add", "late0", "type", "veth", "peer", "name", "late1");
    await eventually(async () => (await interfaces()).join() === "late0,late1,veth0");
    // Nobody waits for it: the lock is free.
    await bpfman.load(bpfman.path("net.o"), "--programs", "tracepoint:on_openat");
    inNamespace("link", "del", "late0");
    await eventually(async () => (await interfaces()).join() === "veth0");
    following.kill(signal);
    const { code, out, error } = await following.ended;
    expect([code, error]).toEqual([0, ""]);
    expect(out).toContain("+ attach count");
    expect(out).toContain("late0 ingress (gone)");
    expect(await interfaces()).toEqual(["veth0"]);
    await bpfman.ok("program", "delete", "--all");
  }
});

tcxTest("what an interface has taken along into another namespace is attached there", async () => {
  build(1);
  const other = `${net.netns.slice("/run/netns/".length)}-too`;
  sh("ip", "netns", "add", other);
  try {
    inNamespace("link", "add", "moved0", "type", "veth", "peer", "name", "moved1");
    const attach = [net.netns, `/run/netns/${other}`].map((netns) => ({
      ...{ kind: "tcx", iface: "moved0*", netns, direction: "ingress", priority: 50 },
    }));
    const path = bpfman.path("moved.json");
    writeFileSync(
      path,
      JSON.stringify({ objects: [{ path: "net.o", programs: [{ name: "count", type: "tcx", attach }] }] }),
    );
    await bpfman.ok("apply", path);
    inNamespace("link", "set", "moved0", "netns", other);
    expect(await bpfman.ok("apply", path)).toContain("(gone)");
    expect((await bpfman.links()).map(({ details }) => "netns" in details && details.netns)).toEqual([
      `/run/netns/${other}`,
    ]);
    expect(await bpfman.ok("apply", path)).toEndWith("0 changed, 2 unchanged\n");
  } finally {
    sh("ip", "netns", "del", other);
    await bpfman.ok("program", "delete", "--all");
  }
});

test("following ends when nobody reads what it says", async () => {
  build(1);
  const command = bpfman.command("apply", write("late*"), "--follow").map((word) => `'${word}'`);
  const child = Bun.spawn(["sh", "-c", `${command.join(" ")} | head -n 1`], { stdout: "pipe", stderr: "pipe" });
  expect([await child.exited, await child.stderr.text(), await child.stdout.text()]).toEqual([
    ...[0, "", "application counter\n"],
  ]);
  await bpfman.ok("program", "delete", "--all");
});

test("a bundle makes another host the same, and so does a document on stdin", async () => {
  build(1);
  await bpfman.ok("apply", write("veth0"));
  await bpfman.ok(
    "load",
    "file",
    "--path",
    bpfman.path("net.o"),
    "--programs",
    "tracepoint:on_openat",
    "-m",
    "by=hand",
  );
  await bpfman.ok(
    "attach",
    String((await bpfman.programs()).at(-1)?.program_id),
    "tracepoint",
    "-t",
    "syscalls/sys_enter_openat",
  );
  const lists = async () => ({
    programs: (await bpfman.programs()).map(({ application, type, function_name, record }) => [
      ...[application, type, function_name, record?.meta.metadata],
    ]),
    links: (await bpfman.links()).map(({ kind, details, metadata }) => [kind, details, metadata]),
  });
  const sorted = ({ programs, links }: Awaited<ReturnType<typeof lists>>) =>
    [programs, links].map((list) => list.map((each) => JSON.stringify(each).replace(/"dispatcher_id":\d+/, "")).sort());
  const before = sorted(await lists());
  const bundle = bpfman.path("bundle");
  await bpfman.ok("export", "--bundle", bundle);
  expect(readdirSync(join(bundle, "objects"))).toHaveLength(1);
  const yaml = await bpfman.ok("export");
  await bpfman.ok("program", "delete", "--all");
  await bpfman.ok("apply", bundle);
  expect(sorted(await lists())).toEqual(before);
  await bpfman.ok("program", "delete", "--all");
  const command = bpfman.command("apply", "-");
  const child = Bun.spawn(command, { stdin: new TextEncoder().encode(yaml), stdout: "pipe", stderr: "pipe" });
  expect([await child.exited, await child.stderr.text()]).toEqual([0, ""]);
  expect(sorted(await lists())).toEqual(before);
  await bpfman.ok("program", "delete", "--all");
});

describe("what is wrong", () => {
  test("is said with its place, and nothing is made", async () => {
    const path = bpfman.path("state.yaml");
    writeFileSync(path, "applications:\n  a:\n    objects:\n      - paht: x.o\n");
    const wrong = await bpfman.refused(1, "INVALID_DOCUMENT", "apply", path);
    expect(wrong).toMatchObject({ details: { line: 4, column: 9 }, hint: 'did you mean "path"?' });
    await bpfman.refused(3, "FILE_NOT_FOUND", "apply", bpfman.path("nothing"));
    expect(readdirSync(bpfman.runtimeDir)).toEqual([]);
  });
});
