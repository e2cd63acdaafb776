import type { Command } from "../command.ts";
import { renderBuildArgs } from "../render/image-build.ts";
import { BYTECODE_FLAGS, BYTECODE_WORDS, readBytecode } from "./bytecode-flags.ts";

export const generateBuildArgs: Command = {
  description: [
    "Prints the build arguments that a Containerfile for bytecode images takes: where each bytecode file is, and the",
    "image's labels with the programs and maps of the first one.",
  ],
  args: [BYTECODE_WORDS],
  flags: BYTECODE_FLAGS,
  examples: [
    {
      does: "Show the build arguments for two platforms",
      line: "bpfman image generate-build-args --bc-amd64-el bpf_x86_bpfel.o --bc-s390x-eb bpf_s390_bpfeb.o",
    },
    {
      does: "The same in the noun-verb grammar",
      line: "bpfman image generate-build-args linux/amd64=bpf_x86_bpfel.o linux/s390x=bpf_s390_bpfeb.o",
    },
  ],
  prepare(line) {
    const request = { bytecode: readBytecode(line, line.words(BYTECODE_WORDS)) };
    return async (session) => session.print(await session.invoke("image/generateBuildArgs", request), renderBuildArgs);
  },
};
