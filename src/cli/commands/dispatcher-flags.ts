import { DISPATCHER_TYPES } from "../../domain/dispatcher.ts";
import type { Argument } from "../command.ts";
import { parseAnyCase } from "../parse/word.ts";

export const TYPE: Argument = {
  name: "type",
  choices: DISPATCHER_TYPES,
  doc: ["Required: Hook of the dispatcher.", "", "[possible values: xdp, tc-ingress, tc-egress]"],
};
export const NSID: Argument = {
  name: "nsid",
  completes: "dispatcher-nsid",
  doc: ["Required: Inode of the network namespace."],
};
export const IFINDEX: Argument = {
  name: "ifindex",
  completes: "dispatcher-ifindex",
  doc: ["Required: Index of the interface in that namespace."],
};

export const parseDispatcherType = (text: string): string =>
  parseAnyCase(text, { what: "dispatcher type", words: DISPATCHER_TYPES, code: "USAGE" });
