import type { Command } from "../command.ts";
import { renderBuildArgs } from "../render-image-build.ts";
import { BYTECODE_FLAGS, readBytecode } from "./bytecode-flags.ts";

export const generateBuildArgs: Command = {
  description: [
    "Prints the build arguments that a Containerfile for bytecode images takes: where each bytecode file is, and the",
    "image's labels with the programs and maps of the first one.",
  ],
  args: [],
  flags: BYTECODE_FLAGS,
  examples: [
    {
      does: "Show the build arguments for two platforms",
      line: "bpfman image generate-build-args --bc-amd64-el bpf_x86_bpfel.o --bc-s390x-eb bpf_s390_bpfeb.o",
    },
  ],
  prepare(line) {
    const request = { bytecode: readBytecode(line) };
    return async (session) => session.print(await session.invoke("image/generateBuildArgs", request), renderBuildArgs);
  },
};
