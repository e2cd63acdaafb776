import type { Command, Flag } from "../command.ts";
import { attaching, METADATA, readOffset, readPid } from "./attach-flags.ts";

const FN_NAME: Flag = {
  long: "fn-name",
  short: "f",
  takes: "one",
  required: true,
  completes: "kernel-function",
  doc: ["Required: Function to attach the kprobe to."],
};
const OFFSET: Flag = {
  long: "offset",
  short: "o",
  takes: "one",
  doc: ["Optional: Offset added to the address of the function for kprobe.", "Not allowed for kretprobes."],
};
const CONTAINER_PID: Flag = {
  long: "container-pid",
  short: "c",
  takes: "one",
  completes: "pid",
  doc: ["Optional: Host PID of container to attach the kprobe in.", "(NOT CURRENTLY SUPPORTED)"],
};

export const attachKprobe: Command = {
  args: [],
  flags: [FN_NAME, OFFSET, CONTAINER_PID, METADATA],
  examples: [
    {
      does: "Run it whenever the kernel enters a function (or leaves it, for a kretprobe)",
      line: "bpfman attach 63178 kprobe --fn-name try_to_wake_up",
    },
  ],
  prepare: (line) =>
    attaching(line, {
      kind: "kprobe",
      fnName: line.value(FN_NAME),
      offset: readOffset(line, OFFSET),
      containerPid: readPid(line, CONTAINER_PID),
    }),
};
