import { describe, expect, test } from "bun:test";
import { adviceFor, isWhole, pathIn, readStatistics, readVerifierLog } from "../../../src/errors/verifier-log.ts";

const verifierReason = (log: string) => readVerifierLog(log).reason;

const STATISTICS = "processed 7 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0\n";

test("the line before the statistics is the reason", () => {
  const log = `0: R1=ctx() R10=fp0
; int reads_null(struct __sk_buff *skb) @ refused.bpf.c:20
0: (b4) w1 = 0                        ; R1=0
6: (85) call bpf_map_lookup_elem#1    ; R0=map_value_or_null(id=1,map=numbers,ks=4,vs=8)
; return (int)*value; @ refused.bpf.c:26
7: (79) r0 = *(u64 *)(r0 +0)
R0 invalid mem access 'map_value_or_null'
${STATISTICS}`;
  expect(verifierReason(log)).toBe("R0 invalid mem access 'map_value_or_null'");
});

test("statistics of several lines, as older and newer kernels write them", () => {
  const log = `0: (95) exit
R0 !read_ok
verification time 81 usec
stack depth 0+0
${STATISTICS}
`;
  expect(verifierReason(log)).toBe("R0 !read_ok");
});

test("state and code behind the reason do not count", () => {
  const log = `The sequence of 8193 jumps is too complex.
from 10 to 12: R0=0 R1=ctx() R10=fp0
 R0=inv1 R10=fp0
12: (95) exit
; return 0;
frame1: R6_w=1
${STATISTICS}`;
  expect(verifierReason(log)).toBe("The sequence of 8193 jumps is too complex.");
});

test("an explanation behind the reason, as Linux 7.3 writes it, does not count", () => {
  const explanation = `
Verification failed: Register Type Safety: Invalid dereference

Reason:
  R0 may be NULL here (a nullable map value pointer). The program could dereference NULL on this
  path, so the verifier cannot prove this access is safe.

At:
  reads_null @ refused.bpf.c:26:14
  Instruction context:
  >>> 7 | (79) r0 = *(u64 *)(r0 +0)
      8 | (95) exit

Suggestion:
  Add a NULL check before the access and dereference the pointer only on the non-NULL path.

${STATISTICS}`;
  const classic = "7: (79) r0 = *(u64 *)(r0 +0)\nR0 invalid mem access 'map_value_or_null'\n";
  expect(verifierReason(classic + explanation)).toBe("R0 invalid mem access 'map_value_or_null'");
  expect(verifierReason(explanation)).toBe("Verification failed: Register Type Safety: Invalid dereference");
});

test("logs that are cut at their beginning or have no statistics", () => {
  const cut = "ad_ok\n3: (0c) w0 += w1\nBPF program is too large. Processed 1000001 insn\n";
  expect(verifierReason(cut)).toBe("BPF program is too large. Processed 1000001 insn");
  expect(verifierReason("Extension program changes packet data, while original does not")).toBe(
    "Extension program changes packet data, while original does not",
  );
});

test("a log that says nothing has no reason", () => {
  expect(verifierReason("")).toBeNull();
  expect(verifierReason(STATISTICS)).toBeNull();
  expect(verifierReason(`0: (b7) r0 = 0\n1: (95) exit\n${STATISTICS}`)).toBeNull();
});

test("several lines that belong together are one reason", () => {
  const log = `10: (79) r6 = *(u64 *)(r0 +16)
invalid access to map value, value_size=16 off=16 size=8
R0 min value is outside of the allowed memory range
${STATISTICS}`;
  expect(verifierReason(log)).toBe(
    "invalid access to map value, value_size=16 off=16 size=8; R0 min value is outside of the allowed memory range",
  );
});

describe("the instruction", () => {
  const refusal = (log: string) => readVerifierLog(`${log}${STATISTICS}`);

  test("is the one looked at last, in a function that was called (Linux 6.12)", () => {
    const log = `; return first_step(skb->len) + reads_unchecked(skb->mark); @ refusals.bpf.c:41
5: (85) call pc+13
caller:
 R6=ctx() R7=scalar(smin=0,smax=umax=0xffffffff,var_off=(0x0; 0xffffffff)) R10=fp0
callee:
 frame1: R1=scalar(smin=0,smax=umax=0xffffffff,var_off=(0x0; 0xffffffff)) R10=fp0
19: frame1: R1=scalar(smin=0,smax=umax=0xffffffff,var_off=(0x0; 0xffffffff)) R10=fp0
24: (85) call bpf_map_lookup_elem#1   ; frame1: R0=map_value_or_null(id=2,map=numbers,ks=4,vs=16)
; return (int)*value; @ refusals.bpf.c:23
25: (79) r0 = *(u64 *)(r0 +0)
R0 invalid mem access 'map_value_or_null'
`;
    expect(refusal(log)).toEqual({
      reason: "R0 invalid mem access 'map_value_or_null'",
      instruction: 25,
      acquiredAt: null,
    });
  });

  test("is found without file names in the log (Linux 6.1)", () => {
    const log = `0: R1=ctx(off=0,imm=0) R10=fp0
; int reads_null(struct __sk_buff *skb)
6: (85) call bpf_map_lookup_elem#1    ; R0_w=map_value_or_null(id=1,off=0,ks=4,vs=8,imm=0)
; return (int)*value;
7: (79) r0 = *(u64 *)(r0 +0)
R0 invalid mem access 'map_value_or_null'
`;
    expect(refusal(log)).toMatchObject({ reason: "R0 invalid mem access 'map_value_or_null'", instruction: 7 });
  });

  test("is the one that the kernel marks in its explanation (Linux 7.3)", () => {
    const log = `12: (95) exit
R0 !read_ok

Verification failed: Register Type Safety: Uninitialized register

At:
  f @ a.bpf.c:3:1
  Source context:
      2 | ...
  >>> 3 | \treturn value;
        | ^-- error: R0 was never written
  Instruction context:
       8 | (b7) r1 = 0
  >>>  9 | (bf) r2 = r0
      10 | (95) exit

Causal path:
  f @ a.bpf.c:2:1
  Instruction context:
  >>>  6 | (b7) r1 = 0

`;
    expect(refusal(log)).toMatchObject({ reason: "R0 !read_ok", instruction: 9 });
  });

  test("is the one that the reason names", () => {
    const log = `0: (05) goto pc-1
7: (05) goto pc-1
infinite loop detected at insn 3
cur state: R1=ctx() R10=fp0
old state: R1=ctx() R10=fp0
`;
    expect(refusal(log)).toMatchObject({ reason: "infinite loop detected at insn 3", instruction: 3 });
    expect(refusal("unreachable insn 9\n")).toMatchObject({ reason: "unreachable insn 9", instruction: 9 });
  });

  test("comes with the one that took a reference", () => {
    const log = `12: (95) exit
Unreleased reference id=2 alloc_insn=5
BPF_EXIT instruction in main prog would lead to reference leak
`;
    expect(refusal(log)).toEqual({
      reason: "Unreleased reference id=2 alloc_insn=5; BPF_EXIT instruction in main prog would lead to reference leak",
      instruction: 12,
      acquiredAt: 5,
    });
  });

  test("is none when it is the program as a whole, or when the log does not say", () => {
    for (const reason of [
      "BPF program is too large. Processed 1000001 insn",
      "The sequence of 8193 jumps is too complex.",
      "combined stack size of 2 calls is 528. Too large",
    ]) {
      expect(refusal(`3: (0c) w0 += w1\n${reason}\n`)).toMatchObject({ reason, instruction: null });
    }
    expect(refusal("Extension program changes packet data, while original does not\n").instruction).toBeNull();
    expect(refusal("").instruction).toBeNull();
  });
});

test("a reason that does not end its line", () => {
  const log = `3: (85) call bpf_tail_call#12\nexpected prog array map for tail call${STATISTICS}`;
  expect(readVerifierLog(log)).toMatchObject({ reason: "expected prog array map for tail call", instruction: 3 });
  expect(isWhole(log)).toBe(true);
});

test("a log without its end is known as such", () => {
  expect(isWhole(`0: (95) exit\nR0 !read_ok\n${STATISTICS}`)).toBe(true);
  expect(isWhole("0: (95) exit\n1: (0c) w0 +=")).toBe(false);
});

test("the usual reasons come with advice", () => {
  expect(adviceFor("R0 invalid mem access 'map_value_or_null'")).toContain("NULL");
  expect(adviceFor("combined stack size of 2 calls is 528. Too large")).toContain("512 bytes");
  expect(adviceFor("R0 !read_ok")).toContain("on every path");
  for (const reason of ["expected prog array map for tail call", "kernel subsystem misconfigured verifier"])
    expect(adviceFor(reason)).toContain("BPF_MAP_TYPE_PROG_ARRAY");
  expect(adviceFor("invalid read from stack R1 off=-600 size=1")).toContain("512 bytes");
  expect(adviceFor("invalid indirect read from stack R2 off -8+4 size 8")).toContain("all of its bytes");
  expect(adviceFor("invalid access to map value, value_size=64 off=127 size=1; R0 max value is outside")).toContain(
    "size",
  );
  expect(adviceFor("cannot call GPL-restricted function from non-GPL compatible program")).toContain('SEC("license")');
  expect(adviceFor("failed to resolve CO-RE relocation <byte_off> [34] struct a.b (0:1 @ offset 4)")).toContain(
    "bpf_core",
  );
  expect(adviceFor("R1 type=ctx expected=map_ptr")).toContain("another type");
  for (const reason of ["Cannot replace static functions", "hidden() is not a global function"])
    expect(adviceFor(reason)).toContain("remove static");
  for (const reason of [
    "with_more() has 2 args while decide() has 1 args",
    "Return type INT of decide() doesn't match type PTR of drop()",
    "arg0 in drop() is PTR while decide() has INT",
  ])
    expect(adviceFor(reason)).toContain("arguments and the result");
  expect(adviceFor("At program exit the register R0 has smin=17")).toBeNull();
});

describe("statistics", () => {
  test.each([
    ["before Linux 7.3", "verification time 81 usec\nstack depth 16+8+0\n", 24],
    [
      "since",
      "verification time 81 usec\nstack depth max 24\nsubprog 0 (main) main insns_self 4 insns_total 9 stack 16\nsubprog 1 (inner) static insns_self 5 insns_total 5 stack 8\n",
      24,
    ],
  ])("%s", (_, head, stackBytes) => {
    expect(readStatistics(`${head}${STATISTICS}`)).toEqual({
      instructions: 7,
      maxStatesPerInstruction: 0,
      totalStates: 0,
      peakStates: 0,
      stackBytes,
      microseconds: 81,
    });
    expect(verifierReason(`0: (95) exit\nR0 !read_ok\n${head}${STATISTICS}`)).toBe("R0 !read_ok");
  });

  test("that are not there", () => expect(readStatistics("R0 !read_ok\n")).toBeNull());
});

describe("the path to the end", () => {
  test("goes back over branches that ended elsewhere, the last one first", () => {
    const log = `0: (b7) r0 = 0
1: (15) if r1 == 0x0 goto pc+3
2: (15) if r2 == 0x0 goto pc+1
3: (95) exit

from 2 to 4: R0=0 R10=fp0
4: (95) exit

from 1 to 5: R0=0 R10=fp0
5: (79) r0 = *(u64 *)(r0 +0)
R0 invalid mem access 'scalar'
${STATISTICS}`;
    expect(pathIn(log)).toEqual([0, 1, 5]);
  });

  test("begins with the global function that is verified by itself", () => {
    expect(pathIn("0: (b7) r0 = 0\n1: (95) exit\nValidating f() func#1...\n4: (b7) r0 = 0\n5: (95) exit\n")).toEqual([
      4, 5,
    ]);
  });

  test("of a log without instructions is empty", () => expect(pathIn(STATISTICS)).toEqual([]));
});
