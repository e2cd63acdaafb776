import type { Command } from "../command.ts";
import { parseIfindex, parseNsid } from "../parse/number.ts";
import { renderDispatcher } from "../render/dispatcher.ts";
import { IFINDEX, NSID, parseDispatcherType, TYPE } from "./dispatcher-flags.ts";

export const getDispatcher: Command = {
  args: [TYPE, NSID, IFINDEX],
  flags: [],
  examples: [{ does: "The chain on a hook, first to last", line: "bpfman dispatcher get xdp 4026531840 2" }],
  prepare(line) {
    const request = {
      type: parseDispatcherType(line.word(TYPE)),
      nsid: parseNsid(line.word(NSID)),
      ifindex: parseIfindex(line.word(IFINDEX)),
    };
    return async (session) => session.print(await session.invoke("dispatcher/get", request), renderDispatcher);
  },
};
