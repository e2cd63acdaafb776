import type { Command, Flag } from "../command.ts";
import { parseGlobals } from "../parse-global.ts";
import { parseMetadata } from "../parse-metadata.ts";
import { parseProgramId } from "../parse-number.ts";
import { parseSelector } from "../parse-selector.ts";
import { renderLoad } from "../render-program.ts";
import { APPLICATION, GLOBAL, MAP_OWNER_ID, METADATA, PROGRAMS } from "./load-flags.ts";

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
  flags: [PROGRAMS, PATH, GLOBAL, APPLICATION, METADATA, MAP_OWNER_ID],
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
    const mapOwnerId = line.value(MAP_OWNER_ID);
    const request = {
      source: { file: line.value(PATH) },
      programs: line.values(PROGRAMS).map(parseSelector),
      globalData: parseGlobals(line.values(GLOBAL)),
      metadata: parseMetadata(line.values(METADATA)),
      application: line.value(APPLICATION),
      mapOwnerId: mapOwnerId === null ? null : parseProgramId(mapOwnerId),
    };
    return async (session) => session.print(await session.invoke("program/load", request), renderLoad);
  },
};
