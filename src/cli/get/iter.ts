import { defineCommand, vary } from "../command.ts";
import { LINK_ID } from "../fields.ts";

export const readIterator = defineCommand(() => ({
  description: [
    "Runs the program of an iterator link, and prints what it writes.",
    "Each time the program visits everything anew. With -o json: one JSON string.",
  ],
  fields: {
    linkId: vary(LINK_ID, {
      doc: ["Link of the iterator: its ID, or the name of its program.", "See `bpfman list links`."],
    }),
  },
  classic: {
    words: ["linkId"],
    examples: { "Print what the program of link 3 writes": "bpfman iter 3" },
  },
  noun: {
    words: ["linkId"],
    examples: { "Print what the program of link 3 writes": "bpfman link read 3" },
  },
  prepare: (request) => (session) => session.streamText("link/read", request),
}));
