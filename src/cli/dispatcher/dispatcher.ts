/** Commands on chains, the programs that share a hook. */
import { DISPATCHER_TYPES } from "../../domain/dispatcher.ts";
import { asking, defineCommand, ifGiven, required, vary } from "../command.ts";
import { ALL } from "../fields.ts";
import { oneOf, parseIfindex, parseNsid, zeroForNone } from "../parse/word.ts";
import { renderDispatcher, renderDispatcherList } from "../render/dispatcher.ts";

const TYPE = required(
  {
    long: "type",
    choices: DISPATCHER_TYPES,
    anyCase: true,
    doc: ["Hook that the dispatcher runs on.", "", "[possible values: xdp, tc-ingress, tc-egress]"],
  },
  oneOf("dispatcher type", DISPATCHER_TYPES),
);
const NSID = required(
  { long: "nsid", completes: "dispatcher-nsid", doc: ["Inode of the network namespace."] },
  parseNsid,
);
const IFINDEX = required(
  { long: "ifindex", completes: "dispatcher-ifindex", doc: ["Index of the interface in that namespace."] },
  parseIfindex,
);
const HOOK = { type: TYPE, nsid: NSID, ifindex: IFINDEX };

export const listDispatchers = defineCommand(() => ({
  fields: {
    type: ifGiven(TYPE, {
      doc: ["Show only dispatchers on this hook.", "", "[possible values: xdp, tc-ingress, tc-egress]"],
      parse: zeroForNone(TYPE.parse),
    }),
    nsid: ifGiven(NSID, {
      doc: ["Show only dispatchers in this network namespace, given by its inode."],
      parse: zeroForNone(parseNsid),
    }),
    ifindex: ifGiven(IFINDEX, {
      doc: ["Show only dispatchers on the interface with this index."],
      parse: zeroForNone(parseIfindex),
    }),
    all: vary(ALL, {
      noun: {
        doc: [
          "Also list dispatchers that other tools, such as xdp-loader, put on XDP",
          "hooks, in the current network namespace and in named ones.",
        ],
      },
    }),
  },
  noun: {
    examples: {
      "List every hook on which bpfman runs a chain": "bpfman dispatcher list",
      "Include the dispatchers of xdp-loader": "bpfman dispatcher list --all",
      "List chains of XDP programs, for scripts": "bpfman dispatcher list --type xdp -o json",
    },
  },
  prepare: (request) =>
    // Like all empty lists in this grammar.
    asking("dispatcher/list", request, (answer, look) =>
      answer.dispatchers.length === 0 ? "" : renderDispatcherList(answer, look),
    ),
}));

export const getDispatcher = defineCommand(() => ({
  fields: HOOK,
  noun: {
    words: ["type", "nsid", "ifindex"],
    examples: { "Show the chain on a hook, in order": "bpfman dispatcher get xdp 4026531840 2" },
  },
  prepare: (request) => asking("dispatcher/get", request, renderDispatcher),
}));

export const deleteDispatcher = defineCommand(() => ({
  description: ["Detaches the whole chain of a hook atomically. Its programs stay loaded."],
  fields: HOOK,
  noun: {
    words: ["type", "nsid", "ifindex"],
    examples: { "Clear the XDP hook of an interface": "bpfman dispatcher delete xdp 4026531840 2" },
  },
  prepare: (request) => asking("dispatcher/delete", request, () => ""),
}));
