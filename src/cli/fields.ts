/** Fields used by several kinds of commands. Commands that need other help texts derive from them. */
import { required, toggle } from "./command.ts";
import { parseLinkId, parseProgramId } from "./parse/word.ts";

export const PROGRAM_ID = required(
  {
    long: "program-id",
    completes: "program-id",
    doc: ["ID of the program to attach.", "See the first column of `bpfman list programs`."],
  },
  parseProgramId,
);

export const LINK_ID = required(
  { long: "link-id", completes: "link-id", doc: ["ID of the link to show.", "See `bpfman list links`."] },
  parseLinkId,
);

export const ALL = toggle({ long: "all", short: "a", doc: ["Include programs that bpfman did not load."] });

export const MAP = required({
  long: "map",
  completes: "map",
  doc: [
    "The map: its ID, PROGRAM_ID/NAME, APPLICATION/NAME, a name, or a pin's path.",
    "A name is enough if only one of bpfman's maps has it. See `bpfman map list`.",
  ],
});
