/**
 * The keys of the noun-verb grammar's JSON. Typed clients of newer bpfman compare them exhaustively and refuse unknown
 * ones: what bpfman has to say besides is said in the classic grammar and by JSON-RPC alone.
 */
import { expect, test } from "bun:test";
import type { ProgramListEntry } from "../../../src/domain/answer.ts";
import { nounAnswer } from "../../../src/cli/render/json.ts";
import { everyLink, foreignProgram, kernelProgram, programAnswer, programRecord } from "../../fakes/answers.ts";
import { cli } from "../../fakes/cli-host.ts";

type Json = { readonly [key: string]: Json };
const keys = (value: Json | undefined): string[] => Object.keys(value ?? {});

const RECORD = ["program_id", "load", "license", "gpl_compatible", "handles", "meta", "created_at", "updated_at"];
const LOAD = [
  ...["object_path", "source_path", "program_name", "program_type", "global_data", "image_source", "attach_func"],
  "map_owner_id",
];
const STATUS = ["kernel", "stats", "prog_pin", "map_dir", "bytecode", "links", "maps", "map_used_by"];
const KERNEL = [
  ...["id", "name", "program_type", "tag", "loaded_at", "uid", "has_uid", "btf_id", "has_btf_id", "map_ids"],
  ...["has_map_ids", "jited_size", "xlated_size", "verified_insns", "memlock", "has_memlock", "restricted"],
  "gpl_compatible",
];
const LINK_RECORD = ["id", "program_id", "kernel_link_id", "kind", "pin_path", "details", "created_at", "metadata"];
const NETWORK = ["interface", "ifindex", "priority", "position", "netns", "nsid"];
const DETAILS: Readonly<Record<string, readonly string[]>> = {
  xdp: [...NETWORK, "proceed_on", "dispatcher_id", "revision"],
  tc: [...NETWORK, "direction", "proceed_on", "dispatcher_id", "revision"],
  tcx: [...NETWORK, "direction"],
  tracepoint: ["group", "name"],
  raw_tp: ["tracepoint"],
  tp_btf: ["tracepoint"],
  fmod_ret: ["fn_name"],
  freplace: ["target_program_id", "fn_name"],
  "kprobe.multi": ["pattern", "functions", "retprobe"],
  "uretprobe.multi": ["target", "pattern", "functions", "pid", "retprobe", "container_pid"],
  iter: ["iterator", "map_id"],
  perf_event: ["event", "cpu", "pid", "period", "frequency"],
  kretprobe: ["fn_name", "offset", "retprobe"],
  uprobe: ["target", "fn_name", "offset", "pid", "retprobe", "container_pid"],
  fentry: ["fn_name"],
  cgroup_sock_addr: ["cgroup", "cgroup_id", "attach_type", "priority", "position"],
  sk_lookup: ["netns", "nsid"],
  netfilter: ["protocol", "hook", "priority", "defrag", "netns", "nsid"],
};

async function printed(line: string, answer: unknown): Promise<Json> {
  const run = await cli(line, { answer: () => answer });
  expect([line, run.err]).toEqual([line, ""]);
  return JSON.parse(run.out) as Json;
}

function expectProgram(program: Json): void {
  expect(keys(program)).toEqual(["record", "status"]);
  expect(keys(program.record)).toEqual(RECORD);
  expect(keys(program.record?.load)).toEqual(LOAD);
  expect(keys(program.record?.handles)).toEqual(["pin_path", "map_pin_path", "map_owner_id"]);
  expect(keys(program.record?.meta)).toEqual(["name", "owner", "description", "metadata"]);
  expect(keys(program.status)).toEqual(STATUS);
  expect(keys(program.status?.kernel)).toEqual(KERNEL);
  expect(keys(program.status?.links?.[0]?.record)).toEqual(LINK_RECORD);
  const { prog_pin, map_dir, bytecode } = programAnswer.status;
  expect(program.status as unknown).toMatchObject({ prog_pin, map_dir, bytecode });
}

test("a program", async () => {
  expectProgram(await printed("program get 6321 -o json", programAnswer));
  for (const line of ["program load file x.o --programs tcx:a -o json", "program load x.o --programs tcx:a -o json"]) {
    const { programs } = await printed(line, { programs: [programAnswer] });
    expectProgram(programs?.[0] as Json);
  }
  const foreign = await printed("program get 12 -o json", foreignProgram);
  expect(keys(foreign.status)).toEqual(STATUS);
});

test("a list of programs", async () => {
  const entry: ProgramListEntry = {
    program_id: 6321,
    managed: true,
    application: null,
    type: "tcx",
    function_name: "f",
    links: [],
    state: null,
    record: programRecord,
    kernel: kernelProgram,
    status: { kernel: kernelProgram },
  };
  const { programs } = await printed("program list -o json", { programs: [entry] });
  const [only] = Object.values(programs ?? {});
  expect(keys(only)).toEqual([
    ...["program_id", "managed", "application", "type", "function_name", "links", "record", "kernel"],
  ]);
  expect(keys(only?.record)).toEqual(RECORD);
  expect(keys(only?.record?.load)).toEqual(LOAD);
  expect(keys(only?.kernel)).toEqual(KERNEL);
});

test("links", async () => {
  for (const link of everyLink) {
    const got = await printed("link get 1 -o json", link);
    expect(keys(got.record)).toEqual(LINK_RECORD);
    expect([link.record.kind, keys(got.record?.details)]).toEqual([
      link.record.kind,
      DETAILS[link.record.kind] as string[],
    ]);
    expect(keys(got.status)).toEqual(["kernel", "kernel_seen", "pin_present", "function_name"]);
    const attached = await printed("link attach fentry 7 -o json", link);
    expect(attached).toEqual(got);
  }
  const listed = { ...everyLink[0]?.record, application: null, function_name: "f" };
  const { links } = await printed("link list -o json", { links: [listed] });
  expect(keys(links?.[0] as Json)).toEqual([...LINK_RECORD, "application", "function_name"]);
});

test("the classic grammar says more, under the names that answers have in common", async () => {
  const program = await printed("get program 6321 -o json", programAnswer);
  expect(program as unknown).toEqual(programAnswer);
  expect(keys(program.status)).toContain("prog_pin_present");
});

test("people's own keys are left alone", () => {
  const metadata = { prog_pin_present: "a", link_id: "b", id: "c", managed: "d", status: "e" };
  expect(nounAnswer({ metadata })).toEqual({ metadata });
  expect(nounAnswer({ id: 1, link_id: 1, load: { global_data: metadata } })).toEqual({
    id: 1,
    load: { global_data: metadata },
  });
  // Where a link's id stands alone, it stays.
  expect(nounAnswer({ detached: [{ link_id: 1 }] })).toEqual({ detached: [{ link_id: 1 }] });
});

test("numbers of 64 bits keep their digits", () => {
  const address = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON("18446744071579017216");
  expect(JSON.stringify(nounAnswer({ address }))).toBe('{"address":18446744071579017216}');
});
