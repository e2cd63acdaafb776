/** What cannot be loaded or attached, by kind: each gives one clear message and the right exit code, and leaves nothing. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { release } from "node:os";
import { resolve } from "node:path";
import { buildBpf } from "../../scripts/build-bpf.ts";
import type { ErrorCode } from "../../src/errors/codes.ts";
import { executable, idOf } from "../labs/executable.ts";
import { featureTest, withoutFeatureTest } from "../labs/kernel-feature.ts";
import { cable } from "../labs/kernel-lab.ts";
import { tcxAvailable } from "../labs/tcx-test.ts";
import { KERNEL_FUNCTION, LSM_HOOK, TRACEPOINT } from "../labs/workload.ts";

buildBpf();
const OBJECT = resolve(import.meta.dir, "../../dist/bpf/fixtures/kinds.bpf.o");
/** Written in assembler: the kernel has it, but BTF knows nothing of it, and no probe is allowed there. */
const ASSEMBLER = process.arch === "arm64" ? "el0t_64_sync" : "entry_SYSCALL_64";
const MISSPELT = KERNEL_FUNCTION.replace("pgid", "pigd");

const bpfman = executable();

async function load(...selectors: string[]): Promise<(name: string) => number> {
  const programs = await bpfman.load(OBJECT, "--programs", ...selectors);
  return (name) => idOf(programs, name);
}
const loadRefused = (exitCode: number, code: ErrorCode, selector: string) =>
  bpfman.refused(exitCode, code, "load", "file", "--path", OBJECT, "--programs", selector);
const attachRefused = (expected: readonly [exitCode: number, code: ErrorCode], program: number, ...words: string[]) =>
  bpfman.refused(...expected, "attach", String(program), ...words);

describe("raw_tp", () => {
  test("a name that no tracepoint has, or that is not one", async () => {
    const id = await load("raw_tp:count_raw_tp", "raw_tp:count_raw_tp_w");
    const attach = (expected: readonly [number, ErrorCode], name: string) =>
      attachRefused(expected, id("count_raw_tp"), "raw_tp", "--tracepoint", name);

    const misspelt = await attach([3, "TRACEPOINT_NOT_FOUND"], "sched_swtich");
    expect(misspelt.message).toBe('attach to raw tracepoint "sched_swtich": this kernel has no such tracepoint');
    expect(misspelt.hint).toStartWith('did you mean "sched_switch"');
    const call = await attach([3, "TRACEPOINT_NOT_FOUND"], "sys_enter_openat");
    expect(call.hint).toBe('all system calls share the raw tracepoint "sys_enter"');
    const inTwoParts = await attach([2, "INVALID_REQUEST"], "sched/sched_switch");
    expect(inTwoParts.message).toBe('invalid raw tracepoint "sched/sched_switch": must be a name without category');
    expect(inTwoParts.hint).toBe('did you mean "sched_switch"?');

    const notWritable = await attachRefused([1, "ATTACH_FAILED"], id("count_raw_tp_w"), "raw_tp", "-t", "sched_switch");
    expect(notWritable.message).toBe(
      'attach to raw tracepoint "sched_switch": the program reads more arguments than the tracepoint has, or writes where it cannot be written',
    );
    expect(await bpfman.links()).toEqual([]);
  });
});

test("a pattern that matches nearly everything", async () => {
  const id = await load("kprobe.multi:count_kprobe_multi");
  const words = ["kprobe.multi", "--fn-name", "*"];
  const all = await attachRefused([1, "INVALID_ATTACH"], id("count_kprobe_multi"), ...words);
  expect(all.message).toMatch(/^attach kprobe\.multi: \d{5,} functions in this kernel match "\*"$/);
  expect(all.hint).toStartWith("choose at most 10000, ");
  expect(await bpfman.links()).toEqual([]);
});

test("tracepoints, iterators and functions that this kernel does not have", async () => {
  for (const [selector, message, near] of [
    ["tp_btf:count_tp_btf:sched_swtich", 'no tracepoint "sched_swtich" in this kernel', '"sched_switch"'],
    ["iter:write_maps:bpf_mapp", 'this kernel has no iterator "bpf_mapp"', '"bpf_map"'],
    [`fmod_ret:count_fmod_ret:${MISSPELT}`, `no function "${MISSPELT}" in this kernel`, `"${KERNEL_FUNCTION}"`],
  ] as const) {
    const failure = await loadRefused(3, "SYMBOL_NOT_FOUND", selector);
    expect(failure.message).toEndWith(`: ${message}`);
    expect(failure.hint).toStartWith(`did you mean ${near}`);
  }
});

featureTest("tracing", "a function whose result cannot be changed, that can be traced", async () => {
  const failure = await loadRefused(1, "VERIFIER_REJECTED", "fmod_ret:count_fmod_ret:vfs_read");
  expect(failure.hint).toContain("CONFIG_FUNCTION_ERROR_INJECTION");
});

describe("kprobe", () => {
  // These are decided before the kernel is asked, so that they hold where it has no kprobes as well.
  test("function, offset and container", async () => {
    const id = await load("kprobe:count_kprobe", "kretprobe:count_kretprobe");
    const attach = (code: ErrorCode, ...words: string[]) =>
      attachRefused([code === "SYMBOL_NOT_FOUND" ? 3 : 1, code], id("count_kprobe"), "kprobe", "--fn-name", ...words);

    const unknown = await attach("SYMBOL_NOT_FOUND", MISSPELT);
    expect(unknown.message).toBe(`no function "${MISSPELT}" in this kernel`);
    expect(unknown.hint).toStartWith(`did you mean "${KERNEL_FUNCTION}"`);

    const beyond = await attach("INVALID_ATTACH", KERNEL_FUNCTION, "--offset", "1000000");
    expect(beyond.message).toMatch(
      new RegExp(`^offset 1000000 is past the end of "${KERNEL_FUNCTION}", which is \\d+ bytes long$`),
    );
    const container = await attach("NOT_SUPPORTED", KERNEL_FUNCTION, "--container-pid", "1");
    expect(container.message).toBe("attach kprobe: --container-pid is not currently supported");

    const atReturn = ["kprobe", "--fn-name", KERNEL_FUNCTION, "--offset", "4"];
    const offset = await attachRefused([1, "INVALID_ATTACH"], id("count_kretprobe"), ...atReturn);
    expect(offset.message).toBe(`attach kretprobe to "${KERNEL_FUNCTION}": an offset is not allowed`);
    expect(await bpfman.links()).toEqual([]);
  });

  test("a name that several functions have", async () => {
    const id = await load("kprobe:count_kprobe");
    const names = readFileSync("/proc/kallsyms", "utf8").matchAll(/^[0-9a-f]+ [tT] (init_once|cleanup|show)$/gm);
    const [[, name = ""] = [], ...others] = [...names];
    const count = 1 + others.filter(([, other]) => other === name).length;
    expect(count).toBeGreaterThan(1);
    const failure = await attachRefused([1, "ATTACH_FAILED"], id("count_kprobe"), "kprobe", "-f", name);
    expect(failure.message).toBe(`attach kprobe: this kernel has ${count} functions named "${name}"`);
  });

  featureTest("kprobe", "a function that must not be probed", async () => {
    const id = await load("kprobe:count_kprobe");
    const failure = await attachRefused([1, "ATTACH_FAILED"], id("count_kprobe"), "kprobe", "-f", ASSEMBLER);
    expect(failure.message).toBe(`attach kprobe to "${ASSEMBLER}": the kernel does not allow a probe there`);
    expect(failure.hint).toContain("/sys/kernel/debug/kprobes/blacklist");
    expect(await bpfman.links()).toEqual([]);
  });

  withoutFeatureTest("kprobe", "a kernel without kprobes", async () => {
    const id = await load("kprobe:count_kprobe");
    const failure = await attachRefused([1, "KERNEL_UNSUPPORTED"], id("count_kprobe"), "kprobe", "-f", KERNEL_FUNCTION);
    expect(failure.message).toBe(
      `attach kprobe to "${KERNEL_FUNCTION}": this kernel has no kprobes (CONFIG_KPROBE_EVENTS)`,
    );
    expect(await bpfman.links()).toEqual([]);
  });
});

describe("fentry, fexit, lsm", () => {
  test("a function that is not there, or is not in BTF, or is not named", async () => {
    const unknown = await loadRefused(3, "SYMBOL_NOT_FOUND", `fentry:count_fentry:${MISSPELT}`);
    expect(unknown.message).toBe(`load program "count_fentry": no function "${MISSPELT}" in this kernel`);
    expect(unknown.hint).toStartWith(`did you mean "${KERNEL_FUNCTION}"`);

    const undescribed = await loadRefused(3, "SYMBOL_NOT_FOUND", `fexit:count_fexit:${ASSEMBLER}`);
    expect(undescribed.message).toBe(
      `load program "count_fexit": the kernel's BTF does not describe function "${ASSEMBLER}"`,
    );
    expect(undescribed.hint).toContain("a kprobe can attach to them");

    const unnamed = await loadRefused(1, "INVALID_PROGRAM", "count_fentry");
    expect(unnamed.message).toContain(
      'type fentry needs the function or hook to attach to, and section "fentry" names none',
    );
  });

  test("an LSM hook that is not there", async () => {
    const misspelt = await loadRefused(3, "SYMBOL_NOT_FOUND", `lsm:count_lsm:${LSM_HOOK}s`);
    expect(misspelt.message).toBe(`load program "count_lsm": no LSM hook "${LSM_HOOK}s" in this kernel`);
    expect(misspelt.hint).toStartWith(`did you mean "${LSM_HOOK}"`);
    const function_ = await loadRefused(3, "SYMBOL_NOT_FOUND", `lsm:count_lsm:${KERNEL_FUNCTION}`);
    expect(function_.hint).toStartWith(`did you mean "${LSM_HOOK}"`);
  });

  featureTest("tracing", "the same program twice", async () => {
    const id = await load(`fentry:count_fentry:${KERNEL_FUNCTION}`);
    const link = await bpfman.attach(id("count_fentry"), "fentry");
    const twice = await attachRefused([5, "ALREADY_ATTACHED"], id("count_fentry"), "fentry");
    expect(twice.message).toBe(`program ${id("count_fentry")} is already attached there as link ${link.record.id}`);
    expect(await bpfman.links()).toHaveLength(1);
    await bpfman.ok("detach", String(link.record.id));
    await bpfman.attach(id("count_fentry"), "fentry");
  });

  withoutFeatureTest("tracing", "a kernel that refuses such programs", async () => {
    const failure = await loadRefused(4, "KERNEL_REFUSED", `fentry:count_fentry:${KERNEL_FUNCTION}`);
    expect(failure.message).toStartWith('load program "count_fentry": the kernel refused it');
  });
});

test("a program of another kind, whichever it is", async () => {
  const id = await load("tracepoint:count_tracepoint", "kprobe:count_kprobe", "uretprobe:count_uretprobe");
  const wrong: readonly (readonly [program: string, type: string, right: string, ...words: string[]])[] = [
    ["count_tracepoint", "tracepoint", "tracepoint", "kprobe", "-f", KERNEL_FUNCTION],
    ["count_tracepoint", "tracepoint", "tracepoint", "fentry"],
    ["count_kprobe", "kprobe", "kprobe", "uprobe", "--target", "/bin/true"],
    ["count_kprobe", "kprobe", "kprobe", "lsm"],
    ["count_uretprobe", "uretprobe", "uprobe", "kprobe", "-f", KERNEL_FUNCTION],
    ["count_uretprobe", "uretprobe", "uprobe", "tracepoint", "-t", TRACEPOINT],
  ];
  for (const [name, type, right, ...words] of wrong) {
    const failure = await attachRefused([1, "PROGRAM_TYPE_MISMATCH"], id(name), ...words);
    expect(failure.message).toBe(
      `program ${id(name)} is a ${type} program; attach it with "bpfman attach ${id(name)} ${right}"`,
    );
  }
  const section = await loadRefused(1, "PROGRAM_TYPE_MISMATCH", `fexit:count_fentry:${KERNEL_FUNCTION}`);
  expect(section.message).toBe(
    'program type mismatch: asked for fexit, but section "fentry" of count_fentry is fentry',
  );
});

test("a tracepoint that has the program already, naming the link", async () => {
  const id = await load("tracepoint:count_tracepoint");
  const words = ["tracepoint", "--tracepoint", TRACEPOINT];
  const link = await bpfman.attach(id("count_tracepoint"), ...words);
  const twice = await attachRefused([5, "ALREADY_ATTACHED"], id("count_tracepoint"), ...words);
  const [program, first] = [id("count_tracepoint"), link.record.id];
  expect(twice.message).toBe(`program ${program} is already attached there as link ${first}`);
  expect(twice.hint).toBe(`detach it first: bpfman detach ${first}`);
  expect(await bpfman.links()).toHaveLength(1);
  await bpfman.ok("detach", String(first));
  await bpfman.attach(program, ...words);
});

test("a tracepoint that is not there", async () => {
  const id = await load("tracepoint:count_tracepoint");
  const words = ["tracepoint", "--tracepoint", "syscalls/sys_enter_getpigd"];
  const failure = await attachRefused([3, "TRACEPOINT_NOT_FOUND"], id("count_tracepoint"), ...words);
  expect(failure.message).toBe('no tracepoint "syscalls/sys_enter_getpigd" in this kernel');
  expect(failure.hint).toStartWith(`did you mean "${TRACEPOINT}"`);
});

describe("without TCX", () => {
  const wire = cable();
  const name = "tcx says which kernel it needs, and what to use instead";

  test.skipIf(tcxAvailable)(tcxAvailable ? `${name} (skipped: Linux ${release()} has TCX)` : name, async () => {
    const id = await load("tcx:count_tcx");
    const words = ["tcx", "-i", wire.interface, "-d", "ingress", "-p", "50", "-n", wire.netns];
    const failure = await attachRefused([1, "KERNEL_UNSUPPORTED"], id("count_tcx"), ...words);
    expect(failure.message).toContain("TCX needs Linux 6.6 or newer");
    expect(failure.hint).toBe('attach it with "tc" instead');
    expect(await bpfman.links()).toEqual([]);
  });
});
