/** Extracts why and where the verifier rejected a program from its log (kernel/bpf/log.c). Formats vary by kernel. */

/** Lines that end the log or repeat the state: `processed 9 insns (limit 1000000) …`, `verification time 81 usec`. */
const STATISTICS =
  /^(processed \d+ insns|verification time \d|stack depth |subprog \d+ \(|max_states_per_insn|total_states|peak_states|mark_read)/;
/** Some reasons lack a line break at the end: `expected prog array map for tail callprocessed 3 insns …`. */
const GLUED = /(?<=[^\n])processed \d+ insns \(limit/;
/** An instruction as it is verified, `12: (95) exit`, or only the state before it: `12: R0=1 R10=fp0`. */
const INSTRUCTION = /^(\d+): /;
/** Code and state around the reason: `; return 0;`, `R0=inv1 R10=fp0`, `from 3 to 7: …`. */
const CONTEXT =
  /^(\d+: |;|(frame\d+: ?)?R\d+(_\w+)?=|from \d+ to \d+|last_idx \d|regs=|parent |mark_precise|Live regs|[<^~|=-]|caller:|callee:|to caller at |returning from callee:|(cur|old) state:|Validating |func#\d+ @|Func#\d+ )/;
/** Advice that libbpf or the kernel prints after the reason. */
const ADVICE = /^(propagating |arg#\d+ reference type|hint:)/i;

/** Since Linux 7.3, a multi-line explanation that starts with this follows the reason. */
const EXPLANATION = /^Verification failed: /;
/**
 * The marked instruction in that explanation: `>>> 7 | (79) r0 = *(u64 *)(r0 +0)`. Source lines are marked as well.
 */
const MARKED = /^>>> +(\d+) \| \([0-9a-f]{2}\) /;

/** Reasons that concern the whole program: the last instruction verified is not the cause. */
const WHOLE = /is too large|jumps is too complex|Too large\b|combined stack size/;
/** A reason that names its instruction: `infinite loop detected at insn 5`, `unreachable insn 9`. */
const NAMED = /\binsn (\d+)/;
const ACQUIRED = /\balloc_insn=(\d+)/;

/** The most lines kept of a multi-line reason. */
const REASON_LINES_MAX = 3;

export interface Refusal {
  /** In the kernel's own words; null if the log contains no reason, for example because it is truncated. */
  readonly reason: string | null;
  /** The rejected instruction, counted from the program's first; null if the whole program is rejected. */
  readonly instruction: number | null;
  /** The instruction that acquired the reference that is not released; null for other reasons. */
  readonly acquiredAt: number | null;
}

/** Extracts the rejection from the log. */
export function readVerifierLog(log: string): Refusal {
  // Logs can be many megabytes long; everything needed is at the end.
  const lines = log.slice(-TAIL_CHARS).replace(GLUED, "\n$&").split("\n");
  const all = lines.map((line) => line.trim());
  const explained = all.findIndex((line) => EXPLANATION.test(line));
  const classic = explained < 0 ? all : all.slice(0, explained);
  const end = classic.findLastIndex(isReason);
  const before = classic.findLastIndex((line, index) => index <= end && !isReason(line));
  // The kernel's classic wording is what people search for. The explanation's first line is only a fallback.
  const words = end < 0 ? all.filter((line) => EXPLANATION.test(line)) : classic.slice(before + 1, end + 1);
  const reason = words.length === 0 ? null : words.slice(-REASON_LINES_MAX).join("; ");
  return { reason, instruction: instructionOf(all, classic, reason), acquiredAt: numberIn(ACQUIRED, reason ?? "") };
}

/**
 * Reports whether the log is complete. A kernel that runs out of buffer truncates the start, before Linux 6.4 the end.
 */
export const isWhole = (log: string): boolean => /processed \d+ insns/.test(log.slice(-TAIL_CHARS));

/** Large enough for any explanation and for the state of many registers. */
const TAIL_CHARS = 65_536;

const isReason = (line: string): boolean =>
  line !== "" && !STATISTICS.test(line) && !CONTEXT.test(line) && !ADVICE.test(line);

function instructionOf(all: readonly string[], classic: readonly string[], reason: string | null): number | null {
  if (reason === null || WHOLE.test(reason)) return null;
  const marked = all.map((line) => numberIn(MARKED, line)).find((number) => number !== null);
  const last = classic.findLast((line) => INSTRUCTION.test(line)) ?? "";
  return numberIn(NAMED, reason) ?? marked ?? numberIn(INSTRUCTION, last);
}

function numberIn(pattern: RegExp, text: string): number | null {
  const digits = pattern.exec(text)?.[1];
  return digits === undefined ? null : Number(digits);
}

/** `processed 9 insns (limit 1000000) max_states_per_insn 0 total_states 1 peak_states 1 mark_read 0` */
const PROCESSED = /^processed (\d+) insns .*max_states_per_insn (\d+) total_states (\d+) peak_states (\d+)/m;
/** One number for each function: `stack depth 16+8`. */
const STACK_DEPTH = /^stack depth (\d+(?:\+\d+)*)/m;
/** Since Linux 7.3, a line for each: `subprog 1 (name) static insns_self 10 insns_total 10 stack 8`. */
const STACK_OF_FUNCTION = /^subprog \d+ \(.* stack (\d+)$/gm;
const TIME = /^verification time (\d+) usec/m;

export interface VerifierStatistics {
  /** Instructions processed, over all paths. */
  readonly instructions: number;
  readonly maxStatesPerInstruction: number;
  readonly totalStates: number;
  readonly peakStates: number;
  /** Bytes, of all functions together; null if the kernel does not say. */
  readonly stackBytes: number | null;
  readonly microseconds: number | null;
}

/** Extracts the statistics at the end of a log; null if there are none. */
export function readStatistics(log: string): VerifierStatistics | null {
  const end = log.slice(-TAIL_CHARS);
  const found = PROCESSED.exec(end);
  if (found === null) return null;
  const [instructions = 0, maxStatesPerInstruction = 0, totalStates = 0, peakStates = 0] = found.slice(1).map(Number);
  return {
    instructions,
    maxStatesPerInstruction,
    totalStates,
    peakStates,
    stackBytes: stackIn(end),
    microseconds: numberIn(TIME, end),
  };
}

function stackIn(statistics: string): number | null {
  const one = STACK_DEPTH.exec(statistics)?.[1]?.split("+") ?? [];
  const depths = [...one, ...[...statistics.matchAll(STACK_OF_FUNCTION)].map(([, depth]) => depth)];
  return depths.length === 0 ? null : depths.reduce((sum, depth) => sum + Number(depth), 0);
}

/** An instruction that was verified, and the one before it on the path. */
interface Step {
  readonly instruction: number;
  readonly before: Step | null;
}

/**
 * Returns the instructions on the path to the end of a log, oldest first, as far as the log has them. The verifier follows a
 * branch to its end and then takes up the one that it left last: `from 3 to 7: …`.
 */
export function pathIn(log: string): number[] {
  const left = new Map<number, Step[]>();
  let last: Step | null = null;
  for (const [, at, from, whole] of log.matchAll(/^(?:(\d+): \([0-9a-f]{2}\) |from (\d+) to \d+|(Validating ))/gm)) {
    if (whole !== undefined) {
      // A global function is verified by itself.
      left.clear();
      last = null;
    } else if (from !== undefined) last = left.get(Number(from))?.pop() ?? null;
    else {
      const step: Step = { instruction: Number(at), before: last };
      last = step;
      const steps = left.get(step.instruction);
      if (steps === undefined) left.set(step.instruction, [step]);
      else steps.push(step);
    }
  }
  const path: number[] = [];
  for (let step = last; step !== null; step = step.before) path.push(step.instruction);
  return path.reverse();
}

/** What to do about the most common reasons. */
const ADVICE_BY_REASON: readonly (readonly [RegExp, string])[] = [
  [/_or_null'/, "compare the pointer with NULL before using it"],
  [/outside of the packet|invalid access to packet/, "compare the end of the access with data_end first"],
  [
    /Unreleased reference/,
    "release the reference on every path, for instance with bpf_ringbuf_submit or bpf_sk_release",
  ],
  [
    /invalid (indirect )?read from stack.* off -?\d+\+\d+ /,
    "initialise all of its bytes first, including the padding between fields",
  ],
  [/stack/, "the stack has 512 bytes for a program and everything it calls: keep large data in a map"],
  [
    /is too large|too complex|infinite loop|back-edge/,
    "the verifier walks every path: shorten the loops, or use bpf_loop",
  ],
  [/invalid func|unknown func|cannot use helper/, "this kernel has no such helper for programs of this type"],
  [/GPL/, 'give the object a GPL-compatible licence: char _license[] SEC("license") = "GPL"'],
  [
    /is not sleepable/,
    "a program can sleep in the functions of /sys/kernel/debug/error_injection/list (CONFIG_FUNCTION_ERROR_INJECTION) and in LSM hooks that may sleep: choose one of them, or a section whose name does not end in .s",
  ],
  [
    /is not modifiable/,
    "a program can change the result of the functions of /sys/kernel/debug/error_injection/list (CONFIG_FUNCTION_ERROR_INJECTION), and of those whose names begin with security_",
  ],
  [/might sleep/, "only sleepable programs may call it: use a section whose name ends in .s"],
  [
    /CO-RE relocation/,
    "this kernel has no such type or field: check first, with bpf_core_field_exists or bpf_core_type_exists",
  ],
  [/!read_ok/, "it is read before it is initialised: set it on every path"],
  [
    /invalid access to map value|outside of the allowed memory range/,
    "check index and size against the size of the value first",
  ],
  [/zero-sized|unbounded|is negative, either use/, "check the size against its minimum and maximum first"],
  [/invalid bpf_context access/, "a program of this type cannot access that part of its context this way"],
  [
    /invalid mem access 'scalar'/,
    "it is not a pointer here: reload data and data_end after a helper that changes the packet; read kernel memory with bpf_probe_read_kernel",
  ],
  // Linux 6.1 prints an internal error message.
  [
    /expected prog array map|kernel subsystem misconfigured verifier/,
    "the helper takes another type of map: bpf_tail_call needs BPF_MAP_TYPE_PROG_ARRAY",
  ],
  [
    /Cannot replace static functions|\(\) is not a global function/,
    "remove static from that function, and load its program again",
  ],
  [
    /^\w+\(\) has \d+ args while |^Return type .* doesn't match|^arg\d+ in /,
    "give it the arguments and the result of the function that it replaces",
  ],
  [/ type=\w+ expected=/, "the function takes an argument of another type"],
];

/** Returns what to do about a reason; null if there is no common fix. */
export const adviceFor = (reason: string): string | null =>
  ADVICE_BY_REASON.find(([pattern]) => pattern.test(reason))?.[1] ?? null;
