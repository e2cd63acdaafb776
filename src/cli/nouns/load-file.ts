import type { Argument, Command } from "../command.ts";
import { renderLoad } from "../render/program.ts";
import { LOAD_FLAGS, readLoadFlags } from "./load-flags.ts";

const PATH: Argument = { name: "path", doc: ["Required: Object file with the programs."], completes: "object" };

export const loadFile: Command = {
  args: [PATH],
  flags: LOAD_FLAGS,
  examples: [
    { does: "Load one program", line: "bpfman program load file counter.o --programs xdp:xdp_stats" },
    {
      does: "Load two programs that share their maps, with a global variable set to 10 (little endian)",
      line: "bpfman program load counter.o --programs tcx:count,tracepoint:on_open -g LIMIT=0x0A000000 -a counter",
    },
  ],
  prepare(line) {
    const request = { source: { file: line.word(PATH) }, ...readLoadFlags(line) };
    return async (session) => session.print(await session.invoke("program/load", request), renderLoad);
  },
};
