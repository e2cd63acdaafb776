import type { Command, Flag } from "../command.ts";
import { renderLoad } from "../render/program.ts";
import { PROGRAMS } from "./load-flags.ts";
import { LOAD_FLAGS, loadRequest } from "./load-request.ts";

const PATH: Flag = {
  long: "path",
  short: "p",
  takes: "one",
  required: true,
  completes: "object",
  doc: [
    "Required: Location of local bytecode file",
    "Example: --path /run/bpfman/examples/go-xdp-counter/bpf_x86_bpfel.o",
  ],
};

export const loadFile: Command = {
  args: [],
  flags: [PROGRAMS, PATH, ...LOAD_FLAGS],
  examples: [
    {
      does: "Load one program",
      line: "bpfman load file --path bpf_x86_bpfel.o --programs xdp:xdp_stats",
    },
    {
      does: "Load two programs that share their maps, with a global variable set to 10 (little endian)",
      line: "bpfman load file -p counter.o --programs tcx:count tracepoint:on_open -g LIMIT=0A000000 -a counter",
    },
  ],
  prepare(line) {
    const request = { source: { file: line.value(PATH) }, ...loadRequest(line) };
    return async (session) => session.print(await session.invoke("program/load", request), renderLoad);
  },
};
