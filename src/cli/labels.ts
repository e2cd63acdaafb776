/** What programs and links are labelled with, and lists filter by. Where a command says more, it varies these fields. */
import { optional, several } from "./command.ts";
import { gatherMetadata, lastOfEach, parseMetadata, parseNounMetadata } from "./parse/pairs.ts";

export const METADATA = several(
  {
    takes: "commas",
    long: "metadata",
    short: "m",
    completes: "metadata",
    doc: [
      "Optional: Specify Key/Value metadata to be attached to a program when it",
      "is loaded by bpfman.",
      "Format: <KEY>=<VALUE>",
      "",
      "This can later be used to `list` a certain subset of programs which contain",
      "the specified metadata.",
      "Example: --metadata owner=acme",
    ],
    noun: { parse: parseNounMetadata, gather: lastOfEach },
  },
  parseMetadata,
  gatherMetadata,
);

export const APPLICATION = optional({
  long: "application",
  short: "a",
  completes: "application",
  doc: [
    "Optional: Application is used to group multiple programs that are loaded together",
    "under the same load command. This actually creates a special <KEY>=<VALUE> in the",
    "metadata parameter. It can be used to filer on list commands.",
    "Example: --application TestEbpfApp",
  ],
  noun: {
    doc: [
      "Optional: Application that the programs belong to.",
      "It is kept as metadata bpfman.io/application; links inherit it, lists filter by it.",
    ],
  },
});
