import type { Command } from "../command.ts";
import { renderPulled } from "../render/image.ts";
import { PULL_FLAGS, pullRequest } from "./image-flags.ts";

export const pullImage: Command = {
  args: [],
  flags: PULL_FLAGS,
  examples: [
    {
      does: "Put an image into the cache, so that it can be loaded without a network",
      line: "bpfman image pull --image-url quay.io/bpfman-bytecode/xdp_pass:latest",
    },
    {
      does: "Ask the registry even if it is there, with a login",
      line: "bpfman image pull -i localhost:5000/counter:v1 -p Always -r dXNlcjpwYXNzd29yZA==",
    },
  ],
  prepare(line) {
    const request = pullRequest(line);
    return async (session) => session.print(await session.invoke("image/pull", request), renderPulled);
  },
};
