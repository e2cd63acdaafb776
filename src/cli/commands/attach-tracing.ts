import type { Command } from "../command.ts";
import { attaching, METADATA } from "./attach-flags.ts";

/** The function or LSM hook they attach to was chosen at load: nothing is left to say here. */
const tracing = (kind: "fentry" | "fexit" | "lsm"): Command => ({
  args: [],
  flags: [METADATA],
  examples: [
    { does: "Attach it to the function that was named when it was loaded", line: `bpfman attach 63178 ${kind}` },
  ],
  prepare: (line) => attaching(line, { kind }),
});

export const attachFentry = tracing("fentry");
export const attachFexit = tracing("fexit");
export const attachLsm = tracing("lsm");
