import type { Command } from "../command.ts";
import { renderInspected } from "../render/image.ts";
import { IMAGE, REGISTRY_AUTH } from "./image-flags.ts";

export const inspectImage: Command = {
  args: [IMAGE],
  flags: [REGISTRY_AUTH],
  // As newer bpfman, whose command this is.
  output: "json",
  examples: [
    {
      does: "Show programs, maps and layers of an image, for each platform that it has",
      line: "bpfman image inspect quay.io/bpfman-bytecode/xdp_pass:latest",
    },
  ],
  prepare(line) {
    const request = { url: line.word(IMAGE), registryAuth: line.value(REGISTRY_AUTH) };
    return async (session) => session.print(await session.invoke("image/inspect", request), renderInspected);
  },
};
