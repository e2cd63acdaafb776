/** The log of the kernel's verifier (kernel/bpf/log.c), read for its one line that says why. Formats vary by kernel. */

/** Lines that close the log or repeat the state: `processed 9 insns (limit 1000000) …`, `verification time 81 usec`. */
const STATISTICS =
  /^(processed \d+ insns|verification time \d|stack depth |max_states_per_insn|total_states|peak_states|mark_read)/;
/** Code and state that surround the reason: `12: (95) exit`, `; return 0;`, `R0=inv1 R10=fp0`, `from 3 to 7: …`. */
const CONTEXT =
  /^(\d+: |;|(frame\d+: ?)?R\d+(_\w+)?=|from \d+ to \d+|last_idx \d|regs=|parent |mark_precise|Live regs|[<^~|=-]|caller:|callee:|to caller at )/;
/** Advice that libbpf or the kernel puts behind the reason. */
const ADVICE = /^(propagating |arg#\d+ reference type|hint:)/i;

/**
 * The reason for which a program was refused: the last line with a meaning of its own, without what closes the log.
 * Null when the log has no such line.
 */
export function verifierReason(log: string): string | null {
  const lines = log.split("\n").map((line) => line.trim());
  for (let index = lines.length - 1; index >= 0; index--) {
    const line = lines[index] ?? "";
    if (line === "" || STATISTICS.test(line) || CONTEXT.test(line) || ADVICE.test(line)) continue;
    return line;
  }
  return null;
}
