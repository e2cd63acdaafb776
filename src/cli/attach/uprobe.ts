import { ifGiven, optional, required, vary } from "../command.ts";
import { parsePid, zeroForNone } from "../parse/number.ts";
import { attachTo, CONTAINER_PID, FN_NAME, OFFSET } from "./fields.ts";

const TARGET_FUNCTION = ifGiven(FN_NAME, {
  completes: "target-function",
  doc: ["Function of the target to attach to.", "Without it, the offset counts from the start of the file."],
});
const TARGET_OFFSET = vary(OFFSET, {
  doc: [
    "Offset from the start of the function, or of the file, in bytes.",
    "On a uretprobe, an offset past the entry can crash the target.",
  ],
});
const TARGET = required({
  long: "target",
  short: "t",
  completes: "target",
  doc: ["Absolute path of a binary or library, or a library's name.", "Example: --target libc"],
  noun: { doc: ["Absolute path of a binary or library, or a library's name.", "Example: libc"] },
});
const PID = optional(
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

export const attachUprobe = attachTo("uprobe", {
  target: { fnName: TARGET_FUNCTION, offset: TARGET_OFFSET, target: TARGET, pid: PID, containerPid: CONTAINER_PID },
  words: ["target"],
  classic: {
    "Run it when a process calls malloc (a uretprobe: when malloc returns)":
      "bpfman attach 63178 uprobe --target libc --fn-name malloc",
    "Run it in one process only": "bpfman attach 63178 uprobe -t /usr/sbin/nginx -f main --pid 4711",
  },
  noun: {
    "Run it when a process calls malloc (a uretprobe: when malloc returns)":
      "bpfman link attach uprobe 63178 libc -f malloc",
    "Run it in one process only": "bpfman link attach uprobe 63178 /usr/sbin/nginx -f main --pid 4711",
  },
});
