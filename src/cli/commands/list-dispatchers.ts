import { DISPATCHER_TYPES } from "../../domain/dispatcher.ts";
import type { Command, Flag, Line } from "../command.ts";
import { parseIfindex, parseNsid } from "../parse/number.ts";
import { renderDispatcherList } from "../render/dispatcher.ts";
import { parseDispatcherType } from "./dispatcher-flags.ts";

const TYPE: Flag = {
  long: "type",
  takes: "one",
  choices: DISPATCHER_TYPES,
  doc: ["Optional: List dispatchers of one hook.", "", "[possible values: xdp, tc-ingress, tc-egress]"],
};
const NSID: Flag = {
  long: "nsid",
  takes: "one",
  completes: "dispatcher-nsid",
  doc: ["Optional: List dispatchers of one network namespace, given by its inode."],
};
const IFINDEX: Flag = {
  long: "ifindex",
  takes: "one",
  completes: "dispatcher-ifindex",
  doc: ["Optional: List dispatchers of one interface index."],
};

/** 0 is how newer bpfman writes "any". */
function read<T>(line: Line, flag: Flag, parse: (text: string) => T): T | null {
  const text = line.value(flag);
  return text === null || text === "0" ? null : parse(text);
}

export const listDispatchers: Command = {
  args: [],
  flags: [TYPE, NSID, IFINDEX],
  examples: [
    { does: "Every hook on which bpfman runs a chain", line: "bpfman dispatcher list" },
    { does: "Chains of XDP programs, for scripts", line: "bpfman dispatcher list --type xdp -o json" },
  ],
  prepare(line) {
    const request = {
      type: read(line, TYPE, parseDispatcherType),
      nsid: read(line, NSID, parseNsid),
      ifindex: read(line, IFINDEX, parseIfindex),
    };
    return async (session) => {
      const answer = await session.invoke("dispatcher/list", request);
      // As all empty lists of this grammar.
      session.print(answer, (given, styled) =>
        given.dispatchers.length === 0 ? "" : renderDispatcherList(given, styled),
      );
    };
  },
};
