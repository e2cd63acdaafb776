import type { Argument, Command } from "../command.ts";
import { renderInspected } from "../render-image.ts";
import { REGISTRY_AUTH } from "./image-flags.ts";

const IMAGE: Argument = {
  name: "image",
  doc: [
    "Required: Name of the image, with a tag, a digest, or both.",
    "Example: quay.io/bpfman-bytecode/xdp_pass:latest",
  ],
};

export const inspectImage: Command = {
  args: [IMAGE],
  flags: [REGISTRY_AUTH],
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
