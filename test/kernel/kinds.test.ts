/**
 * Programs of every kind with the executable, from load to unload. Each command is a separate process, so attachments
 * must outlive the process that made them. A workload makes a known number of events, which must be counted exactly;
 * bpftool shows what the kernel has.
 */
import { describe, expect, test } from "bun:test";
import { release } from "node:os";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import type { AttachmentAnswer, LinkAnswer, ProgramAnswer } from "../../src/domain/answer.ts";
import { BRIEF } from "../labs/brief.ts";
import { executable, idOf, mapOf } from "../labs/executable.ts";
import { featureTest } from "../labs/kernel-feature.ts";
import { bpftool, cable, counters, inKernel } from "../labs/kernel-lab.ts";
import { tcxTest } from "../labs/tcx-test.ts";
import { KERNEL_FUNCTION, LSM_HOOK, TRACEPOINT, USER_FUNCTION, workload } from "../labs/workload.ts";

buildBpf();
const OBJECT = resolve(import.meta.dir, "../../dist/bpf/fixtures/kinds.bpf.o");

const bpfman = executable();
const work = workload();

/** A program to attach, and all that must be said of it. */
interface Kind {
  /** For --programs: its second part is the function in kinds.bpf.c. */
  readonly selector: string;
  /** Its counter. */
  readonly slot: number;
  /** What follows `attach ID`. */
  readonly attach: readonly string[];
  readonly kind: LinkAnswer["record"]["kind"];
  readonly details: unknown;
  /** The kernel's link; null where there is none, as for a TC filter. */
  readonly kernel: { readonly link_type: string; readonly attach_type: string | null } | null;
  /** The rows of `get link` between those of every link and the metadata. */
  readonly rows: Readonly<Record<string, string>>;
  /** Cell of `list links`. */
  readonly attachment: string;
}

const PERF_EVENT = { link_type: "perf_event", attach_type: null };

const tracepoint = (): Kind => ({
  selector: "tracepoint:count_tracepoint",
  slot: 0,
  attach: ["tracepoint", "--tracepoint", TRACEPOINT],
  kind: "tracepoint",
  details: { group: "syscalls", name: "sys_enter_getpgid" },
  kernel: PERF_EVENT,
  rows: { "Tracepoint:": TRACEPOINT },
  attachment: TRACEPOINT,
});

const rawTp = (): Kind => ({
  selector: "raw_tp:count_raw_tp",
  slot: 13,
  attach: ["raw_tp", "--tracepoint", "sys_enter"],
  kind: "raw_tp",
  details: { tracepoint: "sys_enter" },
  kernel: { link_type: "raw_tracepoint", attach_type: null },
  rows: { "Tracepoint:": "sys_enter" },
  attachment: "sys_enter",
});

/** Two of the functions that match are there, of which the workload calls one. */
const uprobes = (kind: "uprobe.multi" | "uretprobe.multi", slot: number): Kind => ({
  selector: `${kind}:count_${kind.replace(".", "_")}`,
  slot,
  attach: ["uprobe.multi", "--target", work.binary, "--fn-name", "probed_*"],
  kind,
  details: {
    target: work.binary,
    pattern: "probed_*",
    functions: 2,
    pid: null,
    retprobe: kind === "uretprobe.multi",
    container_pid: null,
  },
  kernel: { link_type: "uprobe_multi", attach_type: null },
  rows: {
    "Target:": work.binary,
    "Pattern:": "probed_*",
    "Functions:": "2",
    "PID:": "None",
    "Container PID:": "None",
  },
  attachment: `${work.binary} probed_* (2)`,
});

const KERNEL_PATTERN = "security_task_get*";
/** As the kernel lists them for its own tracers. */
const traceable = (): number =>
  new Set(readFileSync("/sys/kernel/tracing/available_filter_functions", "utf8").match(/^security_task_get\w*/gm)).size;

const kprobes = (kind: "kprobe.multi" | "kretprobe.multi", slot: number): Kind => ({
  selector: `${kind}:count_${kind.replace(".", "_")}`,
  slot,
  attach: ["kprobe.multi", "--fn-name", KERNEL_PATTERN],
  kind,
  details: { pattern: KERNEL_PATTERN, functions: traceable(), retprobe: kind === "kretprobe.multi" },
  kernel: { link_type: "kprobe_multi", attach_type: null },
  rows: { "Pattern:": KERNEL_PATTERN, "Functions:": String(traceable()) },
  attachment: `${KERNEL_PATTERN} (${traceable()})`,
});

const tpBtf = (): Kind => ({
  selector: "tp_btf:count_tp_btf:sys_enter",
  slot: 15,
  attach: ["tp_btf"],
  kind: "tp_btf",
  details: { tracepoint: "sys_enter" },
  kernel: { link_type: "raw_tracepoint", attach_type: null },
  rows: { "Tracepoint:": "sys_enter" },
  attachment: "sys_enter",
});

const kprobe = (program: string, slot: number, offset = 0): Kind => ({
  selector: `kprobe:${program}`,
  slot,
  attach: ["kprobe", "--fn-name", KERNEL_FUNCTION, ...(offset === 0 ? [] : ["--offset", String(offset)])],
  kind: program.startsWith("count_kretprobe") ? "kretprobe" : "kprobe",
  details: { fn_name: KERNEL_FUNCTION, offset, retprobe: program.startsWith("count_kretprobe") },
  kernel: PERF_EVENT,
  rows: { "Attach Function:": KERNEL_FUNCTION, "Offset:": String(offset), "Container PID:": "None" },
  attachment: KERNEL_FUNCTION,
});

const uprobe = (kind: "uprobe" | "uretprobe", slot: number, program = `count_${kind}`): Kind => ({
  selector: `${kind}:${program}`,
  slot,
  attach: ["uprobe", "--target", work.binary, "--fn-name", USER_FUNCTION],
  kind,
  details: {
    target: work.binary,
    fn_name: USER_FUNCTION,
    offset: 0,
    pid: null,
    retprobe: kind === "uretprobe",
    container_pid: null,
  },
  kernel: PERF_EVENT,
  rows: {
    "Target:": work.binary,
    "Attach Function:": USER_FUNCTION,
    "Offset:": "0",
    "PID:": "None",
    "Container PID:": "None",
  },
  attachment: `${work.binary} ${USER_FUNCTION}`,
});

const TRACING = {
  fentry: { target: KERNEL_FUNCTION, attach_type: "trace_fentry" },
  fexit: { target: KERNEL_FUNCTION, attach_type: "trace_fexit" },
  fmod_ret: { target: KERNEL_FUNCTION, attach_type: "modify_return" },
  lsm: { target: LSM_HOOK, attach_type: "lsm_mac" },
} as const;

const tracing = (kind: keyof typeof TRACING, program: string, slot: number, on: string | null = null): Kind => {
  const { attach_type } = TRACING[kind];
  const target = on ?? TRACING[kind].target;
  return {
    selector: `${kind}:${program}:${target}`,
    slot,
    attach: [kind],
    kind,
    details: kind === "lsm" ? { hook_name: target } : { fn_name: target },
    kernel: { link_type: "tracing", attach_type },
    rows: { "Attach Function:": target },
    attachment: target,
  };
};

/** Cells of a table's rows; nothing in them has two blanks. */
const cells = (table: string): string[][] =>
  table
    .trimEnd()
    .split("\n")
    .map((line) => line.trim().split(/ {2,}/));

const functionOf = (kind: Kind): string => kind.selector.split(":")[1] ?? "";

/** What the kernel says of a link through bpftool, which may be older than the kind and then gives it as a number. */
function expectInKernel(link: number, program: number, word: string): void {
  const shown = bpftool("link", "show", "id", String(link));
  expect(shown).toMatchObject({ id: link, prog_id: program });
  expect([word, 11, 12]).toContain(shown.type);
}

/** Loads them together, attaches them one by one, and takes them off one by one. `trigger` makes so many events of each. */
async function live(kinds: readonly Kind[], trigger: (times: number) => Promise<void> | void): Promise<void> {
  const selectors = kinds.map((kind) => kind.selector);
  const words = ["--programs", ...selectors, "-g", `WORKLOAD=${work.nameHex}`, "-a", "kinds"];
  const programs = await bpfman.load(OBJECT, ...words);
  const map = mapOf(programs, "events");
  const expected = new Map(kinds.map((kind) => [kind.slot, 0]));
  const expectCounted = (events: number, attached: readonly Kind[]) => {
    for (const { slot } of attached) expected.set(slot, (expected.get(slot) ?? 0) + events);
    const all = counters(map);
    const named = (count: (slot: number) => number | undefined) =>
      Object.fromEntries(kinds.map((kind) => [functionOf(kind), count(kind.slot)]));
    expect(named((slot) => all[slot])).toEqual(named((slot) => expected.get(slot)));
  };
  const idFor = (kind: Kind) => idOf(programs, functionOf(kind));

  const links: LinkAnswer[] = [];
  for (const kind of kinds) {
    const { record, status } = await bpfman.attach(idFor(kind), ...kind.attach);
    const { kernel_link_id: kernelId } = record;
    expect(record).toMatchObject({ kind: kind.kind, program_id: idFor(kind), details: kind.details });
    expect(status).toEqual({
      // And the facts of the kind, which test/e2e/link-facts.test.ts compares with the kernel's.
      kernel: kind.kernel && expect.objectContaining({ id: kernelId ?? 0, program_id: idFor(kind), ...kind.kernel }),
      // A TC program on its own has no link in the kernel, but its filter runs it.
      kernel_seen: true,
      pin_present: kind.kernel !== null,
      function_name: functionOf(kind),
      attachment: attachmentOf(kind.details),
    });
    if (kind.kernel !== null) expectInKernel(kernelId ?? 0, idFor(kind), kind.kernel.link_type);
    else expect(kernelId).toBeNull();
    links.push({ record, status });
  }
  await trigger(5);
  expectCounted(5, kinds);

  // How it is shown does not depend on the kernel.
  if (!BRIEF) await expectShown(kinds, links);

  for (const [index, link] of links.entries()) {
    await bpfman.ok("detach", String(link.record.id));
    // Nothing may come between: when the command has ended, both must hold at once.
    const gone = !inKernel("link", link.record.kernel_link_id ?? 0);
    await trigger(3);
    expect({ link: kinds[index]?.selector, gone }).toEqual({ link: kinds[index]?.selector, gone: true });
    expect(existsSync(link.record.pin_path ?? "")).toBe(false);
    expectCounted(3, kinds.slice(index + 1));
  }
  await bpfman.ok("unload", ...kinds.map((kind) => String(idFor(kind))));
  await bpfman.expectNothingLeft();
}

/** What is said of a place that is as it was. */
function attachmentOf(details: unknown): AttachmentAnswer | null {
  if (typeof details !== "object" || details === null) return null;
  if ("interface" in details) return { present: true, reason: null, interface: String(details.interface) };
  return "target" in details ? { present: true, reason: null, interface: null } : null;
}

/** The lists and the single links, as JSON and as text. */
async function expectShown(kinds: readonly Kind[], links: readonly LinkAnswer[]): Promise<void> {
  const [listed, table, program, ...single] = await Promise.all([
    bpfman.links(),
    bpfman.ok("list", "links"),
    bpfman.json<ProgramAnswer>("get", "program", String(links[0]?.record.program_id)),
    ...links.map((link) => bpfman.ok("get", "link", String(link.record.id))),
  ]);
  expect(listed).toEqual(
    links.map(({ record, status }) => {
      return {
        ...record,
        application: "kinds",
        function_name: status.function_name ?? "",
        state: null,
        attachment: status.attachment,
      };
    }),
  );
  expect(program.status.links).toEqual(links.slice(0, 1));
  const [, ...rows] = cells(table);
  expect(rows).toEqual(
    links.map(({ record, status }, index) => {
      const ids = [String(record.program_id), String(record.id)];
      return [...ids, "kinds", record.kind, status.function_name ?? "", kinds[index]?.attachment ?? ""];
    }),
  );
  for (const [index, { record, status }] of links.entries()) {
    const [title, ...facts] = cells(single[index] ?? "");
    expect(title).toEqual(["Bpfman State"]);
    expect(Object.fromEntries(facts)).toEqual({
      "BPF Function:": status.function_name,
      "Program Type:": record.kind,
      "Program ID:": String(record.program_id),
      "Link ID:": String(record.id),
      ...kinds[index]?.rows,
      "Metadata:": "bpfman_application=kinds",
    });
  }
}

/** Events of a process with another name come in between, and must not be counted. */
async function trigger(times: number): Promise<void> {
  await work.run(times);
  await work.runOther(2);
}

test("tracepoint, raw tracepoint, the same by its BTF, uprobe, uretprobe", () =>
  live(
    [
      tracepoint(),
      rawTp(),
      tpBtf(),
      uprobe("uprobe", 4),
      uprobe("uretprobe", 5),
      // One that may sleep.
      uprobe("uprobe", 18, "count_uprobe_s"),
    ],
    trigger,
  ));

/** Lets the kernel run a program of packets once; the exit code is that of the test run. */
const testRun = (program: number): number =>
  Bun.spawnSync(["bpftool", "prog", "run", "id", String(program), "data_in", "-"], { stdin: Buffer.alloc(64) })
    .exitCode;

test("a raw tracepoint that may be written to changes what the kernel reads from it", async () => {
  const programs = await bpfman.load(OBJECT, "--programs", "raw_tp:count_raw_tp_w", "xdp:count_xdp");
  const [id, packets] = [idOf(programs, "count_raw_tp_w"), idOf(programs, "count_xdp")];
  const map = mapOf(programs, "events");
  expect(testRun(packets)).toBe(0);
  const { record } = await bpfman.attach(id, "raw_tp", "--tracepoint", "bpf_test_finish");
  expect([testRun(packets), testRun(packets)]).not.toContain(0);
  expect(counters(map)[14]).toBe(2);
  await bpfman.ok("detach", String(record.id));
  expect(testRun(packets)).toBe(0);
  expect(counters(map)[14]).toBe(2);
});

featureTest("kprobe", "kprobe, two kretprobes", () =>
  live([kprobe("count_kprobe", 1), kprobe("count_kretprobe", 2), kprobe("count_kretprobe_too", 3)], trigger),
);

featureTest("tracing", "two fentry, a fexit and a fmod_ret on one function", () =>
  live(
    [
      tracing("fentry", "count_fentry", 6),
      tracing("fentry", "count_fentry_too", 7),
      tracing("fexit", "count_fexit", 8),
      tracing("fmod_ret", "count_fmod_ret", 16),
    ],
    trigger,
  ),
);

const [major = 0, minor = 0] = release().split(".").map(Number);
const isSince = (...[first, second]: readonly [number, number]) =>
  major > first || (major === first && minor >= second);

test("many functions of a file at once", async () => {
  if (isSince(6, 6)) return live([uprobes("uprobe.multi", 23), uprobes("uretprobe.multi", 24)], trigger);
  const [program] = await bpfman.load(OBJECT, "--programs", "uprobe.multi:count_uprobe_multi");
  const place = ["--target", work.binary, "--fn-name", "probed_*"];
  const attach = ["attach", String(program?.record?.program_id), "uprobe.multi", ...place];
  const failure = await bpfman.refused(1, "KERNEL_UNSUPPORTED", ...attach);
  expect(failure.message).toEndWith("need Linux 6.6 or newer");
  expect(await bpfman.links()).toEqual([]);
});

test("many functions of the kernel at once", async () => {
  if (/ T register_fprobe$/m.test(readFileSync("/proc/kallsyms", "utf8"))) {
    expect(traceable()).toBeGreaterThan(1);
    return live([kprobes("kprobe.multi", 21), kprobes("kretprobe.multi", 22)], trigger);
  }
  const [program] = await bpfman.load(OBJECT, "--programs", "kprobe.multi:count_kprobe_multi");
  const attach = ["attach", String(program?.record?.program_id), "kprobe.multi", "--fn-name", KERNEL_PATTERN];
  const failure = await bpfman.refused(1, "KERNEL_UNSUPPORTED", ...attach);
  expect(failure.message).toContain("CONFIG_FPROBE");
  expect(await bpfman.links()).toEqual([]);
});

const SYSTEM_CALL = `__${process.arch === "arm64" ? "arm64" : "x64"}_sys_getpgid`;
featureTest("tracing", "programs that may sleep, where the kernel lets them", async () => {
  const accepted: Kind[] = [];
  for (const kind of [
    tracing("fentry", "count_fentry_s", 19, SYSTEM_CALL),
    tracing("fmod_ret", "count_fmod_ret_s", 20, SYSTEM_CALL),
  ]) {
    const words = ["--programs", kind.selector, "-o", "json", "--error-format", "json"];
    const { code, error } = await bpfman.run("load", "file", "--path", OBJECT, ...words);
    if (code === 0) accepted.push(kind);
    else {
      const refusal = (JSON.parse(error) as { readonly error: Record<string, string> }).error;
      expect(refusal.code).toBe("VERIFIER_REJECTED");
      expect(refusal.hint).toContain("CONFIG_FUNCTION_ERROR_INJECTION");
    }
  }
  if (accepted.length === 0) return;
  await bpfman.ok("program", "delete", "--all");
  await live(accepted, trigger);
});

featureTest("lsm", "lsm", () => live([tracing("lsm", "count_lsm", 9)], trigger));

describe("on an interface of its own", () => {
  const wire = cable();

  const ping = (times: number) => expect(wire.ping(times)).toBe(times);
  const network = () => {
    const place = {
      interface: wire.interface,
      ifindex: wire.ifindex,
      netns: wire.netns,
      nsid: statSync(wire.netns).ino,
    };
    return { ...place, priority: 50, position: 0 };
  };
  const place = () => ["-i", wire.interface, "-p", "50", "-n", wire.netns];

  tcxTest("tcx", () => {
    const tcx: Kind = {
      selector: "tcx:count_tcx",
      slot: 10,
      attach: ["tcx", "-d", "ingress", ...place()],
      kind: "tcx",
      details: { ...network(), direction: "ingress" },
      kernel: { link_type: "tcx", attach_type: "tcx_ingress" },
      rows: {
        "Interface:": wire.interface,
        "Direction:": "ingress",
        "Priority:": "50",
        "Position:": "0",
        "Network Namespace:": wire.netns,
      },
      attachment: `${wire.interface} ingress pos-0 ${wire.netns}`,
    };
    return live([tcx], ping);
  });

  // The only program on a hook runs there itself, whatever this kernel says to extension programs.
  const inDispatcher = { dispatcher_id: expect.any(Number), revision: 1 };

  test("xdp", () => {
    const xdp: Kind = {
      selector: "xdp:count_xdp",
      slot: 11,
      attach: ["xdp", ...place()],
      kind: "xdp",
      details: { ...network(), proceed_on: [2, 31], xdp_mode: "drv", ...inDispatcher },
      kernel: { link_type: "xdp", attach_type: null },
      rows: {
        "Interface:": wire.interface,
        "Priority:": "50",
        "Position:": "0",
        "Proceed On:": "pass, dispatcher_return",
        "XDP Mode:": "drv",
        "Network Namespace:": wire.netns,
      },
      attachment: `${wire.interface} pos-0 ${wire.netns}`,
    };
    return live([xdp], ping);
  });

  test("tc", () => {
    const tc: Kind = {
      selector: "tc:count_tc",
      slot: 12,
      attach: ["tc", "-d", "ingress", ...place()],
      kind: "tc",
      details: { ...network(), direction: "ingress", proceed_on: [0, 3, 30], ...inDispatcher },
      kernel: null,
      rows: {
        "Interface:": wire.interface,
        "Direction:": "ingress",
        "Priority:": "50",
        "Position:": "0",
        "Proceed On:": "ok, pipe, dispatcher_return",
        "Network Namespace:": wire.netns,
      },
      attachment: `${wire.interface} ingress pos-0 ${wire.netns}`,
    };
    return live([tc], ping);
  });
});

describe("kprobe with an offset", () => {
  const EVENTS = "/sys/kernel/tracing/kprobe_events";
  const PROBES = "/sys/kernel/debug/kprobes/list";

  /** Whether the kernel takes a probe there, asked through tracefs. */
  function probeable(offset: number): boolean {
    try {
      writeFileSync(EVENTS, `p:bpfman_test/at ${KERNEL_FUNCTION}+${offset}\n`, { flag: "a" });
    } catch {
      return false;
    }
    writeFileSync(EVENTS, "-:bpfman_test/at\n", { flag: "a" });
    return true;
  }

  const listed = (offset: number): boolean =>
    readFileSync(PROBES, "utf8").includes(`  ${KERNEL_FUNCTION}+0x${offset.toString(16)}  `);

  featureTest("kprobe", "counts there, and nowhere but at the start of an instruction", async () => {
    // The first instruction has four bytes or five, and what follows it belongs to it where the kernel can trace.
    expect([existsSync(EVENTS), existsSync(PROBES)]).toEqual([true, true]);
    const offset = [5, 6, 7, 8, 9, 10, 11, 12].find(probeable) ?? 0;
    expect(offset).toBeGreaterThan(0);
    expect(probeable(1)).toBe(false);
    const probe = kprobe("count_kprobe", 1, offset);
    let events = 0;
    await live([probe], async (times) => {
      // While it is attached, the kernel's own list of probes has it at that place.
      expect(listed(offset)).toBe(events === 0);
      events += times;
      await trigger(times);
    });

    const [program] = await bpfman.load(OBJECT, "--programs", "kprobe:count_kprobe");
    const at = ["kprobe", "--fn-name", KERNEL_FUNCTION, "--offset", "1"];
    const failure = await bpfman.refused(1, "ATTACH_FAILED", "attach", String(program?.record?.program_id), ...at);
    expect(failure.message).toBe(
      `attach kprobe to "${KERNEL_FUNCTION}" at offset 1: no instruction begins at that offset`,
    );
    expect(await bpfman.links()).toEqual([]);
  });
});
