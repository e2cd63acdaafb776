import type { Command } from "../command.ts";
import { IMAGE, PULL_POLICY, REGISTRY_AUTH } from "../commands/image-flags.ts";
import { renderLoad } from "../render/program.ts";
import { LOAD_FLAGS, readLoadFlags } from "./load-flags.ts";

export const loadImage: Command = {
  args: [IMAGE],
  flags: [...LOAD_FLAGS, PULL_POLICY, REGISTRY_AUTH],
  examples: [
    {
      does: "Load one program of an image, pulling it unless it is in the cache",
      line: "bpfman program load image quay.io/bpfman-bytecode/xdp_pass:latest --programs xdp:pass",
    },
    {
      does: "Load what was pulled before, without a network",
      line: "bpfman program load image localhost:5000/counter:v1 -p Never --programs tcx:count -a counter",
    },
  ],
  prepare(line) {
    const pullPolicy = line.value(PULL_POLICY);
    const image = {
      url: line.word(IMAGE),
      registryAuth: line.value(REGISTRY_AUTH),
      ...(pullPolicy === null ? {} : { pullPolicy }),
    };
    const request = { source: { image }, ...readLoadFlags(line) };
    return async (session) => session.print(await session.invoke("program/load", request), renderLoad);
  },
};
