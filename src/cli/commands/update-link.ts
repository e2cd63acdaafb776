import { TC_ACTIONS, XDP_ACTIONS } from "../../domain/actions.ts";
import { BpfmanError } from "../../errors/error.ts";
import type { Argument, Command, Flag } from "../command.ts";
import { parseLinkId, parseWidePriority } from "../parse/number.ts";
import { parseWord } from "../parse/word.ts";
import { renderLink } from "../render/link.ts";

const ACTIONS = [...new Set([...Object.keys(XDP_ACTIONS), ...Object.keys(TC_ACTIONS)])];

const LINK_ID: Argument = { name: "link-id", doc: ["Required: Link Id to be changed."], completes: "link-id" };
const PRIORITY: Flag = {
  long: "priority",
  short: "p",
  takes: "one",
  doc: ["Optional: New priority in the chain. Lower value runs first.", "[possible values: 0-2147483647]"],
};
const PROCEED_ON: Flag = {
  long: "proceed-on",
  takes: "list",
  choices: ACTIONS,
  doc: [
    "Optional: Proceed to call other programs in chain on these exit codes.",
    "Multiple values supported by repeating the parameter.",
    "Example: --proceed-on pass --proceed-on drop",
  ],
};

export const updateLink: Command = {
  description: [
    "Changes the place of a live XDP or TC link in its chain, or the exit codes after which",
    "the chain goes on. The program is never off the hook: the chain is swapped as a whole.",
  ],
  args: [LINK_ID],
  flags: [PRIORITY, PROCEED_ON],
  examples: [{ does: "Let the program of link 3 run first", line: "bpfman link update 3 --priority 0" }],
  prepare(line) {
    const priority = line.value(PRIORITY);
    const proceedOn = line
      .values(PROCEED_ON)
      .map((word) => parseWord(word, { what: "proceed-on", words: ACTIONS, code: "INVALID_ATTACH" }));
    if (priority === null && proceedOn.length === 0) {
      throw new BpfmanError("USAGE", "nothing to update: give --priority, --proceed-on, or both");
    }
    const request = {
      linkId: parseLinkId(line.word(LINK_ID)),
      priority: priority === null ? null : parseWidePriority(priority),
      proceedOn: proceedOn.length === 0 ? null : proceedOn,
    };
    return async (session) => session.print(await session.invoke("link/update", request), renderLink);
  },
};
