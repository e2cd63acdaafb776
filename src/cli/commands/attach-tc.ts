import { TC_ACTIONS } from "../../domain/actions.ts";
import type { Command, Flag } from "../command.ts";
import { parseWord } from "../parse/word.ts";
import { attaching, DIRECTION, IFACE, METADATA, NETNS, PRIORITY, readDirection, readNetwork } from "./attach-flags.ts";

const ACTIONS = Object.keys(TC_ACTIONS);

const PROCEED_ON: Flag = {
  long: "proceed-on",
  takes: "list",
  choices: ACTIONS,
  doc: [
    "Optional: Proceed to call other programs in chain on this exit code.",
    "Multiple values supported by repeating the parameter.",
    "Example: --proceed-on ok --proceed-on pipe",
    "",
    "[possible values: unspec, ok, reclassify, shot, pipe, stolen, queued,",
    "                  repeat, redirect, trap, dispatcher_return]",
    "",
    "[default: ok, pipe, dispatcher_return]",
  ],
};

export const attachTc: Command = {
  args: [],
  flags: [DIRECTION, IFACE, PRIORITY, PROCEED_ON, NETNS, METADATA],
  examples: [
    {
      does: "Run it on every packet that eth0 receives",
      line: "bpfman attach 63178 tc --direction ingress --iface eth0 --priority 50",
    },
  ],
  prepare(line) {
    const proceedOn = line
      .values(PROCEED_ON)
      .map((word) => parseWord(word, { what: "proceed-on", words: ACTIONS, code: "INVALID_ATTACH" }));
    return attaching(line, { kind: "tc", ...readNetwork(line), direction: readDirection(line), proceedOn });
  },
};
