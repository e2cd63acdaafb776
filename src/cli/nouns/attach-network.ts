import { TC_ACTIONS, XDP_ACTIONS, XDP_PROCEED_ON_DEFAULT } from "../../domain/actions.ts";
import { ATTACHED_PROGRAM } from "../attached-program.ts";
import type { Command } from "../command.ts";
import { METADATA, NETNS } from "../commands/attach-flags.ts";
import {
  attaching,
  DIRECTION,
  IFACE,
  PRIORITY,
  proceedOn,
  readDirection,
  readNetwork,
  readProceedOn,
} from "./attach-flags.ts";

/** Unlike the classic grammar, a TC program that says "ok" ends the chain. */
const TC_USUAL = ["pipe", "dispatcher_return"] as const;

const XDP_PROCEED_ON = proceedOn(Object.keys(XDP_ACTIONS), "pass,drop", XDP_PROCEED_ON_DEFAULT);
const TC_PROCEED_ON = proceedOn(Object.keys(TC_ACTIONS), "ok,pipe", TC_USUAL);

export const attachXdp: Command = {
  args: [ATTACHED_PROGRAM, IFACE],
  flags: [PRIORITY, XDP_PROCEED_ON, NETNS, METADATA],
  examples: [
    { does: "Run it on every packet that eth0 receives", line: "bpfman link attach xdp 63178 eth0 -p 50" },
    {
      does: "Go on to the next program also when this one drops",
      line: "bpfman link attach xdp 63178 eth0 -p 50 --proceed-on pass,drop",
    },
  ],
  prepare(line) {
    const words = readProceedOn(line, XDP_PROCEED_ON, XDP_PROCEED_ON_DEFAULT);
    return attaching(line, { kind: "xdp", ...readNetwork(line, NETNS), proceedOn: words });
  },
};

export const attachTc: Command = {
  args: [ATTACHED_PROGRAM, IFACE, DIRECTION],
  flags: [PRIORITY, TC_PROCEED_ON, NETNS, METADATA],
  examples: [
    { does: "Run it on every packet that eth0 receives", line: "bpfman link attach tc 63178 eth0 ingress -p 50" },
  ],
  prepare(line) {
    const words = readProceedOn(line, TC_PROCEED_ON, TC_USUAL);
    const network = readNetwork(line, NETNS);
    return attaching(line, { kind: "tc", ...network, direction: readDirection(line), proceedOn: words });
  },
};

export const attachTcx: Command = {
  args: [ATTACHED_PROGRAM, IFACE, DIRECTION],
  flags: [PRIORITY, NETNS, METADATA],
  examples: [
    { does: "Run it on every packet that eth0 sends", line: "bpfman link attach tcx 63178 eth0 egress -p 50" },
  ],
  prepare: (line) => attaching(line, { kind: "tcx", ...readNetwork(line, NETNS), direction: readDirection(line) }),
};
