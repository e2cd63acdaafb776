import { asking, defineCommand } from "../command.ts";
import { LINK_ID } from "../fields.ts";
import { renderLink } from "../render/link.ts";

export const getLink = defineCommand(() => ({
  fields: { linkId: LINK_ID },
  classic: { words: ["linkId"], examples: { "Show where a link is attached": "bpfman get link 3" } },
  noun: {
    words: ["linkId"],
    examples: { "Show where a link is attached, as JSON": "bpfman link get 3 -o json" },
  },
  prepare: (request) => asking("link/get", request, renderLink),
}));
