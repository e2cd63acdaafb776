import { PRIORITY_WIDE_MAX } from "../../domain/limits.ts";
import { BpfmanError } from "../../errors/error.ts";
import { asking, defineCommand, ifGiven, vary } from "../command.ts";
import { LINK_ID } from "../fields.ts";
import { parsePriority } from "../parse/number.ts";
import { renderLink } from "../render/link.ts";
import { PRIORITY, PROCEED_ON } from "./hooks.ts";

export const updateLink = defineCommand({
  description: [
    "Changes the position of a live XDP or TC link in its chain, or the return values",
    "after which the chain continues. The chain is swapped atomically, so the program",
    "stays attached throughout.",
  ],
  fields: {
    linkId: vary(LINK_ID, { doc: ["ID of the link to change."] }),
    priority: ifGiven(PRIORITY, {
      doc: ["New position in the chain; lower values run first.", "[possible values: 0-2147483647]"],
      parse: parsePriority(PRIORITY_WIDE_MAX),
      noun: {},
    }),
    proceedOn: PROCEED_ON,
  },
  noun: {
    words: ["linkId"],
    examples: { "Make the program of link 3 run first": "bpfman link update 3 --priority 0" },
  },
  prepare({ linkId, priority, proceedOn }) {
    if (priority === null && proceedOn.length === 0) {
      throw new BpfmanError("USAGE", "nothing to update: give --priority, --proceed-on, or both");
    }
    return asking(
      "link/update",
      { linkId, priority, proceedOn: proceedOn.length === 0 ? null : proceedOn },
      renderLink,
    );
  },
});
