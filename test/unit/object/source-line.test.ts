import { describe, expect, test } from "bun:test";
import { BpfmanError } from "../../../src/errors/error.ts";
import { namedSections, openElf } from "../../../src/object/elf.ts";
import { memorySource } from "../../../src/object/fields.ts";
import { sourceLines } from "../../../src/object/source-line.ts";
import { withSource } from "../../../src/service/load/refusal.ts";
import { fixture } from "../../objects/bpf-fixture.ts";
import { compileBpf } from "../../objects/compile.ts";

const refuse = (reason: string) => new BpfmanError("INVALID_OBJECT", reason);
/** What an instruction of a program of refusals.bpf.c was compiled from. */
const lineOf = (program: string, instruction: number) => sourceLines(fixture("refusals"), program, refuse)(instruction);

describe("an instruction's line", () => {
  test("in the program itself", () => {
    const line = lineOf("after_callees", 13);
    expect(line).toMatchObject({ instruction: 13, function: "after_callees", column: 14 });
    expect(line?.file).toEndWith("refusals.bpf.c");
    expect(line?.text).toContain("return (int)*value; /* REFUSED after_callees");
  });

  test("in a called function: each follows the program once, in the order of the calls", () => {
    expect(lineOf("in_callee", 25)).toMatchObject({ function: "reads_unchecked", line: 25 });
    // first_step, second_step, and what only second_step calls.
    expect(lineOf("in_deep_callee", 39)).toMatchObject({ function: "reads_unchecked" });
    expect(lineOf("in_deep_callee", 24)).toMatchObject({ function: "second_step" });
    expect(lineOf("in_deep_callee", 15)?.function).toBe("first_step");
  });

  test("in a function whose address is taken, and in a global one", () => {
    expect(lineOf("in_callback", 31)).toMatchObject({ function: "reads_in_turn" });
    expect(lineOf("in_global", 10)).toMatchObject({ function: "reads_beyond" });
  });

  test("of code that the compiler inserted is the line before it", () => {
    expect(lineOf("in_inlined", 3)?.line).toBe(lineOf("in_inlined", 2)?.line as number);
    expect(lineOf("in_inlined", 3)?.line).toBeGreaterThan(0);
  });

  test("for a name is the next line that contains it, if the compiler moved the instruction before that line", () => {
    const find = sourceLines(fixture("refusals"), "after_callees", refuse);
    expect(find(0)?.text).not.toContain("bpf_map_lookup_elem");
    expect(find(0, "bpf_map_lookup_elem")?.text).toContain("bpf_map_lookup_elem");
    expect(find(13, "value")).toEqual(find(13));
    expect(find(0, "nowhere")).toEqual(find(0));
    // Not in another function of the same section.
    expect(find(0, "reads_in_turn")).toEqual(find(0));
  });

  test("is null beyond the program's end, and for a program that is not there", () => {
    expect(lineOf("beyond_packet", 1)).not.toBeNull();
    expect(lineOf("beyond_packet", 1000)).toBeNull();
    expect(lineOf("beyond_packet", -1)).toBeNull();
    expect(lineOf("nobody", 0)).toBeNull();
  });

  test("without -g has its function only", () => {
    const bytes = compileBpf(
      `static __attribute__((noinline)) int deep(struct xdp_md *ctx) { return *(char *)(long)ctx->data; }
       SEC("xdp") int f(struct xdp_md *ctx) { return deep(ctx) + deep(ctx); }`,
      ["-g0"],
    );
    const none = { file: null, line: null, column: null, text: null };
    const find = sourceLines(bytes, "f", refuse);
    expect(find(0)).toEqual({ instruction: 0, function: "f", ...none });
    const found = Array.from({ length: 20 }, (_, instruction) => find(instruction)?.function);
    expect(found.filter((name, index) => name !== found[index - 1])).toEqual(["f", "deep", undefined]);
  });
});

describe("a refusal", () => {
  const refused = new BpfmanError("VERIFIER_REJECTED", "load: refused", {
    details: { program: "in_callee", object: "refusals" },
    verifierLog: "25: (79) r0 = *(u64 *)(r0 +0)\nR0 invalid mem access\nprocessed 22 insns\n",
    sys: { call: "bpf", errno: 13, name: "EACCES" },
    hint: "mend it",
  });

  test("gets its source line, and keeps everything else", () => {
    const found = withSource(refused, fixture("refusals")) as BpfmanError;
    expect(found).toMatchObject({
      code: "VERIFIER_REJECTED",
      message: refused.message,
      verifierLog: refused.verifierLog,
      sys: refused.sys,
      hint: "mend it",
      details: { object: "refusals", source: { function: "reads_unchecked", instruction: 25, line: 25 } },
    });
  });

  test("about an object with malformed line information has no source line", () => {
    const bytes = fixture("refusals").slice();
    const ext = namedSections(openElf(memorySource(bytes), refuse)).find(({ name }) => name === ".BTF.ext");
    bytes.fill(0xff, ext?.offset, (ext?.offset ?? 0) + 32);
    expect((withSource(refused, bytes) as BpfmanError).details.source).toBeNull();
  });

  test("of another kind is left unchanged", () => {
    const other = new BpfmanError("LOAD_FAILED", "load: failed");
    expect(withSource(other, fixture("refusals"))).toBe(other);
  });
});
