import { XDP_ACTIONS } from "../../domain/actions.ts";
import type { Command, Flag } from "../command.ts";
import { parseWord } from "../parse/word.ts";
import { attaching, IFACE, METADATA, NETNS, PRIORITY, readNetwork } from "./attach-flags.ts";

const ACTIONS = Object.keys(XDP_ACTIONS);

const PROCEED_ON: Flag = {
  long: "proceed-on",
  takes: "list",
  choices: ACTIONS,
  doc: [
    "Optional: Proceed to call other programs in chain on this exit code.",
    "Multiple values supported by repeating the parameter.",
    "Example: --proceed-on pass --proceed-on drop",
    "",
    "[possible values: aborted, drop, pass, tx, redirect, dispatcher_return]",
    "",
    "[default: pass, dispatcher_return]",
  ],
};

export const attachXdp: Command = {
  args: [],
  flags: [IFACE, PRIORITY, PROCEED_ON, NETNS, METADATA],
  examples: [
    { does: "Run it on every packet that eth0 receives", line: "bpfman attach 63178 xdp --iface eth0 --priority 50" },
    {
      does: "Go on to the next program also when this one drops",
      line: "bpfman attach 63178 xdp -i eth0 -p 50 --proceed-on pass drop",
    },
  ],
  prepare(line) {
    const proceedOn = line
      .values(PROCEED_ON)
      .map((word) => parseWord(word, { what: "proceed-on", words: ACTIONS, code: "INVALID_ATTACH" }));
    return attaching(line, { kind: "xdp", ...readNetwork(line), proceedOn });
  },
};
