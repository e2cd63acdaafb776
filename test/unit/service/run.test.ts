/** Load and attach as one change: where programs go, what is refused before anything is done, and to whom it belongs. */
import { expect, test } from "bun:test";
import type { ProgramSpec } from "../../../src/domain/program.ts";
import { BpfmanError } from "../../../src/errors/error.ts";
import { type GivenTarget, targetsFor } from "../../../src/service/attach/target-for.ts";
import type { Invoke } from "../../../src/service/invoke.ts";
import type { TestBed } from "../../fakes/fake-host.ts";
import { beforeEachServiceBed } from "../../fakes/service-bed.ts";

let bed: TestBed;
let invoke: Invoke;
beforeEachServiceBed((made, call) => {
  [bed, invoke] = [made, call];
});

const spec = (type: ProgramSpec["type"], section: string): ProgramSpec => ({
  ...{ name: "a", type, section, attachFunction: null },
});

test.each([
  ["tracepoint", "tracepoint/sched/sched_switch", {}, { tracepoint: "sched/sched_switch" }],
  ["tracepoint", "tp/sched/sched_switch", { tracepoint: "a/b" }, { tracepoint: "a/b" }],
  ["raw_tp", "raw_tp/sys_enter", {}, { tracepoint: "sys_enter" }],
  ["kprobe", "kprobe/do_unlinkat+4", {}, { fnName: "do_unlinkat+4", offset: 0, containerPid: null }],
  ["kretprobe", "?kretprobe/do_unlinkat", {}, { fnName: "do_unlinkat" }],
  ["kprobe.multi", "kprobe.multi/tcp_*", {}, { fnName: "tcp_*" }],
  ["uprobe", "uprobe//usr/bin/a:main+0x10", {}, { target: "/usr/bin/a", fnName: "main", offset: 16 }],
  ["uretprobe", "uretprobe/libc:malloc", { fnName: "free" }, { target: "libc", fnName: "free", offset: 0 }],
  ["fentry", "fentry/do_unlinkat", {}, {}],
  ["xdp", "xdp", { iface: "eth0", priority: 0 }, { iface: "eth0", priority: 0, netns: null, proceedOn: [] }],
] satisfies [ProgramSpec["type"], string, GivenTarget, object][])(
  "%s in section %s, with %j, is attached at %j",
  (type, section, given, wanted) => {
    expect(targetsFor([spec(type, section)], given)).toMatchObject([wanted]);
  },
);

test("each program takes the fields that its kind has", () => {
  const specs = [spec("xdp", "xdp"), spec("tracepoint", "tp")];
  const given = { iface: "eth0", priority: 1, tracepoint: "a/b", direction: null };
  expect(targetsFor(specs, given)).toMatchObject([
    { kind: "xdp", iface: "eth0" },
    { kind: "tracepoint", tracepoint: "a/b" },
  ]);
});

const refused = (parts: object): Promise<BpfmanError> =>
  invoke("program/run", { source: { file: "/x.o" }, programs: [{ name: "filter" }], ...parts } as never).then(
    () => expect.unreachable(),
    (cause) => cause as BpfmanError,
  );

test.each([
  [{}, "INVALID_ATTACH", "iface and priority must be given", "add --iface IFACE --priority PRIORITY"],
  [
    { attach: { iface: "eth0", priority: 1, tracepoint: "a/b" } },
    ...[
      "INVALID_ATTACH",
      "attaching an XDP program takes no --tracepoint",
      "--iface, --priority, --netns, --proceed-on",
    ],
  ],
  [{ attach: { iface: "eth0", priority: -1 } }, "INVALID_REQUEST", 'invalid value for "attach.priority"', ""],
  [{ attach: { ifaec: "eth0", priority: 1 } }, "INVALID_REQUEST", 'unknown field "attach.ifaec"', '"iface"'],
  [{ programs: [{ name: "sock" }] }, "PROGRAM_TYPE_MISMATCH", "which bpfman only loads and pins", "bpfman load file"],
] as [object, string, string, string][])("%j: %s", async (parts, code, message, hint) => {
  bed.faults.reset();
  const error = await refused(parts);
  expect([error.code, error.message, error.hint ?? ""]).toEqual([
    code,
    expect.stringContaining(message),
    expect.stringContaining(hint),
  ]);
  expect(bed.faults.calls).toEqual([]);
});

const RUN = {
  source: { file: "/x.o" },
  programs: [{ name: "count", type: "tcx" }, { name: "on_openat" }],
  metadata: { k: "v" },
  application: "app",
  attach: { iface: "eth0", direction: "ingress", priority: 7 },
};

test("answers with programs and links in the order in which they were named", async () => {
  const { programs, links } = await invoke("program/run", RUN);
  expect(programs.map(({ record }) => record?.meta.name)).toEqual(["count", "on_openat"]);
  expect(links.map(({ record }) => [record.program_id, record.kind, record.metadata.k])).toEqual([
    [100, "tcx", "v"],
    [101, "tracepoint", "v"],
  ]);
  expect(programs.map(({ status }) => status.links.length)).toEqual([1, 1]);
  bed.inspect(({ store }) => expect(store.brief().map(({ owner }) => owner)).toEqual([null, null, null, null]));
});

test("a second attach that fails takes back the first and the load", async () => {
  bed.kernel.attach = ((attach) => (program, how) => {
    if (how.kind === "tracepoint") throw new Error("no");
    return attach(program, how);
  })(bed.kernel.attach.bind(bed.kernel));
  const failed = await invoke("program/run", RUN).catch((cause: unknown) => cause);
  expect(failed).toBeInstanceOf(BpfmanError);
  bed.inspect(({ store }) => expect(store.brief()).toEqual([]));
  expect(bed.traces().kernel).toMatchObject({ programs: [], links: [] });
});

test("what belongs to a session belongs to it once all of it is there", async () => {
  await invoke("program/run", RUN, { owner: "4:5:6" });
  bed.inspect(({ store }) => expect(new Set(store.brief().map(({ owner }) => owner))).toEqual(new Set(["4:5:6"])));
});
