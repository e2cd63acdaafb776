/** What `get link` says of the kernel's link, against what nm, bpftool and the kernel's files say. */
import { beforeEach, describe, expect, test } from "bun:test";
import { resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import type { LinkAnswer } from "../../src/domain/answer.ts";
import { executable, idOf } from "../labs/executable.ts";
import { extensionTest } from "../labs/extension-test.ts";
import { featureTest } from "../labs/kernel-feature.ts";
import { bpftool, cable, sh } from "../labs/kernel-lab.ts";
import { tcxTest } from "../labs/tcx-test.ts";
import { KERNEL_FUNCTION, USER_FUNCTION, workload } from "../labs/workload.ts";
import { release } from "node:os";

buildBpf();
const OBJECT = resolve(import.meta.dir, "../../dist/bpf/fixtures/kinds.bpf.o");
const version = release().replace(/-.*/, "");
/** Links of perf events say what they are since Linux 6.6. */
const saysPerfEvents = Bun.semver.satisfies(version, ">=6.6.0");

const bpfman = executable();
const work = workload();

type Said = Readonly<Record<string, unknown>>;

/** Attaches, and answers what the kernel says of the link: the same by attach, by both grammars' get, and by the program's. */
async function said(selector: string, ...words: readonly string[]): Promise<Said> {
  const program = idOf(await bpfman.load(OBJECT, "--programs", selector), selector.split(":")[1] as string);
  const attached = await bpfman.attach(program, ...words);
  const id = String(attached.record.id);
  const { kernel } = attached.status;
  const classic: LinkAnswer = await bpfman.json("get", "link", id);
  const noun: LinkAnswer = await bpfman.json("link", "get", id);
  expect([classic.status.kernel, noun.status.kernel]).toEqual([kernel, kernel]);
  const { id: link, program_id, link_type, attach_type, ...more } = kernel as NonNullable<typeof kernel>;
  expect([link, program_id]).toEqual([attached.record.kernel_link_id as number, program]);
  return more;
}

const perfTest = saysPerfEvents
  ? test
  : (name: string, run: () => Promise<void>) => test.skip(`${name} (skipped: Linux ${version} does not say it)`, run);

describe("of a perf event", () => {
  perfTest("a tracepoint", async () => {
    expect(await said("tracepoint:count_tracepoint", "tracepoint", "-t", "syscalls/sys_enter_getpgid")).toEqual({
      perf_event_type: "tracepoint",
      tracepoint: "sys_enter_getpgid",
      cookie: 0,
    });
  });

  perfTest("a uprobe, a return probe", async () => {
    for (const [selector, type] of [
      ["uprobe:count_uprobe", "uprobe"],
      ["uretprobe:count_uretprobe", "uretprobe"],
    ] as const) {
      const facts = await said(selector, "uprobe", "-t", work.binary, "-f", USER_FUNCTION);
      const { offset } = facts;
      expect(facts).toEqual({ perf_event_type: type, file: work.binary, offset: expect.any(Number), cookie: 0 });
      const symbol = sh("nm", work.binary).match(new RegExp(`^([0-9a-f]+) T ${USER_FUNCTION}$`, "m"))?.[1];
      expect(offset).toBe(Number.parseInt(symbol ?? "", 16));
    }
  });

  featureTest("kprobe", "a kprobe, a return probe", async () => {
    for (const [selector, type] of [
      ["kprobe:count_kprobe", "kprobe"],
      ["kretprobe:count_kretprobe", "kretprobe"],
    ] as const) {
      const id = idOf(await bpfman.load(OBJECT, "--programs", selector), selector.split(":")[1] as string);
      const { record } = await bpfman.attach(id, "kprobe", "--fn-name", KERNEL_FUNCTION);
      const text = await bpfman.ok("get", "link", String(record.id), "-o", "json");
      const { kernel } = (JSON.parse(text) as LinkAnswer).status;
      if (!saysPerfEvents) return;
      expect(kernel).toMatchObject({ perf_event_type: type, function: KERNEL_FUNCTION, offset: 0, kprobe_missed: 0 });
      // To the last digit, which a double does not have.
      const address = sh("grep", "-m1", ` ${KERNEL_FUNCTION}$`, "/proc/kallsyms").split(" ")[0];
      const printed = /"kprobe_address": (\d+)/.exec(text)?.[1] ?? "";
      // Functions begin with a landing pad of 4 bytes where the kernel guards indirect jumps: the probe sits behind it.
      expect([0n, BigInt(`0x${address}`), BigInt(`0x${address}`) + 4n]).toContain(BigInt(printed));
    }
  });
});

describe("of a function", () => {
  featureTest("tracing", "fentry", async () => {
    const selector = `fentry:count_fentry:${KERNEL_FUNCTION}`;
    const facts = await said(selector, "fentry");
    const types = sh("bpftool", "btf", "dump", "file", "/sys/kernel/btf/vmlinux");
    const type = new RegExp(`^\\[(\\d+)\\] FUNC '${KERNEL_FUNCTION}'`, "m").exec(types)?.[1];
    const kernels = bpftool("btf", "show").find((each: Said) => each.name === "vmlinux");
    expect(facts).toEqual({ target_obj_id: kernels.id, target_btf_id: Number(type), cookie: 0 });
  });
});

describe("of an interface", () => {
  const wire = cable();
  let where: string[] = [];
  beforeEach(() => {
    where = ["-i", wire.interface, "-n", wire.netns, "-p", "50"];
  });

  tcxTest("tcx, with the revision of the hook", async () => {
    const facts = await said("tcx:count_tcx", "tcx", "-d", "ingress", ...where);
    expect(facts).toEqual({ ifindex: wire.ifindex, revision: 2 });
    sh("ip", "netns", "delete", wire.netns.slice("/run/netns/".length));
    const [link] = await bpfman.links();
    const gone: LinkAnswer = await bpfman.json("get", "link", String(link?.id));
    expect(gone.status.kernel).toMatchObject({ ifindex: 0, revision: null });
  });

  extensionTest("a member of a chain says which dispatcher it is in", async () => {
    const facts = await said("xdp:count_xdp", "xdp", ...where);
    const [link] = await bpfman.links();
    const details = link?.details as { readonly dispatcher_id: number };
    expect(facts).toEqual({ target_obj_id: details.dispatcher_id, target_btf_id: expect.any(Number), cookie: 0 });
  });
});
