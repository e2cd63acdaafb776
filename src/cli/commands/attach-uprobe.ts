import type { Command, Flag } from "../command.ts";
import { attaching, METADATA, readOffset, readPid } from "./attach-flags.ts";

const FN_NAME: Flag = {
  long: "fn-name",
  short: "f",
  takes: "one",
  completes: "target-function",
  doc: ["Optional: Function to attach the uprobe to."],
};
const OFFSET: Flag = {
  long: "offset",
  short: "o",
  takes: "one",
  doc: [
    "Optional: Offset added to the address of the target function (or",
    "beginning of target if no function is identified). Offsets are",
    "supported for uretprobes, but use with caution because they can",
    "result in unintended side effects.",
  ],
};
const TARGET: Flag = {
  long: "target",
  short: "t",
  takes: "one",
  required: true,
  completes: "target",
  doc: ["Required: Library name or the absolute path to a binary or library.", 'Example: --target "libc".'],
};
const PID: Flag = {
  long: "pid",
  short: "p",
  takes: "one",
  completes: "pid",
  doc: [
    "Optional: Only execute uprobe for given process identification number (PID).",
    "If PID is not provided, uprobe executes for all PIDs.",
  ],
};
const CONTAINER_PID: Flag = {
  long: "container-pid",
  short: "c",
  takes: "one",
  completes: "pid",
  doc: [
    "Optional: Host PID of container to attach the uprobe in.",
    "Paths and library names are looked up in that process's mount namespace.",
  ],
};

export const attachUprobe: Command = {
  args: [],
  flags: [FN_NAME, OFFSET, TARGET, PID, CONTAINER_PID, METADATA],
  examples: [
    {
      does: "Run it whenever any process calls malloc (or returns from it, for a uretprobe)",
      line: "bpfman attach 63178 uprobe --target libc --fn-name malloc",
    },
    {
      does: "For one process only",
      line: "bpfman attach 63178 uprobe -t /usr/sbin/nginx -f main --pid 4711",
    },
  ],
  prepare: (line) =>
    attaching(line, {
      kind: "uprobe",
      target: line.value(TARGET),
      fnName: line.value(FN_NAME),
      offset: readOffset(line, OFFSET),
      pid: readPid(line, PID),
      containerPid: readPid(line, CONTAINER_PID),
    }),
};
