import { defineCommand, ifGiven, optional, required, vary } from "../command.ts";
import { PROGRAM_ID } from "../fields.ts";
import { parsePid, zeroForNone } from "../parse/number.ts";
import { attaching, CONTAINER_PID, FN_NAME, METADATA, OFFSET } from "./fields.ts";

const TARGET_FUNCTION = ifGiven(FN_NAME, {
  completes: "target-function",
  doc: [
    "Optional: Function to attach the uprobe to.",
    "C++ names are written without parameters: app::Server::handle.",
  ],
  noun: {
    doc: [
      "Optional: The function in the target. Without it the offset counts from the start of the file.",
      "C++ names are written without parameters: app::Server::handle.",
    ],
  },
});
const TARGET_OFFSET = vary(OFFSET, {
  doc: [
    "Optional: Offset added to the address of the target function (or",
    "beginning of target if no function is identified). Offsets are",
    "supported for uretprobes, but use with caution because they can",
    "result in unintended side effects.",
  ],
});
const TARGET = required({
  long: "target",
  short: "t",
  completes: "target",
  doc: ["Required: Library name or the absolute path to a binary or library.", 'Example: --target "libc".'],
  noun: { doc: ["Required: Absolute path of a binary or library, or the name of a library such as libc."] },
});
const PID = optional(
  {
    long: "pid",
    short: "p",
    completes: "pid",
    doc: [
      "Optional: Only execute uprobe for given process identification number (PID).",
      "If PID is not provided, uprobe executes for all PIDs.",
    ],
    noun: {
      short: undefined,
      doc: ["Optional: Only for this process; 0 stands for all of them."],
      parse: zeroForNone(parsePid),
    },
  },
  parsePid,
);

export const attachUprobe = defineCommand({
  fields: {
    programId: PROGRAM_ID,
    fnName: TARGET_FUNCTION,
    offset: TARGET_OFFSET,
    target: TARGET,
    pid: PID,
    containerPid: CONTAINER_PID,
    metadata: METADATA,
  },
  classic: {
    above: ["programId"],
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
  },
  noun: {
    words: ["programId", "target"],
    examples: [
      {
        does: "Run it whenever any process calls malloc (or returns from it, for a uretprobe)",
        line: "bpfman link attach uprobe 63178 libc -f malloc",
      },
      { does: "For one process only", line: "bpfman link attach uprobe 63178 /usr/sbin/nginx -f main --pid 4711" },
    ],
  },
  prepare: ({ target, fnName, offset, pid, containerPid, ...link }) =>
    attaching(link, { kind: "uprobe", target, fnName, offset, pid, containerPid }),
});
