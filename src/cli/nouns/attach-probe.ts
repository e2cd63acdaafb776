import { ATTACHED_PROGRAM } from "../attached-program.ts";
import type { Argument, Command, Flag, Line } from "../command.ts";
import { METADATA, readOffset, readPid } from "../commands/attach-flags.ts";
import { attaching } from "./attach-flags.ts";

const TRACEPOINT: Argument = {
  name: "tracepoint",
  doc: ["Required: The tracepoint, as GROUP/NAME.", "Example: sched/sched_switch"],
  completes: "tracepoint",
};
const KERNEL_FUNCTION: Argument = {
  name: "fn-name",
  doc: ["Required: The kernel function."],
  completes: "kernel-function",
};
const TARGET: Argument = {
  name: "target",
  doc: ["Required: Absolute path of a binary or library, or the name of a library such as libc."],
  completes: "target",
};
const OFFSET: Flag = { long: "offset", takes: "one", doc: ["Optional: Bytes from the start of the function."] };
const FN_NAME: Flag = {
  long: "fn-name",
  short: "f",
  takes: "one",
  completes: "target-function",
  doc: ["Optional: The function in the target. Without it the offset counts from the start of the file."],
};
const PID: Flag = {
  long: "pid",
  takes: "one",
  completes: "pid",
  doc: ["Optional: Only for this process; 0 stands for all of them."],
};
const CONTAINER_PID: Flag = {
  long: "container-pid",
  takes: "one",
  completes: "pid",
  doc: ["Optional: Look the target up as this process sees it, by its pid on the host."],
};

/** 0 is how newer bpfman writes "none". */
const readOptionalPid = (line: Line, flag: Flag): number | null =>
  line.value(flag) === "0" ? null : readPid(line, flag);

export const attachTracepoint: Command = {
  args: [ATTACHED_PROGRAM, TRACEPOINT],
  flags: [METADATA],
  examples: [
    {
      does: "Run it whenever a process opens a file",
      line: "bpfman link attach tracepoint 63178 syscalls/sys_enter_openat",
    },
  ],
  prepare: (line) => attaching(line, { kind: "tracepoint", tracepoint: line.word(TRACEPOINT) }),
};

export const attachKprobe: Command = {
  args: [ATTACHED_PROGRAM, KERNEL_FUNCTION],
  flags: [OFFSET, METADATA],
  examples: [
    {
      does: "Run it whenever the kernel enters a function (or leaves it, for a kretprobe)",
      line: "bpfman link attach kprobe 63178 try_to_wake_up",
    },
  ],
  prepare: (line) =>
    attaching(line, { kind: "kprobe", fnName: line.word(KERNEL_FUNCTION), offset: readOffset(line, OFFSET) }),
};

export const attachUprobe: Command = {
  args: [ATTACHED_PROGRAM, TARGET],
  flags: [FN_NAME, OFFSET, PID, CONTAINER_PID, METADATA],
  examples: [
    {
      does: "Run it whenever any process calls malloc (or returns from it, for a uretprobe)",
      line: "bpfman link attach uprobe 63178 libc -f malloc",
    },
    { does: "For one process only", line: "bpfman link attach uprobe 63178 /usr/sbin/nginx -f main --pid 4711" },
  ],
  prepare: (line) =>
    attaching(line, {
      kind: "uprobe",
      target: line.word(TARGET),
      fnName: line.value(FN_NAME),
      offset: readOffset(line, OFFSET),
      pid: readOptionalPid(line, PID),
      containerPid: readOptionalPid(line, CONTAINER_PID),
    }),
};

const tracing = (kind: "fentry" | "fexit" | "lsm"): Command => ({
  args: [ATTACHED_PROGRAM],
  flags: [METADATA],
  examples: [{ does: "Attach it to what was named when it was loaded", line: `bpfman link attach ${kind} 63178` }],
  prepare: (line) => attaching(line, { kind }),
});

export const attachFentry = tracing("fentry");
export const attachFexit = tracing("fexit");
export const attachLsm = tracing("lsm");
