import { describe, expect, test } from "bun:test";
import { release } from "node:os";
import { SysError } from "../../../ffi/sys-error.ts";
import { BpfmanError } from "../../../src/errors/error.ts";
import { loadFailure } from "../../../src/kernel/explain/load-failure.ts";

const [EINVAL, ENOENT, EMFILE, EOPNOTSUPP, ENOTSUPP] = [22, 2, 24, 95, 524];

/** The hint for what libbpf says, oldest first, before it fails with that errno. */
function hintOf(errno: number, ...messages: string[]): string | null {
  const evidence = { object: "x", programs: [{ name: "p", type: "xdp" as const }], messages, log: "" };
  const failure = loadFailure(new SysError("bpf_object__load", errno), evidence);
  if (!(failure instanceof BpfmanError)) throw failure;
  expect(failure.code).toBe("LOAD_FAILED");
  return failure.hint;
}

test("what is refused behind the verifier, as for a program array, is not said to be refused by it", () => {
  const evidence = { object: "x", programs: [{ name: "p", type: "tc" as const }], messages: ["prog 'p': failed"] };
  const log =
    "0: R1=ctx() R10=fp0\nprocessed 5 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0";
  const failure = loadFailure(new SysError("bpf_object__load", EINVAL), { ...evidence, log }) as BpfmanError;
  expect([failure.code, failure.message]).toEqual([
    "LOAD_FAILED",
    'load program "p": the kernel refused it after the verifier had accepted it (EINVAL)',
  ]);
  expect(failure.hint).toContain("program array");
  const files = loadFailure(new SysError("bpf_object__load", EMFILE), { ...evidence, log }) as BpfmanError;
  expect([files.code, files.hint]).toEqual(["LOAD_FAILED", expect.stringContaining("ulimit -n")]);
  const refused = log.replace("processed", "R0 !read_ok\nprocessed");
  const refusal = loadFailure(new SysError("bpf_object__load", EINVAL), { ...evidence, log: refused }) as BpfmanError;
  expect([refusal.code, refusal.message]).toEqual([
    "VERIFIER_REJECTED",
    'load program "p": the verifier rejected it: R0 !read_ok',
  ]);
});

describe("hints for what libbpf or the kernel refuse", () => {
  test.each([
    ["a map that the kernel does not take", EINVAL, "map 'flows': failed to create: Invalid argument(-22)"],
    ["what libbpf cannot do", EOPNOTSUPP, "sec 'xdp': something is static and not supported"],
    ["anything", EINVAL, "prog 'p': bad relocation"],
  ])("none for %s: nobody knows what helps", (_, errno, message) => {
    expect(hintOf(errno, message)).toBeNull();
  });

  test("the configuration of the kernel: the files in which it is looked for", () => {
    const hint = hintOf(ENOENT, "failed to open system Kconfig", "failed to load object 'x'");
    expect(hint).toContain(`/boot/config-${release()} or /proc/config.gz`);
  });

  test("a program in an array that was not loaded is named", () => {
    const message = "map 'jumps': failed to initialize slot [0] to prog 'target' fd=-2: -9";
    expect(hintOf(9, message)).toBe('name program "target" as well: it is an initial value of "jumps"');
    // It was loaded, and the kernel did not take it.
    expect(hintOf(EINVAL, message.replace("fd=-2: -9", "fd=13: -22"))).toBeNull();
  });

  test("too many open files", () => {
    expect(hintOf(EMFILE, "map 'm': failed to create: Too many open files(-24)")).toContain("ulimit -n");
  });

  test("features that the kernel reports as missing", () => {
    expect(hintOf(ENOTSUPP, "prog 'p': failed to load: -524")).toContain("this kernel lacks");
  });
});
