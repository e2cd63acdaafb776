import { defineCommand, required } from "../command.ts";
import { PROGRAM_ID } from "../fields.ts";
import { attaching, METADATA } from "./fields.ts";

const TRACEPOINT = required({
  long: "tracepoint",
  short: "t",
  completes: "tracepoint",
  doc: ["Tracepoint to attach to, as GROUP/NAME.", "Example: --tracepoint sched/sched_switch"],
  noun: { doc: ["Tracepoint to attach to, as GROUP/NAME.", "Example: sched/sched_switch"] },
});

export const attachTracepoint = defineCommand({
  fields: { programId: PROGRAM_ID, tracepoint: TRACEPOINT, metadata: METADATA },
  classic: {
    above: ["programId"],
    examples: {
      "Run it whenever a process opens a file": "bpfman attach 63178 tracepoint --tracepoint syscalls/sys_enter_openat",
    },
  },
  noun: {
    words: ["programId", "tracepoint"],
    examples: {
      "Run it whenever a process opens a file": "bpfman link attach tracepoint 63178 syscalls/sys_enter_openat",
    },
  },
  prepare: ({ tracepoint, ...link }) => attaching(link, { kind: "tracepoint", tracepoint }),
});
