import type { Command, Flag } from "../command.ts";
import { attaching, METADATA } from "./attach-flags.ts";

const TRACEPOINT: Flag = {
  long: "tracepoint",
  short: "t",
  takes: "one",
  required: true,
  completes: "tracepoint",
  doc: ["Required: The tracepoint to attach to.", 'Example: --tracepoint "sched/sched_switch"'],
};

export const attachTracepoint: Command = {
  args: [],
  flags: [TRACEPOINT, METADATA],
  examples: [
    {
      does: "Run it whenever a process opens a file",
      line: "bpfman attach 63178 tracepoint --tracepoint syscalls/sys_enter_openat",
    },
  ],
  prepare: (line) => attaching(line, { kind: "tracepoint", tracepoint: line.value(TRACEPOINT) }),
};
