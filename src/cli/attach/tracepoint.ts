import { required } from "../command.ts";
import { attachTo } from "./fields.ts";

const TRACEPOINT = required({
  long: "tracepoint",
  short: "t",
  completes: "tracepoint",
  doc: ["Tracepoint to attach to, as GROUP/NAME.", "Example: --tracepoint sched/sched_switch"],
  noun: { doc: ["Tracepoint to attach to, as GROUP/NAME.", "Example: sched/sched_switch"] },
});

export const attachTracepoint = attachTo("tracepoint", {
  target: { tracepoint: TRACEPOINT },
  words: ["tracepoint"],
  classic: {
    "Run it whenever a process opens a file": "bpfman attach 63178 tracepoint --tracepoint syscalls/sys_enter_openat",
  },
  noun: {
    "Run it whenever a process opens a file": "bpfman link attach tracepoint 63178 syscalls/sys_enter_openat",
  },
});
