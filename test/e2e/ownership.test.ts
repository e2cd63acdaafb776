/** What is not proven to be bpfman's, or another database's, runs on: whatever happens to databases and pins. */
import { describe, expect, test } from "bun:test";
import {
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import { watchMembers, wire } from "../labs/chain-lab.ts";
import { cleanUpAfterEach } from "../labs/clean-up.ts";
import { compileBpf } from "../objects/compile.ts";
import { BPFMAN, executable, idOf, mapOf, type Outcome } from "../labs/executable.ts";
import { noExtensions } from "../labs/extension-test.ts";
import { inKernel, sh, until } from "../labs/kernel-lab.ts";

buildBpf();
const fixture = (name: string): string => resolve(import.meta.dir, `../../dist/bpf/fixtures/${name}.bpf.o`);
const CHAIN = fixture("chain");
const LIFE = fixture("life");
/** Members that one hook takes here. */
const MEMBERS = noExtensions === null ? 2 : 1;

// So that what each test leaves is unloaded by the database that knows it.
cleanUpAfterEach(async () => {
  rmSync(record(), { force: true });
  if (!existsSync(`${stateDir("other")}/bpfman.db`)) return;
  const { out } = await elsewhere("list", "programs", "-o", "json");
  for (const { program_id: id } of JSON.parse(out).programs) await elsewhere("unload", String(id));
  rmSync(record(), { force: true });
});

const bpfman = executable();
const lab = wire();

const stateDir = (name: "state" | "other"): string => `${bpfman.runtimeDir}/${name}`;
const record = (): string => `${bpfman.runtimeDir}/database`;
const pin = (name: string): string => `${bpfman.runtimeDir}/fs/${name}`;
const NOTHING = ["unload", "--ignore-missing", "4294967295"];

/** What is said besides that there are pins of another database. */
const besidesStrays = (error: string): string =>
  error.replaceAll(/^.*pins that the database does not record: .*\n/gm, "");

/** The executable with another database on the same runtime directory. */
async function elsewhere(...words: readonly string[]): Promise<Outcome> {
  const outcome = await bpfman.run("--state-dir", stateDir("other"), ...words);
  return { ...outcome, error: besidesStrays(outcome.error) };
}

async function members(hook: "xdp" | "tc", numbers: readonly number[], state: "state" | "other" = "state") {
  const names = numbers.map((number) => `${hook}:${hook}_member_${number}`);
  const loaded = await bpfman.run(
    ...["--state-dir", stateDir(state), "load", "file", "--path", CHAIN, "--programs", ...names, "-o", "json"],
  );
  expect({ code: loaded.code, error: besidesStrays(loaded.error) }).toEqual({ code: 0, error: "" });
  const { programs } = JSON.parse(loaded.out);
  const watch = watchMembers((name) => mapOf(programs, name));
  watch.setVerdicts(Object.fromEntries(numbers.map((number) => [number, hook === "xdp" ? 2 : 0])));
  return { ...watch, ids: numbers.map((number) => idOf(programs, `${hook}_member_${number}`)) };
}

const attachWords = (program: number | undefined, hook: "xdp" | "tc"): string[] => [
  ...["attach", String(program), hook, "-i", "veth0", "-n", lab.netns(), "-p", "50"],
  ...(hook === "tc" ? ["-d", "ingress"] : []),
];

/**
 * The calls by which something comes to be that outlives the command, or that goes onto a hook. RTM_NEWTFILTER is 44, where
 * strace cannot tell which netlink it is.
 */
const STEPS: Readonly<Record<string, RegExp>> = {
  bpf: /BPF_LINK_CREATE|BPF_OBJ_PIN/,
  sendto: /RTM_NEWTFILTER|nlmsg_type=0x2c/,
};

interface Moment {
  readonly call: string;
  readonly number: number;
}

/** Runs a command with the other database under strace, which kills it at that moment, or at none. */
function traced(moment: Moment | null, ...words: readonly string[]): number | null {
  const kill = moment === null ? [] : ["-e", `inject=${moment.call}:signal=SIGKILL:when=${moment.number}`];
  const calls = moment === null ? Object.keys(STEPS).join(",") : moment.call;
  const strace = ["strace", "-f", "-qq", "-o", bpfman.path("trace"), "-e", `trace=${calls}`, ...kill];
  return Bun.spawnSync([...strace, ...bpfman.command("--state-dir", stateDir("other"), ...words)]).exitCode;
}

/** The steps in the trace of a command that was left alone. */
function moments(): Moment[] {
  const lines = readFileSync(bpfman.path("trace"), "utf8").split("\n");
  const [main = ""] = (lines[0] ?? "").split(" ");
  return Object.entries(STEPS).flatMap(([call, wanted]) => {
    const calls = lines.filter((line) => line.startsWith(`${main} `) && line.includes(` ${call}(`));
    return calls.flatMap((line, index) => (wanted.test(line) ? [{ call, number: index + 1 }] : []));
  });
}

describe.each(["xdp", "tc"] as const)("a chain of %s programs of another database", (hook) => {
  test(`runs on when an attach to its hook is killed at each step (${MEMBERS} members)`, async () => {
    const mine = await members(hook, [0, 1]);
    const running = mine.ids.slice(0, MEMBERS);
    for (const id of running) await bpfman.ok(...attachWords(id, hook));
    const order = (await bpfman.links()).map((link) => link.kernel_link_id);
    const path = async (): Promise<void> => {
      const before = lab.received();
      mine.clear();
      lab.send(1);
      await until(() => lab.received() === before + 1);
      expect(mine.seen().toSorted()).toEqual(running.map((_, number) => number));
    };
    await path();

    // As after the loss of the database, or as two of them were, before directories said whose they are.
    rmSync(record(), { force: true });
    const theirs = await members(hook, [2], "other");
    const words = attachWords(theirs.ids[0], hook);
    traced(null, ...words);
    const steps = moments();
    expect(steps.length).toBeGreaterThan(0);
    if (hook === "tc") {
      const { links } = JSON.parse((await elsewhere("list", "links", "-o", "json")).out);
      for (const { id } of links) expect((await elsewhere("detach", String(id))).code).toBe(0);
    }
    for (const step of steps) {
      expect(traced(step, ...words)).not.toBe(0);
      await path();
      expect(await elsewhere(...NOTHING)).toMatchObject({ code: 0, error: "" });
      await path();
      const { links } = JSON.parse((await elsewhere("list", "links", "-o", "json")).out);
      expect(links).toEqual([]);
    }
    expect((await elsewhere("unload", String(theirs.ids[0]))).code).toBe(0);
    await path();

    rmSync(record(), { force: true });
    expect((await bpfman.links()).map((link) => link.kernel_link_id)).toEqual(order);
    await bpfman.ok("unload", ...mine.ids.map(String));
    await bpfman.expectNothingLeft();
  });
});

describe("another database on the same runtime directory", () => {
  test("is refused, readers and writers alike, and told whose it is", async () => {
    await bpfman.load(LIFE, "--programs", "tracepoint:on_openat");
    for (const words of [["list", "programs"], ["list", "links"], NOTHING, ["load", "file", "--path", LIFE]]) {
      const all = ["--state-dir", stateDir("other"), ...words];
      if (words[0] === "load") all.push("--programs", "tracepoint:on_openat");
      const failure = await bpfman.refused(5, "STATE_FOREIGN", ...all);
      expect(failure.message).toContain(`belongs to database "${stateDir("state")}/bpfman.db"`);
      expect(failure.hint).toContain(`--state-dir "${stateDir("state")}"`);
    }
    expect(existsSync(stateDir("other"))).toBe(false);
    expect(await bpfman.programs()).toHaveLength(1);
  });

  test("is one that has come to the place of the first, and a copy beside it", async () => {
    await bpfman.load(LIFE, "--programs", "tracepoint:on_openat");
    renameSync(stateDir("state"), bpfman.path("aside"));
    const asked = ["--runtime-dir", bpfman.path("unrelated"), "--state-dir", stateDir("state")];
    for (const words of [
      ["load", "file", "--path", LIFE, "--programs", "tracepoint:on_openat"],
      ["program", "delete", "--all", "--unmount"],
    ])
      expect(Bun.spawnSync([BPFMAN, ...words, ...asked]).exitCode).toBe(0);
    expect((await bpfman.refused(5, "STATE_FOREIGN", "list", "programs")).message).toContain("now");
    await bpfman.refused(5, "STATE_FOREIGN", ...NOTHING);
    rmSync(stateDir("state"), { recursive: true });
    renameSync(bpfman.path("aside"), stateDir("state"));
    expect(await bpfman.programs()).toHaveLength(1);

    cpSync(stateDir("state"), stateDir("other"), { recursive: true });
    expect((await elsewhere(...NOTHING)).error).toContain("belongs to database");
    // Moved, it is the one.
    rmSync(stateDir("other"), { recursive: true });
    renameSync(stateDir("state"), stateDir("other"));
    expect(await elsewhere(...NOTHING)).toMatchObject({ code: 0, error: "" });
    expect(readlinkSync(record())).toEndWith(` ${stateDir("other")}/bpfman.db`);
    renameSync(stateDir("other"), stateDir("state"));
    await bpfman.ok(...NOTHING);
    expect(readlinkSync(record())).toEndWith(` ${stateDir("state")}/bpfman.db`);
  });

  test("is not one that is missing: readers warn, writers stop, and nothing changes", async () => {
    const programs = await bpfman.load(LIFE, "--programs", "tracepoint:on_openat");
    renameSync(stateDir("state"), bpfman.path("aside"));
    const read = await bpfman.run("list", "programs");
    expect([read.code, read.error]).toEqual([0, expect.stringContaining("is missing or empty")]);
    const failure = await bpfman.refused(5, "STATE_LOST", ...NOTHING);
    expect(failure.hint).toContain("restore it from a copy");
    expect(existsSync(stateDir("state"))).toBe(false);
    expect(existsSync(pin(`prog_${idOf(programs, "on_openat")}`))).toBe(true);
    renameSync(bpfman.path("aside"), stateDir("state"));
    await bpfman.ok(...NOTHING);
    expect(await bpfman.programs()).toHaveLength(1);
  });

  test("may take over after the record was removed, and what an earlier boot wrote does not count", async () => {
    await bpfman.begin();
    const [id = "", , path = ""] = readlinkSync(record()).split(" ");
    rmSync(record());
    symlinkSync(`${id.replaceAll(/./g, "0")} 00000000-0000-0000-0000-000000000000 /elsewhere/bpfman.db`, record());
    await bpfman.ok("list", "programs");
    await bpfman.ok(...NOTHING);
    const [owner, , where] = readlinkSync(record()).split(" ");
    expect([owner, where]).toEqual([id, path]);
    rmSync(record());
    symlinkSync("nonsense", record());
    expect((await bpfman.refused(5, "STATE_CONFLICT", "list", "programs")).hint).toContain("remove it");
  });
});

describe("a pin that holds another object", () => {
  const OPENAT = ["tracepoint", "-t", "syscalls/sys_enter_openat"];
  const swap = (a: string, b: string): void => {
    renameSync(pin(a), pin("aside"));
    renameSync(pin(b), pin(a));
    renameSync(pin("aside"), pin(b));
  };

  test("of a program is neither attached nor removed", async () => {
    const programs = await bpfman.load(LIFE, "--programs", "tracepoint:on_openat", "tcx:count");
    const [a, b] = [idOf(programs, "on_openat"), idOf(programs, "count")];
    const { record: link } = await bpfman.attach(a, "tracepoint", "-t", "sched/sched_switch");
    swap(`prog_${a}`, `prog_${b}`);
    const failure = await bpfman.refused(5, "STATE_CONFLICT", "attach", String(a), ...OPENAT);
    expect(failure.message).toContain(`holds program ${b}, where bpfman pinned program ${a}`);
    await bpfman.refused(5, "STATE_CONFLICT", "unload", String(a));
    expect((await bpfman.run("program", "delete", String(b))).error).toContain(`holds program ${a}`);
    await bpfman.run("link", "delete", String(link.id));
    expect(await bpfman.programs()).toHaveLength(2);
    // Nothing was done by halves.
    expect((await bpfman.links()).map(({ id }) => id)).toEqual([link.id]);
    expect(inKernel("link", link.kernel_link_id ?? 0)).toBe(true);
    swap(`prog_${a}`, `prog_${b}`);
    await bpfman.ok("unload", String(a), String(b));
    await bpfman.expectNothingLeft();
  });

  test("of a link is not detached", async () => {
    const programs = await bpfman.load(LIFE, "--programs", "tracepoint:on_openat");
    const id = idOf(programs, "on_openat");
    const [one, two] = [
      await bpfman.attach(id, ...OPENAT),
      await bpfman.attach(id, "tracepoint", "-t", "sched/sched_switch"),
    ];
    swap(`links/${one.record.id}`, `links/${two.record.id}`);
    const failure = await bpfman.refused(5, "STATE_CONFLICT", "detach", String(one.record.id));
    expect(failure.message).toContain(
      `holds link ${two.record.kernel_link_id}, where bpfman pinned link ${one.record.kernel_link_id}`,
    );
    await bpfman.refused(5, "STATE_CONFLICT", "unload", String(id));
    for (const { record } of [one, two]) expect(inKernel("link", record.kernel_link_id ?? 0)).toBe(true);
    expect(await bpfman.links()).toHaveLength(2);
    swap(`links/${one.record.id}`, `links/${two.record.id}`);
  });

  test("of a map is neither shared nor removed, and what is not ours in our directories stays", async () => {
    const programs = await bpfman.load(LIFE, "--programs", "tcx:count");
    const id = idOf(programs, "count");
    const [name = ""] = readdirSync(pin(`maps/${id}`));
    const make = (path: string): string =>
      sh(..."bpftool map create".split(" "), path, ..."type array key 4 value 8 entries 1 name theirs".split(" "));
    renameSync(pin(`maps/${id}/${name}`), pin("aside"));
    make(pin(`maps/${id}/${name}`));
    const sharing = ["load", "file", "--path", LIFE, "--programs", "tcx:count", "--map-owner-id", String(id)];
    await bpfman.refused(5, "STATE_CONFLICT", ...sharing);
    const failure = await bpfman.refused(5, "STATE_CONFLICT", "unload", String(id));
    expect(failure.message).toMatch(/holds map \d+, where bpfman pinned map \d+/);
    renameSync(pin(`maps/${id}/${name}`), pin(`maps/${id}/theirs`));
    renameSync(pin("aside"), pin(`maps/${id}/${name}`));
    await bpfman.ok("unload", String(id));
    expect(readdirSync(pin(`maps/${id}`))).toEqual(["theirs"]);
    rmSync(pin(`maps/${id}/theirs`));
    rmdirSync(pin(`maps/${id}`));
    await bpfman.expectNothingLeft();
  });

  test("in the place of a new link's is left alone, and the link goes", async () => {
    const programs = await bpfman.load(LIFE, "--programs", "tracepoint:on_openat");
    const id = idOf(programs, "on_openat");
    sh("bpftool", "prog", "pin", "id", String(id), pin("links/1"));
    const { code, error } = await bpfman.run("attach", String(id), ...OPENAT);
    expect(code).toBe(5);
    expect(error).toContain(
      `at "${pin("links/1")}": something is pinned there already\nhint: bpfman does not touch what`,
    );
    expect(existsSync(pin("links/1"))).toBe(true);
    rmSync(pin("links/1"));
    expect(await bpfman.links()).toEqual([]);
    const { record } = await bpfman.attach(id, ...OPENAT);
    expect(existsSync(pin(`links/${record.id}`))).toBe(true);
  });

  test("of a chain's link is left alone, and so is what else is in the chain's directory", async () => {
    const chain = await members("xdp", [0]);
    await bpfman.ok(...attachWords(chain.ids[0], "xdp"));
    const [link] = await bpfman.links();
    const [seat = ""] = readdirSync(pin("xdp")).filter((each) => each.endsWith("_link"));
    const tracepoint = await bpfman.load(LIFE, "--programs", "tracepoint:on_openat");
    const other = await bpfman.attach(idOf(tracepoint, "on_openat"), ...OPENAT);
    swap(`xdp/${seat}`, `links/${other.record.id}`);
    const failure = await bpfman.refused(5, "STATE_CONFLICT", "detach", String(link?.id));
    expect(failure.message).toContain(`holds link ${other.record.kernel_link_id}`);
    lab.send(1);
    await until(() => chain.packets()[0] === 1);
    expect(await bpfman.links()).toHaveLength(2);
    swap(`xdp/${seat}`, `links/${other.record.id}`);
    await bpfman.ok("detach", String(link?.id));
  });
});

test("a pin by name that was there before stays when the last program that uses it goes", async () => {
  await bpfman.begin();
  const object = bpfman.path("named.o");
  writeFileSync(
    object,
    compileBpf(`
      struct { __uint(type, 2); __type(key, int); __type(value, long); __uint(max_entries, 1); __uint(pinning, 1); }
        named SEC(".maps");
      SEC("tcx/ingress") int uses(void *ctx) { int key = 0; return bpf_map_lookup_elem(&named, &key) ? 0 : -1; }
    `),
  );
  const load = async (): Promise<string> => String(idOf(await bpfman.load(object, "--programs", "tcx:uses"), "uses"));
  const [first, second] = [await load(), await load()];
  await bpfman.ok("unload", first);
  expect(readdirSync(pin("shared"))).toEqual(["named"]);
  await bpfman.ok("unload", second);
  expect(readdirSync(pin("shared"))).toEqual([]);

  sh(
    ..."bpftool map create".split(" "),
    pin("shared/named"),
    ..."type array key 4 value 8 entries 1 name named".split(" "),
  );
  const [third, fourth] = [await load(), await load()];
  await bpfman.ok("unload", third, fourth);
  expect(readdirSync(pin("shared"))).toEqual(["named"]);
  rmSync(pin("shared/named"));
});
