/** Fields of more than one subject. Where a command says more, it varies them. */
import { required, toggle } from "./command.ts";
import { parseLinkId, parseProgramId } from "./parse/number.ts";

export const PROGRAM_ID = required(
  {
    long: "program-id",
    completes: "program-id",
    doc: ["Required: Program Id to be attached.", "It stands in the first column of `bpfman list programs`."],
  },
  parseProgramId,
);

export const LINK_ID = required(
  { long: "link-id", completes: "link-id", doc: ["Required: Link Id to get.", "See `bpfman list links`."] },
  parseLinkId,
);

export const IGNORE_MISSING = toggle({
  long: "ignore-missing",
  doc: ["Optional: An id that is not there is a success."],
});

export const ALL = toggle({
  long: "all",
  short: "a",
  doc: ["Optional: List all programs."],
  noun: { doc: ["Optional: Also programs that bpfman did not load."] },
});
