/** The executable's JSON answers have exactly the documented keys. */
import { describe, expect, test } from "bun:test";
import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import { relative, resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import type { ProgramListAnswer } from "../../src/domain/answer.ts";
import { compileBpf } from "../objects/compile.ts";
import { BPFMAN, executable, idOf } from "../labs/executable.ts";
import { bpftool, cable, sh } from "../labs/kernel-lab.ts";
import { tcxTest } from "../labs/tcx-test.ts";

buildBpf();
const ROOT = resolve(import.meta.dir, "../..");
const OBJECT = resolve(import.meta.dir, "../../dist/bpf/fixtures/life.bpf.o");
const bpfman = executable();

/** Links of perf events say what they are since Linux 6.6. */
const saysPerfEvents = Bun.semver.satisfies(release().replace(/-.*/, ""), ">=6.6.0");

type Json = Readonly<Record<string, unknown>>;
/** Keys of an object in their order. */
const keys = (value: unknown): string[] => Object.keys(value as Json);

const RECORD = ["program_id", "load", "license", "gpl_compatible", "handles", "meta", "created_at", "updated_at"];
const LOAD = [
  "object_path",
  "source_path",
  "absolute_source_path",
  "program_name",
  "program_type",
  "keep",
  "global_data",
  "image_source",
  "attach_func",
  "map_owner_id",
];
const KERNEL = [
  "id",
  "name",
  "program_type",
  "tag",
  "loaded_at",
  "uid",
  "has_uid",
  "btf_id",
  "has_btf_id",
  "map_ids",
  "has_map_ids",
  "jited_size",
  "xlated_size",
  "verified_insns",
  "memlock",
  "has_memlock",
  "restricted",
  // For programs that bpfman did not load, of which there is no record.
  "gpl_compatible",
];
const STATUS = [
  ...["kernel", "stats", "prog_pin", "map_dir", "bytecode", "prog_pin_present", "map_dir_present", "bytecode_present"],
  ...["links", "maps", "map_used_by"],
];
const MAP = [
  "id",
  "name",
  "map_type",
  "key_size",
  "value_size",
  "max_entries",
  "flags",
  "btf_id",
  "has_btf_id",
  "map_extra",
  "has_map_extra",
  "memlock",
  "has_memlock",
  "frozen",
  "pin_path",
  "present",
];
const LINK_RECORD = [
  "id",
  "link_id",
  "program_id",
  "kernel_link_id",
  "kind",
  "pin_path",
  "details",
  "created_at",
  "metadata",
] as const;
const LINK_STATUS = ["kernel", "kernel_seen", "pin_present", "function_name", "attachment"];
const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

interface ProgramJson {
  readonly record: Json & { readonly load: Json; readonly handles: Json; readonly meta: Json };
  readonly status: Json & {
    readonly kernel: Json;
    readonly maps: readonly Json[];
    readonly links: readonly LinkJson[];
  };
}
interface LinkJson {
  readonly record: Json & { readonly details: Json };
  readonly status: Json & { readonly kernel: Json };
}

function expectProgram(program: ProgramJson): void {
  expect(keys(program)).toEqual(["record", "status"]);
  const { record, status } = program;
  expect(keys(record)).toEqual(RECORD);
  expect(keys(record.load)).toEqual(LOAD);
  expect(keys(record.handles)).toEqual(["pin_path", "map_pin_path", "map_owner_id"]);
  expect(keys(record.meta)).toEqual(["name", "owner", "description", "metadata"]);
  expect(record.created_at).toMatch(RFC_3339);
  expect(keys(status)).toEqual(STATUS);
  expect(keys(status.kernel)).toEqual(KERNEL);
  expect(status.kernel.loaded_at).toMatch(RFC_3339);
  for (const file of ["prog_pin", "map_dir", "bytecode"]) {
    expect([status[file], status[`${file}_present`]]).toEqual([expect.any(String), existsSync(status[file] as string)]);
  }
  expect(status.maps.length).toBeGreaterThan(0);
  for (const map of status.maps) expect(keys(map)).toEqual(MAP);
}

/** What a bpfman says that loaded nothing. */
function elsewhere<T>(...words: readonly string[]): T {
  return JSON.parse(sh(BPFMAN, "--runtime-dir", bpfman.path("elsewhere"), ...words, "-o", "json"));
}

/** `more` is what the kernel says of links of that kind alone. */
function expectLink(link: LinkJson, more: readonly string[]): void {
  expect(keys(link)).toEqual(["record", "status"]);
  expect(keys(link.record)).toEqual([...LINK_RECORD]);
  expect(link.record.created_at).toMatch(RFC_3339);
  expect(keys(link.status)).toEqual(LINK_STATUS);
  expect(keys(link.status.kernel)).toEqual(["id", "program_id", "link_type", "attach_type", ...more]);
}

test("load, get program and list programs", async () => {
  const words = ["load", "file", "-p", OBJECT, "--programs", "tcx:count", "-g", "LIMIT=0A000000", "-m", "owner=me"];
  const loaded: { programs: ProgramJson[] } = await bpfman.json(...words);
  expect(keys(loaded)).toEqual(["programs"]);
  const program = loaded.programs[0]!;
  expectProgram(program);
  const id = program.record.program_id as number;
  // What a load answers of itself: nothing has run yet, and its maps are given as they were made.
  expect(program.status.stats).toBeNull();
  for (const map of program.status.maps) expect(map).toMatchObject({ pin_path: "", present: false });

  const got: ProgramJson = await bpfman.json("get", "program", String(id));
  expectProgram(got);
  expect(got.record).toEqual(program.record);
  expect(got.record.load.global_data).toEqual({ LIMIT: Buffer.from([10, 0, 0, 0]).toString("base64") });
  expect(got.record.meta).toEqual({ name: "count", owner: "", description: "", metadata: { owner: "me" } });
  expect(got.status.kernel).toEqual(program.status.kernel);
  const counts = readFileSync("/proc/sys/kernel/bpf_stats_enabled", "utf8") !== "0\n";
  expect(got.status.stats && keys(got.status.stats)).toEqual(
    counts ? ["runtime", "run_count", "recursion_misses"] : null,
  );
  const pin = `${bpfman.runtimeDir}/fs/maps/${id}/counters_of_life`;
  expect(got.status.maps.map(({ pin_path, present }) => ({ pin_path, present }))).toEqual([
    { pin_path: pin, present: true },
    { pin_path: "", present: false },
  ]);

  const listed: { programs: (Json & { record: Json; kernel: Json; status: Json })[] } = await bpfman.json(
    "list",
    "programs",
  );
  expect(keys(listed)).toEqual(["programs"]);
  expect(listed.programs.map(keys)).toEqual([
    ["program_id", "managed", "application", "type", "function_name", "links", "state", "record", "kernel", "status"],
  ]);
  expect(listed.programs[0]!.status).toEqual({ kernel: listed.programs[0]!.kernel });
  expect(listed.programs[0]!.kernel).toEqual(program.status.kernel);
  expect(keys(listed.programs[0]!.record)).toEqual(RECORD);
  expect(keys(listed.programs[0]!.kernel)).toEqual(KERNEL);
  expect(await bpfman.json("unload", String(id))).toEqual({
    unloaded: [{ program_id: id, detached: [], unloaded: true }],
  });
  expect(await bpfman.json("list", "programs")).toEqual({ programs: [] });
  expect(await bpfman.json("list", "links")).toEqual({ links: [] });
});

test("one program has one load time, whoever asks: load, get, list, and a bpfman that did not load it", async () => {
  const { programs }: { programs: ProgramJson[] } = await bpfman.json(
    "load",
    "file",
    "-p",
    OBJECT,
    "--programs",
    "tcx:count",
  );
  const id = String(programs[0]?.record.program_id);
  const time = programs[0]?.status.kernel.loaded_at as string;
  const times = new Set<unknown>([time]);
  const foreign = new Set<unknown>();
  for (let call = 0; call < 20; call++) {
    const got: ProgramJson = await bpfman.json("get", "program", id);
    times.add(got.status.kernel.loaded_at);
    const other = elsewhere<ProgramJson>("get", "program", id);
    expect(other.record).toBeNull();
    foreign.add(other.status.kernel.loaded_at);
  }
  const listed: { programs: { kernel: Json }[] } = await bpfman.json("program", "list");
  times.add(listed.programs[0]?.kernel.loaded_at);
  expect([...times]).toEqual([time]);
  // The same computation in every process, on the same clocks.
  expect([...foreign]).toEqual([time]);
});

test("the path is the one that was typed, in JSON and in text; the file it was is remembered", async () => {
  copyFileSync(OBJECT, bpfman.path("typed.o"));
  const typed = relative(ROOT, bpfman.path("typed.o"));
  const loaded: { programs: ProgramJson[] } = await bpfman.json("load", "file", "-p", typed, "--programs", "tcx:count");
  const absolute = bpfman.path("typed.o");
  expect(loaded.programs[0]?.record.load).toMatchObject({ source_path: typed, absolute_source_path: absolute });
  const id = String(loaded.programs[0]?.record.program_id);
  expect(await bpfman.ok("program", "get", id)).toContain(` ${typed} \n`);
});

test("programs that bpfman did not load have the kernel's word for a type", async () => {
  const [program] = await bpfman.load(OBJECT, "--programs", "tcx:count");
  const { programs } = elsewhere<ProgramListAnswer>("program", "list", "--all");
  const entry = programs.find((each) => each.program_id === program?.record?.program_id);
  expect(entry).toMatchObject({ managed: false, type: "schedcls", kernel: { program_type: "schedcls" } });
});

test("attach, get link and list links of a tracepoint", async () => {
  const id = idOf(await bpfman.load(OBJECT, "--programs", "tracepoint:on_openat"), "on_openat");
  const words = ["attach", String(id), "tracepoint", "-t", "syscalls/sys_enter_openat"];
  const link: LinkJson = await bpfman.json(...words);
  expectLink(link, saysPerfEvents ? ["perf_event_type", "tracepoint", "cookie"] : []);
  expect(link.record.details).toEqual({ group: "syscalls", name: "sys_enter_openat" });
  expect(link.status.kernel).toMatchObject({ program_id: id, link_type: "perf_event", attach_type: null });
  expect(await bpfman.json("get", "link", String(link.record.id))).toEqual(link);
  const program: ProgramJson = await bpfman.json("get", "program", String(id));
  expect(program.status.links).toEqual([link]);

  const listed: { links: Json[] } = await bpfman.json("list", "links");
  expect(listed).toEqual({
    links: [{ ...link.record, application: null, function_name: "on_openat", attachment: null, state: null }],
  });
  expect(await bpfman.json("detach", String(link.record.id))).toEqual({
    detached: [{ link_id: link.record.id, detached: true }],
  });
});

describe("on an interface", () => {
  const wire = cable();

  tcxTest("the details of a tcx link", async () => {
    const id = idOf(await bpfman.load(OBJECT, "--programs", "tcx:count"), "count");
    const hook = ["-i", wire.interface, "-d", "egress", "-p", "1000", "-n", wire.netns];
    const link: LinkJson = await bpfman.json("attach", String(id), "tcx", ...hook);
    expectLink(link, ["ifindex", "revision"]);
    const { details } = link.record;
    expect(keys(details)).toEqual(["interface", "ifindex", "priority", "position", "netns", "nsid", "direction"]);
    expect(details).toMatchObject({ ifindex: wire.ifindex, priority: 1000, position: 0, direction: "egress" });
    const { ifindex } = wire;
    expect(link.status.kernel).toMatchObject({ link_type: "tcx", attach_type: "tcx_egress", ifindex, revision: 2 });
  });
});

test("programs that others loaded have their whole names in the list, from BTF", async () => {
  const source = `static __attribute__((noinline)) int a_function_that_is_called(int x) { return x * 7; }
    SEC("socket") int a_name_of_thirty_one_characters(void *ctx) { return a_function_that_is_called(3); }
    SEC("socket") int a_name_of_thirty_two_characters_(void *ctx) { return 0; }
    SEC("socket") int fifteen_letters(void *ctx) { return 0; }`;
  for (const [flags, names] of [
    [[], ["a_name_of_thirty_one_characters", "a_name_of_thirty_two_characters_", "fifteen_letters"]],
    [["-g0"], ["a_name_of_thirt", "a_name_of_thirt", "fifteen_letters"]],
  ] as const) {
    writeFileSync(bpfman.path("long.o"), compileBpf(source, flags));
    const pins = `${bpfman.runtimeDir}/fs/long`;
    // The directory of pins is bpfman's own: it mounts it with its first load.
    await bpfman.load(OBJECT, "--programs", "tcx:count");
    sh("bpftool", "prog", "loadall", bpfman.path("long.o"), pins);
    const ids = readdirSync(pins).map((name) => bpftool("prog", "show", "pinned", `${pins}/${name}`).id as number);
    const { programs }: ProgramListAnswer = await bpfman.json("list", "programs", "-a");
    const foreign = programs.filter(({ program_id: id }) => ids.includes(id));
    expect(foreign.map(({ function_name }) => function_name).sort()).toEqual([...names].sort());
    for (const name of names) expect(await bpfman.ok("list", "programs", "-a")).toContain(` ${name} `);
    rmSync(pins, { recursive: true });
  }
});
