/** The log of the kernel's verifier (kernel/bpf/log.c), read for its one line that says why. Formats vary by kernel. */

/** Lines that close the log or repeat the state: `processed 9 insns (limit 1000000) …`, `verification time 81 usec`. */
const STATISTICS =
  /^(processed \d+ insns|verification time \d|stack depth |max_states_per_insn|total_states|peak_states|mark_read)/;
/** Code and state that surround the reason: `12: (95) exit`, `; return 0;`, `R0=inv1 R10=fp0`, `from 3 to 7: …`. */
const CONTEXT =
  /^(\d+: |;|(frame\d+: ?)?R\d+(_\w+)?=|from \d+ to \d+|last_idx \d|regs=|parent |mark_precise|Live regs|[<^~|=-]|caller:|callee:|to caller at )/;
/** Advice that libbpf or the kernel puts behind the reason. */
const ADVICE = /^(propagating |arg#\d+ reference type|hint:)/i;

/** Since Linux 7.3 an explanation of many lines stands behind the reason, and begins with this. */
const EXPLANATION = /^Verification failed: /;

/**
 * The reason for which a program was refused: the last line with a meaning of its own, without what closes the log.
 * Null when the log has no such line.
 */
export function verifierReason(log: string): string | null {
  const all = log.split("\n").map((line) => line.trim());
  const explained = all.findIndex((line) => EXPLANATION.test(line));
  // The explanation's first line sums it up, but the kernel's classic wording is what people search for.
  const lines = explained < 0 ? all : [all[explained] ?? "", ...all.slice(0, explained)];
  for (let index = lines.length - 1; index >= 0; index--) {
    const line = lines[index] ?? "";
    if (line === "" || STATISTICS.test(line) || CONTEXT.test(line) || ADVICE.test(line)) continue;
    return line;
  }
  return null;
}
