/** Which source line an error of the verifier names: the marks in refusals.bpf.c say which line it must be. */
import { describe, expect, test } from "bun:test";
import type { SourceLine } from "../../src/domain/object-file.ts";
import { openKernel } from "../../src/kernel/open-kernel.ts";
import { withSource } from "../../src/service/load/refusal.ts";
import { fixture, toLoad } from "../objects/bpf-fixture.ts";
import { compileBpf } from "../objects/compile.ts";
import { failureOfAsync } from "../expect/failure.ts";

const kernel = openKernel();

/** The refusal of a program of refusals.bpf.c, as the service passes it on; a log that is not there fails the test. */
async function refusal(program: string, type = "tc") {
  const thrown = await failureOfAsync(() => kernel.load(toLoad("refusals", `${type}:${program}`)));
  expect(thrown.code).toBe("VERIFIER_REJECTED");
  const { message, details, verifierLog, hint } = withSource(thrown, fixture("refusals")) as typeof thrown;
  const { source = null, acquired = null } = details as Partial<Record<"source" | "acquired", SourceLine | null>>;
  return { message, log: verifierLog ?? "", hint, source, acquired };
}

describe("the line of source is found when the verifier rejects a program", () => {
  test.each([
    { program: "in_callee", type: "tc", inFunction: "reads_unchecked", reason: "'map_value_or_null'" },
    { program: "in_deep_callee", type: "tc", inFunction: "reads_unchecked", reason: "'map_value_or_null'" },
    { program: "in_inlined", type: "tc", inFunction: "in_inlined", reason: "'map_value_or_null'" },
    {
      program: "in_global",
      type: "tc",
      inFunction: "reads_beyond",
      reason: "invalid access to map value, value_size=16 off=16 size=8; ",
    },
    { program: "after_callees", type: "tc", inFunction: "after_callees", reason: "'map_value_or_null'" },
    { program: "keeps_reference", type: "tc", inFunction: "keeps_reference", reason: "Unreleased reference" },
    { program: "endless", type: "tc", inFunction: "endless", reason: "infinite loop detected" },
    { program: "calls_unknown", type: "tc", inFunction: "calls_unknown", reason: "unknown#9999" },
    { program: "calls_forbidden", type: "xdp", inFunction: "calls_forbidden", reason: "bpf_skb_store_bytes#9" },
    {
      program: "field_missing",
      type: "tc",
      inFunction: "field_missing",
      reason: "failed to resolve CO-RE relocation <byte_off>",
    },
    {
      program: "tail_calls_array",
      type: "xdp",
      inFunction: "tail_calls_array",
      // Linux 6.1 blames itself.
      reason: /rejected it: (expected prog array map for tail call|kernel subsystem misconfigured verifier)$/,
    },
    { program: "beyond_packet", type: "xdp", inFunction: "beyond_packet", reason: "invalid access to packet" },
  ])("$program", async ({ program, type, inFunction, reason }) => {
    const { message, source, log } = await refusal(program, type);
    expect(message).toStartWith(`load program "${program}": the verifier rejected it: `);
    expect(message).toMatch(reason);
    expect(source?.file).toEndWith("/refusals.bpf.c");
    expect(source).toMatchObject({ function: inFunction, column: expect.any(Number) });
    expect(source?.text).toMatch(program === "endless" ? /for \(;;\)/ : /[;}] \/\* REFUSED /);
    if (program !== "endless") expect(source?.text).toMatch(new RegExp(`REFUSED .*\\b${program}\\b`));
    expect(log).toMatch(/processed \d+ insns/);
  });

  test("in a function that the kernel calls back", async () => {
    const { message, source } = await refusal("in_callback");
    expect(message).toContain("'map_value_or_null'");
    expect(source?.function).toBe("reads_in_turn");
    expect(source?.text).toContain("REFUSED in_callback");
  });

  test("also where a reference was taken that is not given back", async () => {
    const { acquired, hint } = await refusal("keeps_reference");
    expect(acquired?.text).toContain("ACQUIRED keeps_reference");
    expect(hint).toContain("release the reference");
  });
});

describe("no line is blamed", () => {
  test("for a program that takes too many instructions; its reason is there though the log has no room for it", async () => {
    const { message, source, log } = await refusal("too_long");
    expect(message).toContain("BPF program is too large. Processed 1000001 insn");
    expect(source).toBeNull();
    expect(log).toMatch(/processed 1000001 insns/);
    // Where the kernel dropped a part of it, the log says so.
    expect(log).toContain("… (longer than the kernel's limit)\n");
  });

  test("for a stack that is too deep", async () => {
    const { message, source, hint } = await refusal("stack_too_deep");
    expect(message).toMatch(/stack/);
    expect(source).toBeNull();
    expect(hint).toContain("512 bytes");
  });
});

test("a field that this kernel does not have says what to ask first", async () => {
  const { message, hint } = await refusal("field_missing");
  expect(message).toContain("struct task_struct.never_there");
  expect(hint).toContain("bpf_core_field_exists");
});

test("a kernel function that this kernel does not have is named", async () => {
  const bytes = compileBpf(`extern int never_there(int x) __attribute__((section(".ksyms")));
SEC("tc") int f(struct __sk_buff *skb) { return never_there(1); }`);
  const { code, message, hint } = await failureOfAsync(() => kernel.load({ ...toLoad("refusals", "tc:f"), bytes }));
  expect(code).toBe("LOAD_FAILED");
  expect(message).toContain("'never_there': not found in kernel");
  expect(hint).toContain("__weak");
});

test("an object that was compiled without -g names function and instruction", async () => {
  const bytes = compileBpf(`SEC("xdp") int f(struct xdp_md *ctx) { return *(char *)(long)ctx->data; }`, ["-g0"]);
  const thrown = await failureOfAsync(() => kernel.load({ ...toLoad("refusals", "xdp:f"), bytes }));
  const { details } = withSource(thrown, bytes) as typeof thrown;
  expect(details.source).toMatchObject({ function: "f", instruction: 1, file: null, line: null, text: null });
});
