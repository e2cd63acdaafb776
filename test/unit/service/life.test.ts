import { describe, expect, test } from "bun:test";
import { PROGRAMS_PER_LOAD_MAX } from "../../../src/domain/limits.ts";
import type { ErrorCode } from "../../../src/errors/codes.ts";
import { BpfmanError } from "../../../src/errors/error.ts";
import type { Invoke } from "../../../src/service/invoke.ts";
import { compileBpf } from "../../objects/compile.ts";
import type { TestBed } from "../../fakes/fake-host.ts";
import { beforeEachServiceBed } from "../../fakes/service-bed.ts";
import { readObject } from "../../../src/object/object-file.ts";
import { serviceObject } from "../../objects/service-object.ts";

let bed: TestBed;
let invoke: Invoke;

beforeEachServiceBed((made, call) => {
  [bed, invoke] = [made, call];
});

const select = (...names: string[]) =>
  names.map((text) => {
    const [type, name, attachFunction = null] = text.split(":");
    return { type: type || null, name, attachFunction };
  });

const load = (programs: string[], more: Record<string, unknown> = {}) =>
  invoke("program/load", { source: { file: "/x.o" }, programs: select(...programs), ...more });

async function loadOne(program: string, more: Record<string, unknown> = {}): Promise<number> {
  const { programs } = await load([program], more);
  return programs[0]?.record?.program_id as number;
}

const tcx = (programId: number, more: Record<string, unknown> = {}) =>
  invoke("link/attach", {
    programId,
    attach: { kind: "tcx", iface: "eth0", direction: "ingress", priority: 50, ...more },
  });

async function failure(work: Promise<unknown>): Promise<BpfmanError> {
  const outcome = await work.then(
    () => null,
    (cause: unknown) => cause,
  );
  expect(outcome).toBeInstanceOf(BpfmanError);
  return outcome as BpfmanError;
}
const expectCode = async (work: Promise<unknown>, code: ErrorCode) => {
  const found = await failure(work);
  expect(`${found.code}: ${found.message}`).toStartWith(`${code}:`);
  return found;
};

describe("load", () => {
  test("pins programs and maps, saves the bytecode, and remembers what was asked", async () => {
    const answer = await load(["tcx:count", "tracepoint:on_openat"], {
      globalData: { LIMIT: "0A000000", seen: { base64: "AQAAAAAAAAA=" } },
      metadata: { owner: "me" },
      application: "demo",
    });
    const [first, second] = answer.programs;
    const id = first?.record?.program_id as number;
    const secondId = second?.record?.program_id as number;
    expect(first?.record).toMatchObject({
      load: {
        source_path: "/x.o",
        absolute_source_path: "/x.o",
        object_path: expect.stringMatching(/^\/fake\/bytecode\/[0-9a-f]{64}$/),
        program_name: "count",
        program_type: "tcx",
        global_data: { LIMIT: "CgAAAA==", seen: "AQAAAAAAAAA=" },
        attach_func: null,
        map_owner_id: null,
      },
      license: "GPL",
      handles: { pin_path: `/fake/fs/prog_${id}`, map_pin_path: `/fake/fs/maps/${id}`, map_owner_id: null },
      meta: { name: "count", metadata: { owner: "me", bpfman_application: "demo" } },
      created_at: "2026-03-04T05:06:07.008Z",
    });
    // One load, one set of maps: the second program shares those of the first.
    expect(second?.record?.handles).toMatchObject({ map_pin_path: `/fake/fs/maps/${id}`, map_owner_id: id });
    expect(first?.status.map_used_by).toEqual([id, secondId]);
    expect(bed.traces()).toMatchObject({
      kernel: {
        pins: [
          `/fake/fs/maps/${id}/counters`,
          `/fake/fs/prog_${id}`,
          `/fake/fs/prog_${secondId}`,
          "/fake/fs/shared/shared_counts",
        ],
      },
      directories: [`/fake/fs/maps/${id}`],
      bytecode: [expect.stringMatching(/^[0-9a-f]{64}$/)],
    });
    expect(first?.status.stats).toBeNull();
    expect(first?.status.maps.map((map) => map.pin_path)).toEqual(["", "", "", ""]);

    const got = await invoke("program/get", { programId: id });
    expect(got.record).toEqual(first?.record as NonNullable<typeof first>["record"]);
    expect(got.status.stats).toEqual({ runtime: 0, run_count: 0, recursion_misses: 0 });
    expect(got.status.maps.map((map) => [map.name, map.pin_path, map.present])).toEqual([
      ["counters", `/fake/fs/maps/${id}/counters`, true],
      ["shared_counts", "/fake/fs/shared/shared_counts", true],
      [".rodata", "", false],
      [".bss", "", false],
    ]);
    expect(got.status).toMatchObject({
      prog_pin: `/fake/fs/prog_${id}`,
      map_dir: `/fake/fs/maps/${id}`,
      bytecode: expect.stringMatching(/^\/fake\/bytecode\/[0-9a-f]{64}$/),
      prog_pin_present: true,
      map_dir_present: true,
      bytecode_present: true,
    });
    bed.kernel.counting = false;
    expect((await invoke("program/get", { programId: id })).status.stats).toBeNull();
  });

  test("the section decides between a probe and a return probe; the user between tc and tcx", async () => {
    const types = async (program: string) => (await load([program])).programs[0]?.record?.load.program_type;
    expect(await types("kprobe:on_unlinked")).toBe("kretprobe");
    expect(await types("kretprobe:on_unlink")).toBe("kprobe");
    expect(await types("uprobe:on_return")).toBe("uretprobe");
    expect(await types("tc:count")).toBe("tc");
    expect(await types("tcx:count")).toBe("tcx");
    expect(await types("tracepoint:odd")).toBe("tracepoint");
    expect(await types("fentry:on_entry:do_unlinkat")).toBe("fentry");
  });

  test("the section says what the request leaves out", async () => {
    const loaded = async (...programs: object[]) =>
      (await invoke("program/load", { source: { file: "/x.o" }, programs })).programs.map(({ record }) => [
        record?.meta.name,
        record?.load.program_type,
      ]);
    expect(await loaded({ name: "count" }, { name: "on_return", type: null })).toEqual([
      ["count", "tc"],
      ["on_return", "uretprobe"],
    ]);
    const all = await loaded({ name: "count", type: "tcx" }, { name: "odd", type: "xdp" }, { name: "all" });
    expect(all).toHaveLength(readObject(serviceObject()).programs.length);
    expect(all.slice(0, 2)).toEqual([
      ["count", "tcx"],
      ["odd", "xdp"],
    ]);
    expect(all).toContainEqual(["on_entry", "fentry"]);
  });

  test("all is said once, without a type and in small letters", async () => {
    const refusal = async (...programs: object[]) => {
      const work = invoke("program/load", { source: { file: "/x.o" }, programs });
      const { message, hint } = await work.then(
        () => ({ message: "", hint: "" }),
        (cause: unknown) => cause as { message: string; hint: string | null },
      );
      return [message, hint];
    };
    expect(await refusal({ name: "all" }, { name: "all" })).toEqual(['program "all" is named twice', "name it once"]);
    const hint = 'every program is "all", without a type and in small letters';
    expect(await refusal({ name: "all", type: "tc" })).toEqual(['no program "all" in the object', hint]);
    expect(await refusal({ name: "ALL" })).toEqual(['no program "ALL" in the object', hint]);
  });

  test("what cannot be loaded says what to do about it", async () => {
    const source = [
      'SEC("tc") int whole(void *c) { return 0; }',
      'SEC("cgroup/conect4") int misspelt(void *c) { return 1; }',
      'SEC("freplace/x") int part(void *c) { return 0; }',
    ].join("\n");
    bed.files.contents.set("/odd.o", compileBpf(source));
    const hint = async (...programs: object[]) => {
      const work = invoke("program/load", { source: { file: "/odd.o" }, programs });
      return work.then(
        () => "loaded",
        (cause: unknown) => (cause as { hint: string | null }).hint,
      );
    };
    const misspelt = 'did you mean "cgroup/connect4" or "cgroup/connect6"? If not, name it TYPE:misspelt';
    expect(await hint({ name: "misspelt" })).toBe(misspelt);
    const alone = await hint({ name: "part" });
    expect(alone).not.toContain("the others");
    const others = `${alone}; to load the others, name them in place of "all"`;
    expect(await hint({ name: "all" }, { name: "misspelt", type: "tc" })).toBe(others);
    expect(await hint({ name: "whole" })).toBe("loaded");
    const many = Array.from(
      { length: PROGRAMS_PER_LOAD_MAX + 1 },
      (_, at) => `SEC("tc") int p${at}(void *c) { return 0; }`,
    );
    bed.files.contents.set("/odd.o", compileBpf(many.join("\n")));
    expect(await hint({ name: "all" })).toBe("name the programs to load, in as many commands as it takes");
  });

  test("a program called all is the one that is meant", async () => {
    bed.files.contents.set(
      "/all.o",
      compileBpf('SEC("xdp") int all(void *c) { return 2; } SEC("tc") int b(void *c) { return 0; }'),
    );
    const { programs } = await invoke("program/load", { source: { file: "/all.o" }, programs: [{ name: "all" }] });
    expect(programs.map(({ record }) => record?.load.program_type)).toEqual(["xdp"]);
  });

  test("xdp and tc are to the kernel what they are", async () => {
    const kernelType = async () => (await load(["xdp:filter"])).programs[0]?.status.kernel?.program_type;
    expect(await kernelType()).toBe("xdp");
    bed.kernel.ext = true;
    expect(await kernelType()).toBe("xdp");
  });

  test("names what is wrong with the request", async () => {
    const before = bed.traces();
    expect((await expectCode(load(["xdp:count"]), "PROGRAM_TYPE_MISMATCH")).message).toBe(
      'program type mismatch: asked for xdp, but section "tc" of count is tc',
    );
    expect((await expectCode(load(["xdp:sock"]), "PROGRAM_TYPE_MISMATCH")).hint).toBe("name it socket_filter:sock");
    const nowhere = await expectCode(load(["cgroup_sockopt:odd"]), "INVALID_PROGRAM");
    expect(nowhere.hint).toBe("its section can be cgroup/getsockopt, cgroup/setsockopt");
    expect((await expectCode(load([":odd"]), "INVALID_PROGRAM")).hint).toBe("name it TYPE:odd");
    const unknown = await expectCode(load(["tcx:cuont"]), "FUNCTION_NOT_FOUND");
    expect(unknown.hint).toContain('did you mean "count"');
    expect(unknown.hint).toContain("on_openat");
    await expectCode(load(["fentry:odd"]), "INVALID_PROGRAM");
    await expectCode(load(["tcx:count:eth0"]), "INVALID_PROGRAM");
    await expectCode(load(["tcx:count", "tcx:count"]), "INVALID_PROGRAM");
    const two = { application: "one", metadata: { bpfman_application: "two" } };
    expect((await expectCode(load(["tcx:count"], two), "INVALID_METADATA")).message).toBe(
      'metadata key "bpfman_application" is given twice: "two" and, as the application, "one"',
    );
    const size = await expectCode(load(["tcx:count"], { globalData: { LIMIT: "01" } }), "INVALID_GLOBAL");
    expect(size.message).toBe('global variable "LIMIT" is 4 bytes long, but the value given has 1');
    const noGlobal = await expectCode(load(["tcx:count"], { globalData: { LIMT: "01" } }), "GLOBAL_NOT_FOUND");
    expect(noGlobal.hint).toContain('did you mean "LIMIT"');
    await expectCode(load(["tcx:count"], { mapOwnerId: 4711 }), "MAP_OWNER_NOT_FOUND");
    await expectCode(
      invoke("program/load", { source: { file: "/none.o" }, programs: select("tcx:a") }),
      "FILE_NOT_FOUND",
    );
    const field = await expectCode(load([]), "INVALID_REQUEST");
    expect(field.details.field).toBe("programs");
    await expectCode(load(["tcx:count"], { nonsense: 1 }), "INVALID_REQUEST");
    await expectCode(load(["tcx:count"], { globalData: { LIMIT: "0x01" } }), "INVALID_REQUEST");
    for (const key of ["constructor", "__proto__"]) {
      await expectCode(load(["tcx:count"], { metadata: JSON.parse(`{"${key}": "x"}`) }), "INVALID_REQUEST");
    }
    await expectCode(load(["tcx:count"], { metadata: ["a"] }), "INVALID_REQUEST");
    expect(bed.traces()).toEqual(before);
  });

  test("a program that the verifier rejects takes its siblings with it, log and all", async () => {
    bed.kernel.refused.add("on_openat");
    const found = await expectCode(load(["tcx:count", "tracepoint:on_openat"]), "VERIFIER_REJECTED");
    expect(found.verifierLog).toContain("processed 1 insns");
    expect(found.details.source).toMatchObject({ instruction: 0, function: "on_openat", line: expect.any(Number) });
    expect(bed.traces()).toEqual({
      kernel: { programs: [], maps: [], links: [], pins: [], filters: [] },
      directories: [],
      bytecode: [],
    });
  });

  test("needs root", async () => {
    bed.capabilities = [];
    expect((await expectCode(load(["tcx:count"]), "PERMISSION_DENIED")).kind).toBe("permission");
  });
});

describe("shared maps", () => {
  test("--map-owner-id takes the owner's maps, and they live until the last user has gone", async () => {
    const owner = await loadOne("tcx:count");
    const user = await loadOne("tcx:count_more", { mapOwnerId: owner });
    const mapsOf = async (id: number) => (await invoke("program/get", { programId: id })).status.maps;
    const named = (maps: Awaited<ReturnType<typeof mapsOf>>) => maps.find((map) => map.name === "counters")?.id;
    expect(named(await mapsOf(user))).toBe(named(await mapsOf(owner)) as number);
    const got = await invoke("program/get", { programId: user });
    expect(got.record?.load.map_owner_id).toBe(owner);
    expect(got.record?.handles).toMatchObject({ map_owner_id: owner, map_pin_path: `/fake/fs/maps/${owner}` });
    expect(got.status.map_used_by).toEqual([owner, user]);
    // The user of somebody's maps is no owner.
    await expectCode(load(["tcx:count"], { mapOwnerId: user }), "MAP_OWNER_NOT_FOUND");

    await invoke("program/unload", { programId: owner });
    expect(bed.kernel.pins.has(`/fake/fs/maps/${owner}/counters`)).toBe(true);
    expect((await expectCode(load(["tcx:count"], { mapOwnerId: owner }), "MAP_OWNER_NOT_FOUND")).message).toBe(
      `map_owner_id ${owner} does not exist`,
    );
    await invoke("program/unload", { programId: user });
    expect(bed.traces()).toEqual({
      kernel: { programs: [], maps: [], links: [], pins: [], filters: [] },
      directories: [],
      bytecode: [],
    });
  });

  test("a map of another shape is rejected by name, with both shapes", async () => {
    const owner = await loadOne("tcx:count");
    bed.files.contents.set(
      "/x.o",
      compileBpf(`
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 4); __type(key, __u64); __type(value, __u64); } counters SEC(".maps");
SEC("tc") int count(void *ctx) { __u64 k = 1; return bpf_map_lookup_elem(&counters, &k) != 0; }
SEC("tc") int other(void *ctx) { return 0; }`),
    );
    const found = await expectCode(load(["tcx:count"], { mapOwnerId: owner }), "MAP_MISMATCH");
    const pin = `/fake/fs/maps/${owner}/counters`;
    expect(found.message).toStartWith(`map "counters" cannot be shared with program ${owner} ("${pin}"): `);
    expect(found.message).toContain(
      "type is hash in the object and array in the kernel; key_size is 8 in the object and 4",
    );
    expect(found.details).toMatchObject({ map: "counters", pin });
    // Who does not use it does not mind.
    await load(["tcx:other"], { mapOwnerId: owner });
  });

  test("maps pinned by name are one for all, and go with the last program", async () => {
    const first = await loadOne("tcx:count");
    const second = await loadOne("tcx:count");
    const shared = bed.kernel.pins.get("/fake/fs/shared/shared_counts")?.id;
    const ids = async (id: number) => (await invoke("program/get", { programId: id })).status.kernel?.map_ids;
    expect(await ids(first)).toContain(shared as number);
    expect(await ids(second)).toContain(shared as number);
    await invoke("program/unload", { programId: first });
    expect(bed.kernel.pins.has("/fake/fs/shared/shared_counts")).toBe(true);
    await invoke("program/unload", { programId: second });
    expect(bed.kernel.pins.has("/fake/fs/shared/shared_counts")).toBe(false);
  });
});

describe("attach and detach", () => {
  test("a tcx link is pinned, listed, shown, and gone after detach", async () => {
    const id = await loadOne("tcx:count", { application: "demo", metadata: { a: "1" } });
    const link = await tcx(id);
    expect(link.record).toMatchObject({
      id: 1,
      program_id: id,
      kind: "tcx",
      pin_path: "/fake/fs/links/1",
      details: { interface: "eth0", ifindex: 2, direction: "ingress", priority: 50, position: 0, netns: null },
      metadata: { bpfman_application: "demo" },
    });
    expect(link.status).toMatchObject({
      kernel_seen: true,
      pin_present: true,
      kernel: { link_type: "tcx" },
      function_name: "count",
    });
    expect(await invoke("link/get", { linkId: 1 })).toEqual(link);
    const { links } = await invoke("link/list", {});
    expect(links).toEqual([
      {
        ...link.record,
        ...{ application: "demo", function_name: "count", state: null, attachment: link.status.attachment },
      },
    ]);
    expect((await invoke("program/list", {})).programs[0]?.links).toEqual([1]);

    expect(await invoke("link/detach", { linkId: 1 })).toEqual({ link_id: 1, detached: true });
    expect(bed.kernel.snapshot().links).toEqual([]);
    await expectCode(invoke("link/get", { linkId: 1 }), "LINK_NOT_FOUND");
    await expectCode(invoke("link/detach", { linkId: 1 }), "LINK_NOT_FOUND");
    expect(await invoke("link/detach", { linkId: 1, ignoreMissing: true })).toEqual({ link_id: 1, detached: false });
    // Ids are never used again.
    expect((await tcx(id)).record.id).toBe(2);
  });

  test("priority orders the hook, equal priorities keep their order, foreign programs keep their place", async () => {
    const hook = { netns: null, ifindex: 2, direction: "ingress" } as const;
    bed.kernel.joinForeign(hook, 7);
    const ids: number[] = [];
    for (const priority of [50, 10, 90, 50]) {
      const id = await loadOne("tcx:count");
      ids.push(id);
      await tcx(id, { priority });
    }
    bed.kernel.joinForeign(hook, 8);
    const order = bed.kernel.tcxState(hook).members.map((member) => member.program as number);
    expect(order).toEqual([7, ids[1], ids[0], ids[3], ids[2], 8] as number[]);
    const { links } = await invoke("link/list", {});
    expect(links.map((link) => (link.details as { position: number }).position)).toEqual([1, 0, 3, 2]);
  });

  test("an attach starts over when the hook changes under it, but not for ever", async () => {
    const hook = { netns: null, ifindex: 2, direction: "ingress" } as const;
    const id = await loadOne("tcx:count");
    let changes = 3;
    bed.kernel.beforeAttach = () => {
      if (changes-- > 0) bed.kernel.joinForeign(hook, 7);
    };
    expect((await tcx(id)).status.kernel_seen).toBe(true);
    bed.kernel.beforeAttach = () => bed.kernel.joinForeign(hook, 7);
    await expectCode(tcx(await loadOne("tcx:count")), "HOOK_CHANGED");
    expect(bed.inspect((host) => host.store.unsettledLinks())).toEqual([]);
  });

  test("the same program twice on one hook is rejected, naming the link that has it", async () => {
    const id = await loadOne("tcx:count");
    await tcx(id);
    const found = await expectCode(tcx(id), "ALREADY_ATTACHED");
    expect(found.message).toBe(`program ${id} is already attached to eth0 ingress as link 1`);
    await tcx(id, { direction: "egress" });
    await tcx(id, { iface: "eth1" });
  });

  test("names what cannot be found", async () => {
    const id = await loadOne("tcx:count");
    const noInterface = await expectCode(tcx(id, { iface: "eht0" }), "INTERFACE_NOT_FOUND");
    expect(noInterface.hint).toContain('did you mean "eth0"');
    await expectCode(tcx(id, { netns: "/run/netns/none" }), "NETNS_NOT_FOUND");
    await expectCode(tcx(id, { priority: 2 ** 31 }), "INVALID_REQUEST");
    await expectCode(tcx(id, { priority: 1.5 }), "INVALID_REQUEST");
    await expectCode(tcx(id, { direction: "sideways" }), "INVALID_REQUEST");
    await expectCode(tcx(4711), "PROGRAM_NOT_FOUND");
    const tracepoint = await loadOne("tracepoint:on_openat");
    const attach = (name: string) =>
      invoke("link/attach", { programId: tracepoint, attach: { kind: "tracepoint", tracepoint: name } });
    const near = await expectCode(attach("sched/sched_swich"), "TRACEPOINT_NOT_FOUND");
    expect(near.hint).toContain('"sched/sched_switch"');
    await expectCode(attach("sched_switch"), "INVALID_REQUEST");
    expect((await attach("sched/sched_switch")).record.details).toEqual({ group: "sched", name: "sched_switch" });
    const uprobe = await loadOne("uprobe:on_call");
    const wrongHook = await expectCode(tcx(uprobe), "PROGRAM_TYPE_MISMATCH");
    expect(wrongHook.message).toBe(
      `program ${uprobe} is a uprobe program; attach it with "bpfman attach ${uprobe} uprobe"`,
    );
    const probe = (target: Record<string, unknown>) =>
      invoke("link/attach", { programId: uprobe, attach: { kind: "uprobe", ...target } });
    await expectCode(probe({ target: "libnothing" }), "TARGET_NOT_FOUND");
    await expectCode(probe({ target: "/no/such" }), "TARGET_NOT_FOUND");
    await expectCode(probe({ target: "bin/true" }), "INVALID_ATTACH");
    await expectCode(probe({ target: "/x.o", pid: 4711 }), "PROCESS_NOT_FOUND");
  });

  test("an old kernel without TCX is told apart", async () => {
    const id = await loadOne("tcx:count");
    bed.kernel.tcx = false;
    await expectCode(tcx(id), "KERNEL_UNSUPPORTED");
    expect(bed.inspect((host) => host.store.unsettledLinks())).toEqual([]);
  });

  test("unload detaches first", async () => {
    const id = await loadOne("tcx:count");
    await tcx(id);
    await tcx(id, { direction: "egress" });
    expect(await invoke("program/unload", { programId: id })).toEqual({
      program_id: id,
      detached: [1, 2],
      unloaded: true,
    });
    expect(bed.traces()).toEqual({
      kernel: { programs: [], maps: [], links: [], pins: [], filters: [] },
      directories: [],
      bytecode: [],
    });
    await expectCode(invoke("program/unload", { programId: id }), "PROGRAM_NOT_FOUND");
    expect((await invoke("program/unload", { programId: id, ignoreMissing: true })).unloaded).toBe(false);
  });
});

describe("lists", () => {
  test("filters combine", async () => {
    await load(["tcx:count", "tracepoint:on_openat"], { application: "a", metadata: { tier: "1" } });
    await load(["kprobe:on_unlink"], { application: "b", metadata: { tier: "1" } });
    const names = async (request: Record<string, unknown>) =>
      (await invoke("program/list", request)).programs.map((entry) => entry.function_name);
    expect(await names({})).toEqual(["count", "on_openat", "on_unlink"]);
    const [full] = (await invoke("program/list", {})).programs;
    expect([full?.record?.load.program_name, full?.kernel?.name]).toEqual(["count", "count"]);
    const [summary] = (await invoke("program/list", { view: "summary" })).programs;
    expect(full?.status).toEqual({ kernel: full?.kernel as NonNullable<typeof full>["kernel"] });
    const nothing = { record: null, kernel: null, status: { kernel: null } };
    expect(summary).toEqual({ ...(full as NonNullable<typeof full>), ...nothing });
    expect(await names({ programType: "tc" })).toEqual(["count"]);
    expect(await names({ programType: "tcx" })).toEqual(["count"]);
    expect(await names({ programType: "probe" })).toEqual(["on_unlink"]);
    expect(await names({ application: "a" })).toEqual(["count", "on_openat"]);
    expect(await names({ metadataSelector: { tier: "1" }, programType: "probe" })).toEqual(["on_unlink"]);
    expect(await names({ metadataSelector: { tier: "2" } })).toEqual([]);
    const wrong = await expectCode(names({ programType: "tracpoint" }), "INVALID_REQUEST");
    expect(wrong.hint).toContain("tracepoint");
  });

  test("--all shows what others loaded, marked", async () => {
    const id = await loadOne("tcx:count");
    const fake = await bed.kernel.load({
      bytes: serviceObject(),
      name: "other",
      programs: [{ name: "filter", type: "xdp", attachFunction: null }],
      globals: [],
      reuse: new Map(),
      alongside: [],
    });
    const foreign = fake.programs[0]?.kernel.id as number;
    expect((await invoke("program/list", {})).programs.map((entry) => entry.program_id)).toEqual([id]);
    const { programs } = await invoke("program/list", { all: true });
    expect(programs.map((entry) => [entry.program_id, entry.managed, entry.type])).toEqual([
      [id, true, "tcx"],
      [foreign, false, "xdp"],
    ]);
    expect((await invoke("program/list", { all: true, application: "x" })).programs).toEqual([]);
    // The kernel does not tell bpfman's types apart.
    const probes = await invoke("program/list", { all: true, programType: ["kprobe", "xdp"], exactTypes: true });
    expect(probes.programs.map((program) => program.program_id)).toContain(foreign);
    const got = await invoke("program/get", { programId: foreign });
    expect(got.record).toBeNull();
    expect(got.status.kernel?.name).toBe("filter");
    await expectCode(invoke("program/unload", { programId: foreign }), "PROGRAM_NOT_MANAGED");
    await expectCode(tcx(foreign), "PROGRAM_NOT_MANAGED");
  });

  test("reading what was never written answers empty lists and writes nothing", async () => {
    expect(await invoke("program/list", {})).toEqual({ programs: [] });
    expect(await invoke("link/list", {})).toEqual({ links: [] });
    await expectCode(invoke("program/get", { programId: 1 }), "PROGRAM_NOT_FOUND");
    expect(await Bun.file(bed.databasePath).exists()).toBe(false);
  });
});

describe("what the noun-verb grammar asks for", () => {
  test("a return probe of a section that does not say so, within its family only", async () => {
    const typeOf = async (program: Record<string, unknown>) =>
      (await invoke("program/load", { source: { file: "/x.o" }, programs: [program] })).programs[0]?.record?.load
        .program_type;
    expect(await typeOf({ type: "kprobe", name: "on_unlink", actualType: "kretprobe" })).toBe("kretprobe");
    expect(await typeOf({ type: "kretprobe", name: "on_unlinked", actualType: "kprobe" })).toBe("kprobe");
    await expectCode(typeOf({ type: "kprobe", name: "on_unlink", actualType: "uretprobe" }), "PROGRAM_TYPE_MISMATCH");
  });

  test("filters of programs", async () => {
    await load(["tcx:count"], { metadata: { "bpfman.io/application": "a", tier: "1" } });
    const [, id = 0] = [await loadOne("tracepoint:on_openat", { application: "b" }), await loadOne("xdp:filter")];
    await tcx(100);
    const names = async (request: Record<string, unknown>) =>
      (await invoke("program/list", request)).programs.map((entry) => entry.function_name);
    expect(await names({ attached: true })).toEqual(["count"]);
    expect(await names({ attached: false })).toEqual(["on_openat", "filter"]);
    expect(await names({ programType: ["xdp", "tracepoint"] })).toEqual(["on_openat", "filter"]);
    expect(await names({ programType: [] })).toEqual(["count", "on_openat", "filter"]);
    expect(await names({ programType: "tc" })).toEqual(["count"]);
    expect(await names({ programType: "tc", exactTypes: true })).toEqual([]);
    expect(await names({ programType: ["tcx", "tracepoint"], exactTypes: true })).toEqual(["count", "on_openat"]);
    expect(await names({ selector: "tier in (1,2)" })).toEqual(["count"]);
    // Both grammars' applications are one.
    expect(await names({ application: "a" })).toEqual(["count"]);
    expect(await names({ application: "b" })).toEqual(["on_openat"]);
    expect((await invoke("program/list", {})).programs.map((entry) => entry.application)).toEqual(["a", "b", null]);
    await expectCode(names({ programType: ["xdp", "tracpoint"] }), "INVALID_REQUEST");
    await expectCode(names({ selector: "=" }), "INVALID_SELECTOR");
    expect(id).toBeGreaterThan(0);
  });

  test("filters of links, by their program as well", async () => {
    const [a, b] = [
      await loadOne("tcx:count", { metadata: { "bpfman.io/application": "a", tier: "1" } }),
      await loadOne("tcx:count"),
    ];
    await tcx(a as number);
    await tcx(b as number);
    const ids = async (request: Record<string, unknown>) =>
      (await invoke("link/list", request)).links.map((link) => link.id as number);
    expect(await ids({ programId: b })).toEqual([2]);
    expect(await ids({ kinds: ["tcx"] })).toEqual([1, 2]);
    expect(await ids({ kinds: ["tc"] })).toEqual([]);
    expect(await ids({ programType: "tc" })).toEqual([1, 2]);
    expect(await ids({ programType: "tc", exactTypes: true })).toEqual([]);
    expect(await ids({ metadataSelector: { tier: "1" } })).toEqual([1]);
    expect(await ids({ application: "a" })).toEqual([1]);
    expect((await invoke("link/list", {})).links.map((link) => link.application)).toEqual(["a", null]);
    // Neither hides what the other says.
    const attach = { kind: "tcx", iface: "eth0", direction: "egress", priority: 50 };
    await invoke("link/attach", { programId: a, attach, metadata: { tier: "2", zone: "z" } });
    expect(await ids({ metadataSelector: { tier: "1" } })).toEqual([1, 3]);
    expect(await ids({ metadataSelector: { tier: "2" } })).toEqual([3]);
    expect(await ids({ metadataSelector: { tier: "1", zone: "z" } })).toEqual([3]);
  });
});
