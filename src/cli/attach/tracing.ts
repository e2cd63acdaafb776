/**
 * The commands that attach a program to a function, a tracepoint, an event or an iterator. The target is given by options in the
 * classic grammar, by words in the noun-verb grammar.
 */
import { HARDWARE_EVENTS, SOFTWARE_EVENTS } from "../../domain/perf-events.ts";
import { ifGiven, optional, required, vary } from "../command.ts";
import { MAP } from "../fields.ts";
import { parseCount, parseCpu, parseOffset, parsePid, zeroForNone } from "../parse/word.ts";
import { attachTo } from "./attach-to.ts";

export const FN_NAME = required({
  long: "fn-name",
  short: "f",
  completes: "kernel-function",
  doc: [
    "Required: Function to attach the kprobe to, as FUNCTION, MODULE:FUNCTION",
    "(vmlinux stands for the kernel itself) or 0xADDRESS, each with +OFFSET.",
  ],
  noun: {
    doc: ["Required: The kernel function, as FUNCTION, MODULE:FUNCTION (vmlinux: the kernel) or 0xADDRESS; +OFFSET."],
  },
});

/** Bytes. */
export const OFFSET = optional(
  {
    long: "offset",
    short: "o",
    doc: ["Offset from the start of the function, in bytes.", "A kretprobe cannot have one."],
    noun: { short: undefined },
  },
  parseOffset,
  0,
);

export const CONTAINER_PID = optional(
  {
    long: "container-pid",
    short: "c",
    completes: "pid",
    doc: [
      "PID, as the host sees it, of a process in the container to attach in.",
      "Paths and library names are looked up in its mount namespace.",
    ],
    noun: {
      short: undefined,
      parse: zeroForNone(parsePid),
    },
  },
  parsePid,
);

export const UNSUPPORTED_PID = vary(CONTAINER_PID, {
  grammar: "classic",
  doc: ["PID of a process in the container to attach in.", "Not supported yet: kprobes attach to the host's kernel."],
});

export const TARGET_FUNCTION = ifGiven(FN_NAME, {
  completes: "target-function",
  doc: ["Function of the target to attach to.", "Without it, the offset counts from the start of the file."],
});
export const TARGET_OFFSET = vary(OFFSET, {
  doc: [
    "Offset from the start of the function, or of the file, in bytes.",
    "On a uretprobe, an offset past the entry can crash the target.",
  ],
});
export const TARGET = required({
  long: "target",
  short: "t",
  completes: "target",
  doc: ["Absolute path of a binary or library, or a library's name.", "Example: --target libc"],
  noun: { doc: ["Absolute path of a binary or library, or a library's name.", "Example: libc"] },
});
export const PID = optional(
  {
    long: "pid",
    short: "p",
    completes: "pid",
    doc: [
      "Run the program in this process only, given by its PID.",
      "By default it runs in every process that maps the target.",
    ],
    noun: {
      short: undefined,
      doc: ["Run the program in this process only; 0 means in all of them."],
      parse: zeroForNone(parsePid),
    },
  },
  parsePid,
);

export const TRACEPOINT = required({
  long: "tracepoint",
  short: "t",
  completes: "tracepoint",
  doc: ["Tracepoint to attach to, as GROUP/NAME.", "Example: --tracepoint sched/sched_switch"],
  noun: { doc: ["Tracepoint to attach to, as GROUP/NAME.", "Example: sched/sched_switch"] },
});

export const RAW_TRACEPOINT = vary(TRACEPOINT, {
  completes: "raw-tracepoint",
  doc: ["Tracepoint to attach to, by its name without the group.", "Example: --tracepoint sched_switch"],
  noun: { doc: ["Tracepoint to attach to, by its name without the group.", "Example: sched_switch"] },
});

export const FN_PATTERN = vary(FN_NAME, {
  doc: ["Functions to attach to, as a pattern: * stands for any characters, ? for one.", "Quote it for the shell."],
  noun: { doc: ["Functions, as a pattern: * stands for any characters, ? for one. Quote it for the shell."] },
});
const TARGET_PATTERN_DOC = [
  "Functions of the target, as a pattern: * stands for any characters, ? for one.",
  "Quote it for the shell.",
];
export const TARGET_PATTERN = vary(FN_PATTERN, {
  completes: "target-function",
  doc: TARGET_PATTERN_DOC,
  noun: { doc: TARGET_PATTERN_DOC },
});

export const VISITED_MAP = ifGiven(MAP, {
  doc: [
    "The map whose entries the program visits: its ID, PROGRAM_ID/NAME or a name.",
    "Only for iterators over entries.",
  ],
});

export const EVENT = required({
  long: "event",
  short: "e",
  completes: "perf-event",
  doc: [
    "Event that is counted, as `perf list` names it.",
    `Software: ${SOFTWARE_EVENTS.join(", ")}`,
    `Hardware: ${HARDWARE_EVENTS.join(", ")}`,
  ],
});
export const CPU = optional(
  {
    long: "cpu",
    doc: ["Count on this processor only, of all processes.", "For all processors, attach once for each."],
  },
  parseCpu,
);
export const EVENT_PID = vary(PID, {
  doc: ["Count in this process only: its thread with that ID.", "Without --cpu, on all processors."],
});
export const PERIOD = optional(
  { long: "period", doc: ["Run the program after so many events."] },
  parseCount("period"),
);
export const FREQUENCY = optional(
  { long: "frequency", doc: ["Run the program so often per second, as long as there are events."] },
  parseCount("frequency"),
);
/** The function, LSM hook or tracepoint was chosen at load time, so there is no target to specify. */
const tracing = (kind: "fentry" | "fexit" | "lsm" | "tp_btf" | "fmod_ret" | "freplace") =>
  attachTo(kind, () => ({ target: {}, examples: { "Attach it to what was named when it was loaded": ["", ""] } }));

export const HOOKS = {
  tracepoint: attachTo("tracepoint", () => ({
    target: { tracepoint: TRACEPOINT },
    words: ["tracepoint"],
    examples: {
      "Run it whenever a process opens a file": ["--tracepoint syscalls/sys_enter_openat", "syscalls/sys_enter_openat"],
    },
  })),
  raw_tp: attachTo("raw_tp", () => ({
    target: { tracepoint: RAW_TRACEPOINT },
    words: ["tracepoint"],
    examples: {
      "Run it whenever the scheduler switches to another task": ["--tracepoint sched_switch", "sched_switch"],
    },
  })),
  kprobe: attachTo("kprobe", () => ({
    target: { fnName: FN_NAME, offset: OFFSET, containerPid: UNSUPPORTED_PID },
    words: ["fnName"],
    examples: {
      "Run it when the kernel enters the function (a kretprobe: when it returns)": [
        "--fn-name try_to_wake_up",
        "try_to_wake_up",
      ],
    },
  })),
  uprobe: attachTo("uprobe", () => ({
    target: { fnName: TARGET_FUNCTION, offset: TARGET_OFFSET, target: TARGET, pid: PID, containerPid: CONTAINER_PID },
    words: ["target"],
    examples: {
      "Run it when a process calls malloc (a uretprobe: when malloc returns)": [
        "--target libc --fn-name malloc",
        "libc -f malloc",
      ],
      "Run it in one process only": ["-t /usr/sbin/nginx -f main --pid 4711", "/usr/sbin/nginx -f main --pid 4711"],
    },
  })),
  fentry: tracing("fentry"),
  fexit: tracing("fexit"),
  lsm: tracing("lsm"),
  tp_btf: tracing("tp_btf"),
  fmod_ret: tracing("fmod_ret"),
  freplace: tracing("freplace"),
  "kprobe.multi": attachTo("kprobe.multi", () => ({
    target: { fnName: FN_PATTERN },
    words: ["fnName"],
    examples: {
      "Run it when any of these functions is entered (kretprobe.multi: left)": ["--fn-name 'tcp_v4_*'", "'tcp_v4_*'"],
    },
  })),
  "uprobe.multi": attachTo("uprobe.multi", () => ({
    target: { fnName: TARGET_PATTERN, target: TARGET, pid: PID, containerPid: CONTAINER_PID },
    words: ["target"],
    examples: {
      "Run it when a process calls any of these (uretprobe.multi: when it returns)": [
        "--target libc --fn-name 'pthread_mutex_*'",
        "libc -f 'pthread_mutex_*'",
      ],
    },
  })),
  iter: attachTo("iter", () => ({
    target: { map: VISITED_MAP },
    examples: {
      "Attach it, to read it with `bpfman iter LINK_ID`": ["", ""],
      "Let it visit the entries of a map": ["--map 63178/flows", "--map 63178/flows"],
    },
  })),
  perf_event: attachTo("perf_event", () => ({
    target: { event: EVENT, cpu: CPU, pid: EVENT_PID, period: PERIOD, frequency: FREQUENCY },
    words: ["event"],
    examples: {
      "Run it 99 times per second on the first processor": [
        "--event cpu-clock --cpu 0 --frequency 99",
        "cpu-clock --cpu 0 --frequency 99",
      ],
      "Run it on each page fault of a process": [
        "--event page-faults --pid 4711 --period 1",
        "page-faults --pid 4711 --period 1",
      ],
    },
  })),
};
