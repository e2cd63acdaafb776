/** Programs from load to unload, with the executable, on the real kernel; bpftool and packets verify the effects. */
import { describe, expect, test } from "bun:test";
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { resolve } from "node:path";
import { openKernel } from "../../src/kernel/open-kernel.ts";
import { buildBpf } from "../../scripts/build-bpf.ts";
import type { LinkAnswer, ProgramAnswer, ProgramListAnswer } from "../../src/domain/answer.ts";
import { compileBpf } from "../objects/compile.ts";
import { executable, idOf, mapOf } from "../labs/executable.ts";
import { bpftool, cable, counters, inKernel, sh, until } from "../labs/kernel-lab.ts";
import { tcxTest } from "../labs/tcx-test.ts";

buildBpf();
const OBJECT = resolve(import.meta.dir, "../../dist/bpf/fixtures/life.bpf.o");
const OPENAT = ["tracepoint", "--tracepoint", "syscalls/sys_enter_openat"];
/** Slots of the map counters_of_life. */
const PACKETS = 0;
const PACKETS_UP_TO_LIMIT = 1;
const OPENS = 2;

const bpfman = executable();

function openFiles(times: number): void {
  for (let time = 0; time < times; time++) closeSync(openSync("/dev/null", "r"));
}

const text = (lines: string): string =>
  `${lines
    .trim()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n")}\n`;

describe("from load to unload", () => {
  const wire = cable();

  const attachTcx = (program: number, priority: number, direction = "ingress"): Promise<LinkAnswer> =>
    bpfman.attach(program, "tcx", "-i", wire.interface, "-d", direction, "-p", String(priority), "-n", wire.netns);
  const loadCounter = async (): Promise<{ id: number; packets(): number; programs: readonly ProgramAnswer[] }> => {
    const programs = await bpfman.load(OBJECT, "--programs", "tcx:count");
    const map = mapOf(programs, "counters");
    return { id: idOf(programs, "count"), packets: () => counters(map)[PACKETS] ?? -1, programs };
  };

  tcxTest("a packet counter and a tracepoint counter live as long as they should, and no longer", async () => {
    const programs = await bpfman.load(
      OBJECT,
      ..."--programs tcx:count tracepoint:on_openat -g LIMIT=0A000000 -a demo -m owner=me".split(" "),
    );
    const [count, onOpenat] = [idOf(programs, "count"), idOf(programs, "on_openat")];
    const map = mapOf(programs, "counters");
    expect(bpftool("prog", "show", "id", String(count))).toMatchObject({ name: "count", type: "sched_cls" });
    expect(bpftool("prog", "show", "id", String(onOpenat))).toMatchObject({ name: "on_openat", type: "tracepoint" });
    expect(counters(map)).toEqual([0, 0, 0, 0, 0]);

    // The processes that attach end before anything is counted: what counts is held by the pins alone.
    const tracepoint = await bpfman.attach(onOpenat, ...OPENAT);
    const tcx = await attachTcx(count, 50);
    for (const { record } of [tracepoint, tcx]) {
      expect(bpftool("link", "show", "id", String(record.kernel_link_id))).toMatchObject({
        prog_id: record.program_id,
      });
      expect(existsSync(record.pin_path ?? "")).toBe(true);
    }
    expect(wire.ping(15)).toBe(15);
    openFiles(25);
    const attached = counters(map);
    expect(attached[PACKETS]).toBeGreaterThanOrEqual(15);
    expect(attached[PACKETS_UP_TO_LIMIT]).toBe(10);
    expect(attached[OPENS]).toBeGreaterThanOrEqual(25);
    expect(wire.ping(5)).toBe(5);
    openFiles(25);
    const moved = counters(map);
    expect(moved[PACKETS]).toBeGreaterThanOrEqual((attached[PACKETS] ?? 0) + 5);
    expect(moved[OPENS]).toBeGreaterThanOrEqual((attached[OPENS] ?? 0) + 25);

    const links = [String(tracepoint.record.id), String(tcx.record.id)];
    expect(await bpfman.ok("detach", ...links)).toBe("");
    const detached = counters(map);
    expect(wire.ping(5)).toBe(5);
    openFiles(25);
    expect(counters(map)).toEqual(detached);
    for (const { record } of [tracepoint, tcx]) expect(inKernel("link", record.kernel_link_id ?? 0)).toBe(false);
    expect(await bpfman.links()).toEqual([]);
    await bpfman.refused(3, "LINK_NOT_FOUND", "detach", links[0] ?? "");

    expect(await bpfman.ok("unload", String(count), String(onOpenat))).toBe("");
    for (const id of [count, onOpenat]) expect(inKernel("prog", id)).toBe(false);
    await bpfman.expectNothingLeft();
    expect(await bpfman.programs()).toEqual([]);
    await bpfman.refused(3, "PROGRAM_NOT_FOUND", "unload", String(count));
    expect(await bpfman.ok("unload", "--ignore-missing", String(count))).toBe("");
  });

  tcxTest("unload detaches first: packets and calls are not counted any more", async () => {
    const programs = await bpfman.load(OBJECT, "--programs", "tcx:count", "tracepoint:on_openat");
    const map = mapOf(programs, "counters");
    await attachTcx(idOf(programs, "count"), 50);
    await attachTcx(idOf(programs, "count"), 50, "egress");
    const { record } = await bpfman.attach(idOf(programs, "on_openat"), ...OPENAT);
    // A pin of the test's own, so that the counters can still be read.
    const pin = `${bpfman.runtimeDir}/fs/links/witness`;
    sh("bpftool", "map", "pin", "id", String(map), pin);
    wire.ping(3);
    openFiles(10);
    await bpfman.ok("unload", ...programs.map((program) => String(program.record?.program_id)));
    const unloaded = counters(map);
    expect(unloaded[PACKETS]).toBeGreaterThanOrEqual(6);
    expect(wire.ping(3)).toBe(3);
    openFiles(10);
    expect(counters(map)).toEqual(unloaded);
    expect(inKernel("link", record.kernel_link_id ?? 0)).toBe(false);
    unlinkSync(pin);
    await bpfman.expectNothingLeft();
  });

  tcxTest("programs run by priority, lower first, and in the order of attaching where that is equal", async () => {
    const [early, late, last] = [await loadCounter(), await loadCounter(), await loadCounter()];
    const dropper = idOf(await bpfman.load(OBJECT, "--programs", "tcx:drop"), "drop");
    await attachTcx(late.id, 900);
    const drop = await attachTcx(dropper, 500);
    await attachTcx(early.id, 100);
    // Behind the one that drops, though both have the same priority.
    await attachTcx(last.id, 500);
    // Until the one that drops was there, the kernel's own packets came through.
    const behind = [late.packets(), last.packets()];
    expect(wire.ping(4)).toBe(0);
    expect(early.packets()).toBeGreaterThanOrEqual(4);
    expect([late.packets(), last.packets()]).toEqual(behind);

    const order = (await bpfman.links()).map(({ program_id, details }) => [
      program_id,
      "position" in details && details.position,
    ]);
    expect(order).toEqual([
      [late.id, 3],
      [dropper, 1],
      [early.id, 0],
      [last.id, 2],
    ]);
    const hook = { netns: wire.netns, ifindex: wire.ifindex, direction: "ingress" } as const;
    const onHook = openKernel()
      .tcxState(hook)
      .members.map(({ program }) => Number(program));
    expect(onHook).toEqual([early.id, dropper, last.id, late.id]);
    expect(await bpfman.ok("get", "link", String(drop.record.id))).toContain("Position:           1 \n");

    await bpfman.ok("detach", String(drop.record.id));
    const before = early.packets();
    expect(wire.ping(4)).toBe(4);
    expect(early.packets()).toBeGreaterThanOrEqual(before + 4);
    expect(late.packets()).toBeGreaterThanOrEqual((behind[0] ?? 0) + 4);
    expect(last.packets()).toBeGreaterThanOrEqual(4);
    const positions = (await bpfman.links()).map(({ details }) => "position" in details && details.position);
    expect(positions).toEqual([2, 0, 1]);
  });

  tcxTest(
    "the same program twice on one hook is refused, naming the link; the other direction is another hook",
    async () => {
      const { id } = await loadCounter();
      const first = await attachTcx(id, 50);
      const again = ["attach", String(id), "tcx", "-i", wire.interface, "-d", "ingress", "-p", "60", "-n", wire.netns];
      const failure = await bpfman.refused(5, "ALREADY_ATTACHED", ...again);
      expect(failure.message).toContain(`as link ${first.record.id}`);
      expect(await bpfman.links()).toHaveLength(1);
      await attachTcx(id, 50, "egress");
      expect(await bpfman.links()).toHaveLength(2);
    },
  );

  tcxTest("a link is found in its namespace, whether that is named or the command's own", async () => {
    const { id, packets } = await loadCounter();
    const nsid = statSync(wire.netns).ino;
    const named = await attachTcx(id, 50);
    expect(named.record.details).toEqual({
      interface: wire.interface,
      ifindex: wire.ifindex,
      priority: 50,
      position: 0,
      netns: wire.netns,
      nsid,
      direction: "ingress",
    });
    await bpfman.ok("detach", String(named.record.id));

    const attach = ["attach", String(id), "tcx", "-i", wire.interface, "-d", "ingress", "-p", "50", "-o", "json"];
    const inside = Bun.spawnSync(["nsenter", `--net=${wire.netns}`, ...bpfman.command(...attach)]);
    expect(inside.stderr.toString()).toBe("");
    const own: LinkAnswer = JSON.parse(inside.stdout.toString());
    expect(own.record.details).toMatchObject({ netns: null, nsid, ifindex: wire.ifindex });
    expect(own.record.id).toBeGreaterThan(named.record.id);
    expect(wire.ping(3)).toBe(3);
    expect(packets()).toBeGreaterThanOrEqual(3);
    // From outside, where there is no such interface.
    await bpfman.ok("detach", String(own.record.id));
    const before = packets();
    expect(wire.ping(3)).toBe(3);
    expect(packets()).toBe(before);
  });

  tcxTest("a namespace that goes away takes the link off; detach and unload still clean up", async () => {
    const { id } = await loadCounter();
    const { record } = await attachTcx(id, 50);
    sh("nsenter", `--net=${wire.netns}`, "ip", "link", "delete", wire.interface);
    const link: LinkAnswer = await bpfman.json("get", "link", String(record.id));
    expect(link.record.id).toBe(record.id);
    await bpfman.ok("detach", String(record.id));
    await bpfman.ok("unload", String(id));
    await bpfman.expectNothingLeft();
  });
});

describe("maps", () => {
  const wire = cable();
  const attach = (program: number): Promise<LinkAnswer> =>
    bpfman.attach(program, "tcx", "-i", wire.interface, "-d", "ingress", "-p", "50", "-n", wire.netns);

  tcxTest("--map-owner-id really shares the owner's maps, and they live until the last user goes", async () => {
    const owner = await bpfman.load(OBJECT, "--programs", "tcx:count");
    const ownerId = idOf(owner, "count");
    const user = await bpfman.load(OBJECT, "--programs", "tcx:count", "--map-owner-id", String(ownerId));
    const userId = idOf(user, "count");
    const map = mapOf(owner, "counters");
    expect(mapOf(user, "counters")).toBe(map);
    for (const id of [ownerId, userId]) {
      expect(bpftool("prog", "show", "id", String(id)).map_ids).toContain(map);
      const { status }: ProgramAnswer = await bpfman.json("get", "program", String(id));
      expect(status.map_used_by).toEqual([ownerId, userId]);
      expect(status.maps.find((each) => each.id === map)).toMatchObject({ present: true });
    }
    // Global variables are each program's own.
    expect(mapOf(user, "life_bpf.rodata")).not.toBe(mapOf(owner, "life_bpf.rodata"));
    const shown: ProgramAnswer = await bpfman.json("get", "program", String(userId));
    expect(shown.record).toMatchObject({ load: { map_owner_id: ownerId }, handles: { map_owner_id: ownerId } });
    expect(shown.record?.handles.map_pin_path).toBe(`${bpfman.runtimeDir}/fs/maps/${ownerId}`);

    const links = [await attach(ownerId), await attach(userId)];
    expect(wire.ping(3)).toBe(3);
    // The kernel sends packets of its own at times: counts are at least what was sent.
    expect(counters(map)[PACKETS]).toBeGreaterThanOrEqual(6);

    await bpfman.ok("unload", String(ownerId));
    expect(inKernel("prog", ownerId)).toBe(false);
    expect(existsSync(`${bpfman.runtimeDir}/fs/maps/${ownerId}/counters_of_life`)).toBe(true);
    const before = counters(map)[PACKETS] ?? 0;
    wire.ping(3);
    expect(counters(map)[PACKETS]).toBeGreaterThanOrEqual(before + 3);
    expect(links).toHaveLength(2);
    await bpfman.ok("unload", String(userId));
    await until(() => !inKernel("map", map));
    await bpfman.expectNothingLeft();
  });

  test("an owner that is not there, or owns nothing, is rejected", async () => {
    const programs = await bpfman.load(OBJECT, "--programs", "tcx:count", "tcx:drop");
    const load = (owner: number) => [
      "load",
      "file",
      "-p",
      OBJECT,
      "--programs",
      "tcx:count",
      "--map-owner-id",
      String(owner),
    ];
    const missing = await bpfman.refused(3, "MAP_OWNER_NOT_FOUND", ...load(4_000_000_000));
    expect(missing.message).toBe("map_owner_id 4000000000 does not exist");
    const second = await bpfman.refused(3, "MAP_OWNER_NOT_FOUND", ...load(idOf(programs, "drop")));
    expect(second.hint).toContain(`name that one`);
    expect(await bpfman.programs()).toHaveLength(2);
  });

  tcxTest("a map declared LIBBPF_PIN_BY_NAME is one for all loads", async () => {
    const load = () => bpfman.load(OBJECT, "--programs", "tcx:count_in_shared_map", "-g", "weight=0A00000000000000");
    const [first, second] = [await load(), await load()];
    const map = mapOf(first, "packets_of_all");
    expect(mapOf(second, "packets_of_all")).toBe(map);
    const pin = `${bpfman.runtimeDir}/fs/shared/packets_of_all`;
    expect(bpftool("map", "show", "pinned", pin).id).toBe(map);
    for (const programs of [first, second]) await attach(idOf(programs, "count_in_shared_map"));
    expect(wire.ping(3)).toBe(3);
    const counted = counters(map)[0] ?? 0;
    expect(counted).toBeGreaterThanOrEqual(60);
    expect(counted % 10).toBe(0);
    await bpfman.ok("unload", String(idOf(first, "count_in_shared_map")));
    expect(existsSync(pin)).toBe(true);
    expect(inKernel("map", map)).toBe(true);
    await bpfman.ok("unload", String(idOf(second, "count_in_shared_map")));
    expect(existsSync(pin)).toBe(false);
    await bpfman.expectNothingLeft();
  });
});

test("load of several programs that cannot all be loaded loads none", async () => {
  const refused = await bpfman.refused(
    1,
    "FUNCTION_NOT_FOUND",
    "load",
    "file",
    "-p",
    OBJECT,
    "--programs",
    "tcx:count",
    "tcx:cuont",
  );
  expect(refused.hint).toContain('"count"');
  expect(await bpfman.programs()).toEqual([]);
  await bpfman.expectNothingLeft();
});

test("what is pinned and saved stands where it is said to be, and for root alone", async () => {
  const programs = await bpfman.load(
    OBJECT,
    "--programs",
    "tcx:count",
    "tracepoint:on_openat",
    "tcx:count_in_shared_map",
  );
  const [owner = 0] = programs.map((program) => program.record?.program_id ?? 0);
  const fs = `${bpfman.runtimeDir}/fs`;
  const ids = programs.map((program) => program.record?.program_id);
  expect(
    readdirSync(fs)
      .filter((name) => name.startsWith("prog_"))
      .sort(),
  ).toEqual(ids.map((id) => `prog_${id}`).sort());
  expect(readdirSync(`${fs}/maps`)).toEqual([String(owner)]);
  expect(readdirSync(`${fs}/maps/${owner}`)).toEqual(["counters_of_life"]);
  expect(readdirSync(`${fs}/shared`)).toEqual(["packets_of_all"]);
  for (const id of ids) {
    expect(bpftool("prog", "show", "pinned", `${fs}/prog_${id}`).id).toBe(id);
  }
  expect(readFileSync(bpfman.copyOf(OBJECT))).toEqual(readFileSync(OBJECT));
  expect(statSync(fs).mode & 0o777).toBe(0o700);
  expect(statSync(`${bpfman.runtimeDir}/state`).mode & 0o777).toBe(0o700);
});

test("the text of load, get and the lists", async () => {
  const out = await bpfman.ok(..."load file --programs tracepoint:on_openat -a demo -m owner=me -p".split(" "), OBJECT);
  const id = Number(/^ Program ID: +(\d+) $/m.exec(out)?.[1]);
  const kernel = bpftool("prog", "show", "id", String(id));
  const loadedAt = new Date(kernel.loaded_at * 1000).toISOString().replace(/\.\d+Z$/, "+0000");
  const verified = /^ Verified Instruction Count: +(\d+) $/m.exec(out)?.[1];
  const shown = (links: string) =>
    text(`
 Bpfman State
 BPF Function:  on_openat
 Program Type:  tracepoint
 Path:          ${OBJECT}
 Global:        None
 Metadata:      bpfman_application=demo
                owner=me
 Map Pin Path:  ${bpfman.runtimeDir}/fs/maps/${id}
 Map Owner ID:  None
 Maps Used By:  ${id}
 Links:         ${links}

 Kernel State
 Program ID:                       ${id}
 BPF Function:                     on_openat
 Kernel Type:                      tracepoint
 Loaded At:                        ${loadedAt}
 Tag:                              ${kernel.tag}
 GPL Compatible:                   true
 Map IDs:                          [${kernel.map_ids.join(", ")}]
 BTF ID:                           ${kernel.btf_id}
 Size Translated (bytes):          ${kernel.bytes_xlated}
 JITted:                           true
 Size JITted:                      ${kernel.bytes_jited}
 Kernel Allocated Memory (bytes):  ${kernel.bytes_memlock}
 Verified Instruction Count:       ${verified}
 Run Count:                        None
 Run Time (ns):                    None
 Recursion Misses:                 None`);
  // The kernel keeps the time of loading since boot, so that the seconds may be rounded differently.
  const comparable = (given: string) =>
    text(given)
      .replace(/(Loaded At: +).*/, "$1…")
      // A kernel that counts has numbers here.
      .replaceAll(/((Run Count|Run Time \(ns\)|Recursion Misses): +)\S+/g, "$1…");
  expect(comparable(out)).toBe(comparable(shown("None")));

  const link = await bpfman.ok("attach", String(id), ...OPENAT, "-m", "why=test");
  const linkId = Number(/^ Link ID: +(\d+) $/m.exec(link)?.[1]);
  expect(text(link)).toBe(
    text(`
 Bpfman State
 BPF Function:  on_openat
 Program Type:  tracepoint
 Program ID:    ${id}
 Link ID:       ${linkId}
 Tracepoint:    syscalls/sys_enter_openat
 Metadata:      bpfman_application=demo
                why=test`),
  );
  expect(await bpfman.ok("get", "link", String(linkId))).toBe(link);
  const place = `${linkId} (syscalls/sys_enter_openat)`;
  expect(comparable(await bpfman.ok("get", "program", String(id)))).toBe(comparable(shown(place)));
  const wide = String(id).padEnd(10);
  expect(text(await bpfman.ok("list", "programs"))).toBe(
    text(
      ` Program ID  Application  Type        Function Name  Links\n ${wide}  demo         tracepoint  on_openat      (1) ${linkId}`,
    ),
  );
  expect(text(await bpfman.ok("list", "links"))).toBe(
    text(
      ` Program ID  Link ID  Application  Type        Function Name  Attachment\n ${wide}  ${String(linkId).padEnd(7)}  demo         tracepoint  on_openat      syscalls/sys_enter_openat`,
    ),
  );
});

describe("filters of the lists", () => {
  test("by type, application and metadata", async () => {
    const demo = await bpfman.load(OBJECT, "--programs", "tcx:count", "-a", "demo", "-m", "owner=me,stage=one");
    const other = await bpfman.load(OBJECT, "--programs", "tracepoint:on_openat", "-m", "owner=me");
    const [tcx, tracepoint] = [idOf(demo, "count"), idOf(other, "on_openat")];
    const listed = async (...flags: string[]): Promise<number[]> => {
      const { programs }: { programs: { program_id: number }[] } = await bpfman.json("list", "programs", ...flags);
      return programs.map((program) => program.program_id);
    };
    expect(await listed()).toEqual([tcx, tracepoint]);
    expect(await listed("-p", "tc")).toEqual([tcx]);
    expect(await listed("-p", "tcx")).toEqual([tcx]);
    expect(await listed("-p", "tracepoint")).toEqual([tracepoint]);
    expect(await listed("-p", "xdp")).toEqual([]);
    expect(await listed("--application", "demo")).toEqual([tcx]);
    expect(await listed("-m", "owner=me")).toEqual([tcx, tracepoint]);
    expect(await listed("-m", "owner=me,stage=one")).toEqual([tcx]);
    expect(await listed("-m", "owner=you")).toEqual([]);
    expect(text(await bpfman.ok("list", "programs", "-p", "xdp"))).toBe(
      " Program ID  Application  Type  Function Name  Links\n".trimStart(),
    );

    await bpfman.attach(tracepoint, ...OPENAT, "-m", "why=test");
    const links = async (...flags: string[]): Promise<number> =>
      (await bpfman.json<{ links: unknown[] }>("list", "links", ...flags)).links.length;
    expect(await links("-p", "tracepoint")).toBe(1);
    expect(await links("-p", "tc")).toBe(0);
    expect(await links("-m", "why=test")).toBe(1);
    expect(await links("-m", "why=else")).toBe(0);
    expect(await links("--application", "demo")).toBe(0);
  });

  test("-a shows what others loaded, marked; get shows it, and unload leaves it alone", async () => {
    const ours = idOf(await bpfman.load(OBJECT, "--programs", "tcx:count"), "count");
    writeFileSync(bpfman.path("foreign.o"), compileBpf('SEC("socket") int foreign(void *ctx) { return 0; }'));
    const pin = `${bpfman.runtimeDir}/fs/foreign`;
    sh("bpftool", "prog", "load", bpfman.path("foreign.o"), pin);
    const { id, tag } = bpftool("prog", "show", "pinned", pin);
    expect((await bpfman.programs()).map((program) => program.program_id)).toEqual([ours]);

    const { programs }: ProgramListAnswer = await bpfman.json("list", "programs", "-a");
    const ids = programs.map((program) => program.program_id);
    expect(ids).toEqual(ids.toSorted((a, b) => a - b));
    const mine = (program: { program_id: number }) => program.program_id === ours || program.program_id === id;
    expect(programs.filter(mine)).toMatchObject([
      { program_id: ours, managed: true, type: "tcx", function_name: "count", kernel: { id: ours } },
      { program_id: id, managed: false, application: null, links: [], record: null, kernel: { id, tag } },
    ]);
    expect(await bpfman.ok("list", "programs", "-a")).toMatch(
      new RegExp(`^ ${id} .* foreign +\\(not managed\\) $`, "m"),
    );

    const shown: ProgramAnswer = await bpfman.json("get", "program", String(id));
    expect(shown).toMatchObject({ record: null, status: { kernel: { id, tag, name: "foreign" }, links: [] } });
    expect(await bpfman.ok("get", "program", String(id))).toContain(`Tag:                              ${tag} \n`);
    await bpfman.refused(3, "PROGRAM_NOT_MANAGED", "unload", String(id));
    await bpfman.refused(3, "PROGRAM_NOT_MANAGED", "unload", "--ignore-missing", String(id));
    await bpfman.refused(3, "PROGRAM_NOT_MANAGED", "attach", String(id), ...OPENAT);
    expect(inKernel("prog", id)).toBe(true);
    unlinkSync(pin);
  });
});
