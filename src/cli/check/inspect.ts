import { existsSync } from "node:fs";
import { asking, defineCommand } from "../command.ts";
import { REGISTRY_AUTH } from "../image/fields.ts";
import { renderObject } from "../render/object.ts";
import { OBJECT } from "./check.ts";

/** A tag or a digest behind the last slash, as hardly any file has. */
const IMAGE = /^(?!\.{0,2}\/).*[^/:@][:@][^/]+$/;

export const inspect = defineCommand(() => ({
  description: [
    "Show what an object file or an image contains: programs, maps, global",
    "variables with their values, and what the kernel must have for them.",
    "",
    "Only bytes are read: this needs neither root nor a kernel with eBPF. An image",
    "is fetched from its registry, and nothing is kept.",
  ],
  fields: { file: OBJECT, registryAuth: REGISTRY_AUTH },
  classic: {
    words: ["file"],
    examples: {
      "Show what is in an object": "bpfman inspect counter.o",
      "Show what is in an image": "bpfman inspect quay.io/bpfman-bytecode/xdp_pass:latest",
    },
  },
  prepare: ({ file, registryAuth }) =>
    asking(
      "object/inspect",
      IMAGE.test(file) && !existsSync(file) ? { image: { url: file, registryAuth } } : { file },
      renderObject,
    ),
}));
