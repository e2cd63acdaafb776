import { defineCommand } from "../command.ts";
import { PROGRAM_ID } from "../fields.ts";
import { attaching, METADATA } from "./fields.ts";

/** The function or LSM hook was chosen at load time, so there is no target to specify. */
const tracing = (kind: "fentry" | "fexit" | "lsm") =>
  defineCommand({
    fields: { programId: PROGRAM_ID, metadata: METADATA },
    classic: {
      above: ["programId"],
      examples: { "Attach it to the function or hook named when it was loaded": `bpfman attach 63178 ${kind}` },
    },
    noun: {
      words: ["programId"],
      examples: { "Attach it to the function or hook named when it was loaded": `bpfman link attach ${kind} 63178` },
    },
    prepare: (link) => attaching(link, { kind }),
  });

export const attachFentry = tracing("fentry");
export const attachFexit = tracing("fexit");
export const attachLsm = tracing("lsm");
