import type { Command } from "../command.ts";
import { renderLoad } from "../render/program.ts";
import { PULL_FLAGS, pullRequest } from "./image-flags.ts";
import { PROGRAMS } from "./load-flags.ts";
import { LOAD_FLAGS, loadRequest } from "./load-request.ts";

export const loadImage: Command = {
  args: [],
  flags: [PROGRAMS, ...PULL_FLAGS, ...LOAD_FLAGS],
  examples: [
    {
      does: "Load one program of an image, pulling it unless it is in the cache",
      line: "bpfman load image --image-url quay.io/bpfman-bytecode/xdp_pass:latest --programs xdp:pass",
    },
    {
      does: "Load what was pulled before, without a network",
      line: "bpfman load image -i localhost:5000/counter:v1 -p Never --programs tcx:count tracepoint:on_open -a counter",
    },
  ],
  prepare(line) {
    const request = { source: { image: pullRequest(line) }, ...loadRequest(line) };
    return async (session) => session.print(await session.invoke("program/load", request), renderLoad);
  },
};
