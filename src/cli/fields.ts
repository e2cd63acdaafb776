/** Fields used by several kinds of commands. Commands that need other help texts derive from them. */
import { required, toggle } from "./command.ts";
import { parseLink, parseProgram } from "./parse/word.ts";

export const PROGRAM_ID = required(
  {
    long: "program-id",
    completes: "program-id",
    doc: [
      "Program to attach: its ID, or its name if no other program has it.",
      "Also as APPLICATION/NAME. See `bpfman list programs`.",
    ],
  },
  parseProgram,
);

export const LINK_ID = required(
  {
    long: "link-id",
    completes: "link-id",
    doc: [
      "Link to show: its ID, or the name of its program if that has only one link.",
      "Also as APPLICATION/NAME. See `bpfman list links`.",
    ],
  },
  parseLink,
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

export const QUIET = toggle({
  long: "quiet",
  short: "q",
  doc: ["Print only IDs, one per line. With -o json, as a list."],
});

export const DRY_RUN = toggle({ long: "dry-run", doc: ["Print what would be done, and change nothing."] });
