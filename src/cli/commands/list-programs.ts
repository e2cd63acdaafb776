import type { Command, Flag } from "../command.ts";
import { parseMetadata } from "../parse/metadata.ts";
import { parseProgramType, PROGRAM_TYPE_FILTER_WORDS } from "../parse/program-type.ts";
import { renderProgramList } from "../render/lists.ts";

const PROGRAM_TYPE: Flag = {
  long: "program-type",
  short: "p",
  takes: "one",
  choices: PROGRAM_TYPE_FILTER_WORDS,
  doc: [
    "Optional: List programs by a specific program type.",
    "Example: --program-type xdp",
    "",
    "[possible values: unspec, socket-filter, probe, tc, sched-act,",
    "                  tracepoint, xdp, perf-event, cgroup-skb,",
    "                  cgroup-sock, lwt-in, lwt-out, lwt-xmit, sock-ops,",
    "                  sk-skb, cgroup-device, sk-msg, raw-tracepoint,",
    "                  cgroup-sock-addr, lwt-seg6-local, lirc-mode2,",
    "                  sk-reuseport, flow-dissector, cgroup-sysctl,",
    "                  raw-tracepoint-writable, cgroup-sockopt, tracing,",
    "                  struct-ops, ext, lsm, sk-lookup, syscall]",
    "",
    "bpfman's own types work as well: tcx, kprobe, kretprobe, uprobe,",
    "uretprobe, fentry, fexit.",
  ],
};
const APPLICATION: Flag = {
  long: "application",
  takes: "one",
  doc: ["Optional: List programs loaded under the same application tag.", "Example: --application go-app"],
};
const METADATA_SELECTOR: Flag = {
  long: "metadata-selector",
  short: "m",
  takes: "commas",
  doc: [
    "Optional: List programs which contain a specific set of metadata labels",
    "that were applied when the program was loaded with `--metadata` parameter.",
    "Format: <KEY>=<VALUE>",
    "Example: --metadata-selector owner=acme",
  ],
};
const ALL: Flag = { long: "all", short: "a", takes: "nothing", doc: ["Optional: List all programs."] };

export const listPrograms: Command = {
  args: [],
  flags: [PROGRAM_TYPE, APPLICATION, METADATA_SELECTOR, ALL],
  examples: [
    { does: "Programs of one application", line: "bpfman list programs --application go-app" },
    { does: "Every program in the kernel, also those that bpfman did not load", line: "bpfman list programs --all" },
  ],
  prepare(line) {
    const request = {
      programType: parseProgramType(line.value(PROGRAM_TYPE)),
      application: line.value(APPLICATION),
      metadataSelector: parseMetadata(line.values(METADATA_SELECTOR)),
      all: line.has(ALL),
    };
    return async (session) => {
      const view = session.output === "json" ? "full" : "summary";
      session.print(await session.invoke("program/list", { ...request, view }), renderProgramList);
    };
  },
};
