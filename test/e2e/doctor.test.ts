/**
 * Every kind of drift is made here for real, found by `doctor`, repaired by `repair`, and then `doctor` finds nothing. What
 * runs meanwhile keeps running, and what belongs to others stays.
 */
import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { openPinned } from "../../ffi/safe/bpf.ts";
import { replaceLinkProgram } from "../../ffi/safe/bpf-link.ts";
import { closeFd } from "../../ffi/safe/libc.ts";
import { buildBpf } from "../../scripts/build-bpf.ts";
import type { DispatcherListAnswer, DoctorAnswer, LinkAnswer, RepairAnswer } from "../../src/domain/answer.ts";
import type { FindingCode } from "../../src/domain/finding.ts";
import { watchMembers, wire } from "../labs/chain-lab.ts";
import { executable, idOf, mapOf } from "../labs/executable.ts";
import { extensionTest } from "../labs/extension-test.ts";
import { bpftool, inKernel, sh, until } from "../labs/kernel-lab.ts";

buildBpf();
const LIFE = resolve(import.meta.dir, "../../dist/bpf/fixtures/life.bpf.o");
const CHAIN = resolve(import.meta.dir, "../../dist/bpf/fixtures/chain.bpf.o");

const bpfman = executable();
const lab = wire();

const tc = (...words: readonly string[]): string => sh("tc", "-n", lab.name(), ...words);
const fs = (path: string): string => `${bpfman.runtimeDir}/fs/${path}`;
const state = (ending = ""): string => `${bpfman.runtimeDir}/state/bpfman.db${ending}`;
const number = (value: number | null | undefined): string => String(value);

async function doctor(): Promise<DoctorAnswer> {
  const { code, out, error } = await bpfman.run("doctor", "-o", "json");
  const answer: DoctorAnswer = JSON.parse(out);
  expect({ code, error }).toEqual({ code: answer.findings.length > 0 ? 10 : 0, error: "" });
  return answer;
}

const codesOf = ({ findings }: Pick<DoctorAnswer, "findings">): FindingCode[] => [
  ...new Set(findings.map(({ code }) => code)),
];

/** `doctor` finds exactly these codes, a dry run plans and changes nothing, and after `repair` all is well. */
async function repaired(...codes: readonly FindingCode[]): Promise<RepairAnswer> {
  const before = await doctor();
  expect(codesOf(before)).toEqual([...codes]);
  for (const { evidence, consequence, remedy } of before.findings) {
    expect(Object.keys(evidence)).not.toEqual([]);
    expect([consequence, remedy]).not.toContain("");
  }
  const dry = await bpfman.run("repair", "--dry-run", "-o", "json");
  const planned: RepairAnswer = JSON.parse(dry.out);
  expect({
    code: dry.code,
    error: dry.error,
    results: [...new Set(planned.steps.map(({ result }) => result))],
  }).toEqual({
    code: 10,
    error: "",
    results: ["planned"],
  });
  expect((await doctor()).findings).toEqual(before.findings);
  const done = await bpfman.run("repair", "-o", "json");
  const answer: RepairAnswer = JSON.parse(done.out);
  expect({
    code: done.code,
    failed: answer.steps.filter(({ result }) => result !== "done"),
    left: answer.findings,
  }).toEqual({
    code: 0,
    failed: [],
    left: [],
  });
  // Said before it is done.
  for (const { action } of planned.steps) expect(done.error).toContain(action);
  expect((await doctor()).findings).toEqual([]);
  return answer;
}

/** Changes the database behind bpfman's back. */
function spoil(sql: string): void {
  const database = new Database(state(), { readwrite: true });
  try {
    database.run(sql);
  } finally {
    database.close();
  }
}

async function tracepoint(): Promise<{ program: number; link: LinkAnswer["record"]; hits: () => number }> {
  const programs = await bpfman.load(LIFE, "--programs", "tracepoint:on_openat", "-m", "team=net");
  const program = idOf(programs, "on_openat");
  const { record } = await bpfman.attach(program, "tracepoint", "-t", "syscalls/sys_enter_openat", "-m", "a=b");
  return { program, link: record, hits: () => bpftool("prog", "show", "id", number(program)).run_cnt ?? 0 };
}

const PLACES = {
  xdp: () => ["xdp", "-i", "veth0", "-n", lab.netns()],
  tc: () => ["tc", "-i", "veth0", "-n", lab.netns(), "-d", "ingress"],
} as const;

/** Members on the hook of veth0 that let packets through; `packets` are those that each of them saw. */
async function onHook(hook: "xdp" | "tc", count = 1) {
  const numbers = Array.from({ length: count }, (_, each) => each);
  const programs = await bpfman.load(CHAIN, "--programs", ...numbers.map((each) => `${hook}:${hook}_member_${each}`));
  const watch = watchMembers((name) => mapOf(programs, name));
  watch.setVerdicts(Object.fromEntries(numbers.map((each) => [each, hook === "xdp" ? 2 : 0])));
  const ids = numbers.map((each) => idOf(programs, `${hook}_member_${each}`));
  const links: LinkAnswer["record"][] = [];
  for (const [at, id] of ids.entries()) {
    links.push((await bpfman.attach(id, ...PLACES[hook](), "-p", number(100 + at * 7), "-m", `at=${at}`)).record);
  }
  const seen = (): number[] => watch.packets().slice(0, count);
  /** Sends packets, and returns how many of them each member saw. */
  async function sent(packets: number): Promise<number[]> {
    const before = seen();
    const received = lab.received();
    lab.send(packets);
    await until(() => lab.received() === received + packets);
    return seen().map((each, at) => each - (before[at] ?? 0));
  }
  return { ids, links, seen, sent };
}

const hooks = async (): Promise<DispatcherListAnswer["dispatchers"]> =>
  (await bpfman.json<DispatcherListAnswer>("dispatcher", "list")).dispatchers;

test("where nothing was ever done there is nothing to find, and nothing is made", async () => {
  const before = readdirSync(bpfman.runtimeDir);
  const { findings, checked, machine } = await doctor();
  expect({ findings, checked }).toEqual({ findings: [], checked: { programs: 0, links: 0, dispatchers: 0 } });
  expect(machine.kernel).toBe(sh("uname", "-r").trim());
  expect(await bpfman.ok("repair")).toBe("nothing to repair\n");
  expect(readdirSync(bpfman.runtimeDir)).toEqual(before);
});

test("what works is not found fault with", async () => {
  await tracepoint();
  await onHook("xdp");
  await onHook("tc");
  const { findings, checked } = await doctor();
  expect(findings).toEqual([]);
  expect(checked).toEqual({ programs: 3, links: 3, dispatchers: 2 });
  expect(await bpfman.ok("doctor")).toEndWith("no findings; checked 3 programs, 3 links, 2 chains\n");
});

describe("pins and rows", () => {
  test("a program's pin is missing", async () => {
    const { program } = await tracepoint();
    rmSync(fs(`prog_${program}`));
    await repaired("program-unpinned");
    expect(bpftool("prog", "show", "pinned", fs(`prog_${program}`)).id).toBe(program);
  });

  test("a link's pin is missing while something else holds the link", async () => {
    const { link } = await tracepoint();
    const held = `/sys/fs/bpf/bpfman-doctor-${process.pid}`;
    sh("bpftool", "link", "pin", "id", number(link.kernel_link_id), held);
    try {
      rmSync(fs(`links/${link.id}`));
      await repaired("link-unpinned");
      expect(existsSync(fs(`links/${link.id}`))).toBe(true);
    } finally {
      rmSync(held);
    }
  });

  test("a map's pin is missing", async () => {
    const { program } = await tracepoint();
    const [map = ""] = readdirSync(fs(`maps/${program}`));
    rmSync(fs(`maps/${program}/${map}`));
    await repaired("map-unpinned");
    expect(readdirSync(fs(`maps/${program}`))).toContain(map);
  });

  test("the kernel no longer has a link, or a program", async () => {
    const { program, link } = await tracepoint();
    rmSync(fs(`links/${link.id}`));
    await until(() => !inKernel("link", link.kernel_link_id ?? 0));
    await repaired("link-gone");
    expect(await bpfman.links()).toEqual([]);
    rmSync(fs(`prog_${program}`));
    await until(() => !inKernel("prog", program));
    await repaired("program-gone");
    expect(await bpfman.programs()).toEqual([]);
  });

  test("rows are missing: of a link, of a program with its links, of a chain", async () => {
    const { program, link } = await tracepoint();
    const before = await bpfman.json<LinkAnswer>("get", "link", number(link.id));
    spoil("DELETE FROM links");
    await repaired("pin-unrecorded");
    spoil("DELETE FROM links; DELETE FROM programs");
    await repaired("pin-unrecorded");
    expect(await bpfman.json<LinkAnswer>("get", "link", number(link.id))).toEqual(before);
    const { sent, links } = await onHook("tc");
    spoil("DELETE FROM links WHERE details ->> 'kind' = 'tc'; DELETE FROM dispatchers");
    await repaired("pin-unrecorded");
    expect(await sent(3)).toEqual([3]);
    await bpfman.ok("detach", number(links[0]?.id));
    expect(await sent(1)).toEqual([0]);
    await bpfman.ok("unload", number(program));
  });

  test("a program is pinned without row and copy: the kernel and its object file tell the rest", async () => {
    const { program } = await tracepoint();
    await bpfman.ok("detach", number((await bpfman.links())[0]?.link_id));
    spoil("DELETE FROM programs");
    rmSync(`${bpfman.runtimeDir}/records`, { recursive: true });
    await repaired("pin-unrecorded");
    expect(await bpfman.programs()).toMatchObject([{ program_id: program, function_name: "on_openat" }]);
  });

  test("a row cannot be understood", async () => {
    const { link } = await tracepoint();
    spoil("UPDATE links SET details = '{}'; UPDATE programs SET maps = 'none'");
    await repaired("row-unreadable");
    expect((await bpfman.json<LinkAnswer>("get", "link", number(link.id))).record).toEqual(link);
  });

  test("somebody else's object is at a recorded pin: it stays", async () => {
    const { program, link } = await tracepoint();
    rmSync(fs(`links/${link.id}`));
    await until(() => !inKernel("link", link.kernel_link_id ?? 0));
    sh("bpftool", "prog", "pin", "id", number(program), fs(`links/${link.id}`));
    const { findings } = await doctor();
    expect(codesOf({ findings })).toEqual(["pin-foreign"]);
    const done = await bpfman.run("repair", "-o", "json");
    const answer: RepairAnswer = JSON.parse(done.out);
    // The row is gone; the pin is its owner's to remove.
    expect({ code: done.code, left: codesOf(answer) }).toEqual({ code: 10, left: ["pin-unknown"] });
    expect(bpftool("prog", "show", "pinned", fs(`links/${link.id}`)).id).toBe(program);
    rmSync(fs(`links/${link.id}`));
    expect((await doctor()).findings).toEqual([]);
  });

  test("maps are pinned for a program that is gone", async () => {
    const { program } = await tracepoint();
    sh("mkdir", fs("maps/4294967290"));
    const [map = ""] = readdirSync(fs(`maps/${program}`));
    sh("bpftool", "map", "pin", "pinned", fs(`maps/${program}/${map}`), fs("maps/4294967290/left"));
    await repaired("maps-left");
    expect(readdirSync(fs("maps"))).toEqual([number(program)]);
  });
});

describe("object files", () => {
  test("the copy is missing, or another one: it is copied again", async () => {
    await tracepoint();
    const copy = bpfman.copyOf(LIFE);
    const before = readFileSync(copy);
    rmSync(copy);
    await repaired("bytecode-lost");
    expect(readFileSync(copy)).toEqual(before);
    writeFileSync(copy, "something else");
    await repaired("bytecode-changed");
    expect(readFileSync(copy)).toEqual(before);
  });

  test("it cannot be copied again: that is recorded, and the program still unloads", async () => {
    const source = bpfman.path("mine.o");
    writeFileSync(source, readFileSync(LIFE));
    const [loaded] = await bpfman.load(source, "--programs", "tracepoint:on_openat");
    const program = loaded?.record?.program_id ?? 0;
    rmSync(bpfman.copyOf(source));
    rmSync(source);
    await repaired("bytecode-lost");
    expect((await doctor()).notes.map(({ subject }) => subject)).toContain("unknown-bytecode");
    await bpfman.ok("unload", number(program));
  });
});

describe("hooks", () => {
  test.each(["xdp", "tc"] as const)("%s: the interface is gone", async (hook) => {
    const { ids } = await onHook(hook);
    sh("ip", "-n", lab.name(), "link", "delete", "veth0");
    await repaired("hook-gone");
    expect([await bpfman.links(), await hooks()]).toEqual([[], []]);
    expect((await bpfman.programs()).map(({ program_id }) => program_id)).toEqual(ids);
  });

  test.each(["xdp", "tc"] as const)("%s: the namespace is gone", async (hook) => {
    await onHook(hook);
    sh("ip", "netns", "delete", lab.name());
    try {
      await until(() => !existsSync(lab.netns()));
      // The kernel takes a namespace down a while after its last name.
      while ((await doctor()).findings.length === 0) await Bun.sleep(100);
      await repaired("hook-gone");
      expect([await bpfman.links(), await hooks()]).toEqual([[], []]);
    } finally {
      sh("ip", "netns", "add", lab.name());
    }
  });

  test("tc: the filter was deleted; the chain is put back", async () => {
    const { sent, links } = await onHook("tc");
    tc("filter", "delete", "dev", "veth0", "ingress");
    expect(await sent(1)).toEqual([0]);
    await repaired("hook-empty");
    expect(await sent(2)).toEqual([2]);
    await bpfman.ok("detach", number(links[0]?.id));
    expect(await sent(1)).toEqual([0]);
  });

  test("xdp: the link was detached; the program is put back", async () => {
    const { sent, links } = await onHook("xdp");
    sh("bpftool", "link", "detach", "id", number(links[0]?.kernel_link_id));
    expect(await sent(1)).toEqual([0]);
    await repaired("hook-empty");
    expect(await sent(2)).toEqual([2]);
    await bpfman.ok("detach", number(links[0]?.id));
    expect(await sent(1)).toEqual([0]);
  });

  test("tc: somebody replaced the program of the filter; theirs stays", async () => {
    const { ids } = await onHook("tc");
    const place = ["dev", "veth0", "ingress", "protocol", "all", "priority", "50", "handle", "0x1"];
    tc("filter", "replace", ...place, "bpf", "direct-action", "object-file", CHAIN, "program", "tc_member_9");
    const before = tc("-j", "filter", "show", "dev", "veth0", "ingress");
    expect(before).toContain("tc_member_9");
    await repaired("hook-taken");
    expect(tc("-j", "filter", "show", "dev", "veth0", "ingress")).toBe(before);
    expect(await bpfman.links()).toEqual([]);
    expect((await bpfman.programs()).map(({ program_id }) => program_id)).toEqual(ids);
  });

  test("xdp: somebody detached the link and attached a program of theirs, which stays", async () => {
    const { links } = await onHook("xdp");
    sh("bpftool", "link", "detach", "id", number(links[0]?.kernel_link_id));
    sh("ip", "-n", lab.name(), "link", "set", "dev", "veth0", "xdp", "object", CHAIN, "program", "xdp_member_9");
    const holder = (): string => sh("ip", "-n", lab.name(), "-j", "link", "show", "dev", "veth0");
    const before = JSON.parse(holder())[0].xdp.prog.id;
    await repaired("hook-taken");
    expect(JSON.parse(holder())[0].xdp.prog.id).toBe(before);
    expect(await bpfman.links()).toEqual([]);
  });

  test("xdp: somebody put a program of theirs into bpfman's link, which runs ours again", async () => {
    const { sent, ids } = await onHook("xdp");
    const [theirs] = await bpfman.load(CHAIN, "--programs", "xdp:xdp_member_9");
    const [first] = await hooks();
    const pins = [
      `xdp/dispatcher_${first?.key.nsid}_${first?.key.ifindex}_link`,
      `prog_${ids[0]}`,
      `prog_${theirs?.record?.program_id}`,
    ];
    const [link = -1, old = -1, next = -1] = pins.map((pin) => openPinned(fs(pin)) ?? -1);
    replaceLinkProgram(link, { old, next });
    for (const fd of [link, old, next]) closeFd(fd);
    await repaired("dispatcher-differs");
    expect(await sent(2)).toEqual([2]);
  });

  extensionTest("the dispatcher is not what the rows say", async () => {
    const { sent, links } = await onHook("xdp", 3);
    spoil("UPDATE links SET details = json_set(details, '$.priority', 7) WHERE details ->> 'position' = 2");
    await repaired("dispatcher-differs");
    expect(await sent(2)).toEqual([2, 2, 2]);
    const [first] = await hooks();
    const directory = fs(`xdp/dispatcher_${first?.key.nsid}_${first?.key.ifindex}_${first?.revision}`);
    rmSync(`${directory}/link_1`);
    await until(() => readdirSync(directory).length < 7);
    await repaired("dispatcher-differs");
    expect(await sent(2)).toEqual([2, 2, 2]);
    for (const { id } of links) await bpfman.ok("detach", number(id));
  });

  extensionTest("a directory of an earlier revision is left", async () => {
    const { sent } = await onHook("xdp", 2);
    const [first] = await hooks();
    const directory = fs(`xdp/dispatcher_${first?.key.nsid}_${first?.key.ifindex}_`);
    const now = `${directory}${first?.revision}`;
    sh("mkdir", `${directory}99`);
    sh(
      "bpftool",
      "prog",
      "pin",
      "pinned",
      `${now}/twin_${first?.runtime.program_id}`.replace(
        /twin_.*/,
        readdirSync(now).find((name) => name.startsWith("twin_")) ?? "",
      ),
      `${directory}99/twin_1`,
    );
    await repaired("revision-left");
    expect(existsSync(`${directory}99`)).toBe(false);
    expect(await sent(2)).toEqual([2, 2]);
  });
});

describe("the BPF file system", () => {
  test("is mounted twice: what is below comes back, and what was pinned above is kept", async () => {
    const below = await tracepoint();
    sh("mount", "-t", "bpf", "-o", "mode=0700", "bpf", fs("").slice(0, -1));
    const above = await bpfman.load(LIFE, "--programs", "tracepoint:on_openat");
    await repaired("bpffs-stacked");
    const ids = (await bpfman.programs()).map(({ program_id }) => program_id);
    expect(ids).toEqual([below.program, above[0]?.record?.program_id ?? 0]);
    expect(readdirSync(fs("")).filter((name) => name.startsWith("prog_"))).toHaveLength(2);
    expect(inKernel("link", below.link.kernel_link_id ?? 0)).toBe(true);
  });

  test("is covered by one that others can write to", async () => {
    const { program } = await tracepoint();
    sh("mount", "-t", "bpf", "bpf", fs("").slice(0, -1));
    await repaired("place-unsafe", "bpffs-stacked");
    expect(existsSync(fs(`prog_${program}`))).toBe(true);
  });

  test("is not mounted: what is gone is forgotten", async () => {
    const { program } = await tracepoint();
    sh("umount", fs("").slice(0, -1));
    await until(() => !inKernel("prog", program));
    const { steps } = await repaired("bpffs-unmounted");
    expect(steps.map(({ code }) => code)).toEqual(["bpffs-unmounted", "link-gone", "program-gone"]);
    expect(await bpfman.programs()).toEqual([]);
  });
});

describe("the database", () => {
  const DAMAGES: readonly (readonly [string, FindingCode, () => void])[] = [
    ["is deleted", "database-lost", () => ["", "-wal", "-shm"].forEach((ending) => rmSync(state(ending)))],
    ["has lost its log", "database-lost", () => rmSync(state("-wal"))],
    [
      "is no database",
      "database-damaged",
      () => {
        for (const ending of ["-wal", "-shm"]) rmSync(state(ending));
        writeFileSync(state(), "x".repeat(8192));
      },
    ],
    [
      "has damaged pages",
      "database-damaged",
      () => {
        const database = new Database(state(), { readwrite: true });
        database.run("PRAGMA wal_checkpoint(TRUNCATE)");
        const { page } = database
          .query<{ page: number }, []>("SELECT rootpage AS page FROM sqlite_schema WHERE name = 'links'")
          .get() ?? { page: 0 };
        database.close();
        const bytes = readFileSync(state());
        bytes.fill(0xa5, (page - 1) * 4096 + 100, page * 4096);
        writeFileSync(state(), bytes);
      },
    ],
  ];

  test.each(DAMAGES)("%s: it is rebuilt, nothing stops, and the links detach", async (_, code, damage) => {
    const { program, link } = await tracepoint();
    const xdp = await onHook("xdp");
    const onTc = await onHook("tc");
    const before = {
      programs: await bpfman.programs(),
      links: await Promise.all(
        [link, ...xdp.links, ...onTc.links].map(({ id }) => bpfman.json<LinkAnswer>("get", "link", number(id))),
      ),
      hooks: await hooks(),
    };
    damage();
    const { notes } = await repaired(code);
    expect(notes.map(({ subject }) => subject)).toEqual(["rebuilt"]);
    expect({
      programs: await bpfman.programs(),
      links: await Promise.all(
        [link, ...xdp.links, ...onTc.links].map(({ id }) => bpfman.json<LinkAnswer>("get", "link", number(id))),
      ),
      hooks: await hooks(),
    }).toEqual(before);
    expect([await xdp.sent(2), await onTc.sent(3)]).toEqual([[2], [3]]);
    for (const { id } of [link, ...xdp.links, ...onTc.links]) await bpfman.ok("detach", number(id));
    expect([await xdp.sent(1), await onTc.sent(1)]).toEqual([[0], [0]]);
    await bpfman.ok("unload", number(program));
  });

  extensionTest("is deleted with ten members on a hook: the chain never stops, and each member detaches", async () => {
    const { seen, sent, links } = await onHook("xdp", 10);
    const before = await hooks();
    for (const ending of ["", "-wal", "-shm"]) rmSync(state(ending));
    const failure = await bpfman.refused(5, "STATE_LOST", "detach", number(links[0]?.id));
    expect(failure.hint).toContain("bpfman repair");
    const [begun, received] = [seen(), lab.received()];
    let packets = 0;
    const repairing = bpfman.start("repair");
    let running = true;
    void repairing.ended.then(() => {
      running = false;
    });
    while (running || packets < 20) {
      lab.send(1);
      packets++;
      await Bun.sleep(20);
    }
    expect((await repairing.ended).code).toBe(0);
    await until(() => lab.received() === received + packets);
    expect(seen().map((each, at) => each - (begun[at] ?? 0))).toEqual(links.map(() => packets));
    expect((await doctor()).findings).toEqual([]);
    expect(await hooks()).toEqual(before);
    for (const [at, { id }] of links.entries()) {
      await bpfman.ok("detach", number(id));
      expect(await sent(1)).toEqual(links.map((_, each) => (each > at ? 1 : 0)));
    }
  });
});

test("directories that others can write to are named, with the command that helps", async () => {
  await tracepoint();
  chmodSync(bpfman.runtimeDir, 0o777);
  const { findings } = await doctor();
  expect(findings[0]).toMatchObject({ code: "place-unsafe", remedy: expect.stringContaining("chmod go-w") });
  chmodSync(bpfman.runtimeDir, 0o750);
  expect((await doctor()).findings).toEqual([]);
});

test("a stopped command that holds the lock is named", async () => {
  await tracepoint();
  const holder = Bun.spawn(["flock", "-o", `${bpfman.runtimeDir}/lock`, "sleep", "5"]);
  try {
    await until(() => sh("sh", "-c", "cat /proc/locks").includes("FLOCK"));
    await Bun.sleep(200);
    holder.kill("SIGSTOP");
    await until(() => /^State:\s+T/m.test(readFileSync(`/proc/${holder.pid}/status`, "utf8")));
    const { findings } = await doctor();
    expect(findings).toMatchObject([{ code: "lock-stuck", evidence: { pid: holder.pid } }]);
  } finally {
    holder.kill("SIGKILL");
    await holder.exited;
  }
});

test("a command that was killed in the middle of a change is found until the next one", async () => {
  const { link } = await tracepoint();
  spoil(`UPDATE links SET state = 'removing' WHERE link_id = ${link.id}`);
  await repaired("change-unfinished");
  expect(await bpfman.links()).toEqual([]);
});
