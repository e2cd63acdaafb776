/**
 * Labels of programs and links, which lists can filter by. Commands that need other help texts derive from these
 * fields.
 */
import { optional, several } from "./command.ts";
import { gatherMetadata, lastOfEach, parseMetadata, parseNounMetadata } from "./parse/pairs.ts";

export const METADATA = several(
  {
    takes: "commas",
    long: "metadata",
    short: "m",
    completes: "metadata",
    doc: [
      "Metadata to store with the programs. Lists can filter by it.",
      "Separate several pairs with commas, or repeat the option.",
      "Format: <KEY>=<VALUE>",
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
    "Application that the programs belong to. Lists can filter by it.",
    "It is stored as a metadata pair with a reserved key.",
    "Example: --application my-app",
  ],
  noun: {
    doc: [
      "Application that the programs belong to. Lists can filter by it.",
      "It is stored as metadata bpfman.io/application, and links inherit it.",
    ],
  },
});
