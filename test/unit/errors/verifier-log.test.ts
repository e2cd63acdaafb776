import { expect, test } from "bun:test";
import { verifierReason } from "../../../src/errors/verifier-log.ts";

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
  expect(verifierReason("ad_ok\nBPF program is too large. Processed 1000001 insn\n")).toBe(
    "BPF program is too large. Processed 1000001 insn",
  );
  expect(verifierReason("Extension program changes packet data, while original does not")).toBe(
    "Extension program changes packet data, while original does not",
  );
});

test("a log that says nothing has no reason", () => {
  expect(verifierReason("")).toBeNull();
  expect(verifierReason(STATISTICS)).toBeNull();
  expect(verifierReason(`0: (b7) r0 = 0\n1: (95) exit\n${STATISTICS}`)).toBeNull();
});
