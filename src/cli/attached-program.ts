import type { Argument } from "./command.ts";

/** The word between `attach` and the kind of hook. */
export const ATTACHED_PROGRAM: Argument = {
  name: "program-id",
  doc: ["Required: Program Id to be attached.", "It stands in the first column of `bpfman list programs`."],
  completes: "program-id",
};
