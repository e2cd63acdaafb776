import { TC_ACTIONS } from "../../domain/actions.ts";
import { attachTo, DIRECTION, IFACE, NETNS, PRIORITY, proceedOn } from "./fields.ts";

const PROCEED_ON = proceedOn({
  actions: Object.keys(TC_ACTIONS),
  doc: [
    "Return values after which the chain continues with the next program.",
    "Separate several values with spaces, or repeat the option.",
    "Example: --proceed-on ok --proceed-on pipe",
    "",
    "[possible values: unspec, ok, reclassify, shot, pipe, stolen, queued,",
    "repeat, redirect, trap, dispatcher_return]",
    "",
    "[default: ok, pipe, dispatcher_return]",
  ],
  example: "ok,pipe",
  // Unlike in the classic grammar, a TC program that returns "ok" ends the chain.
  usual: ["pipe", "dispatcher_return"],
});

export const attachTc = attachTo("tc", {
  target: { direction: DIRECTION, iface: IFACE, priority: PRIORITY, proceedOn: PROCEED_ON, netns: NETNS },
  words: ["iface", "direction"],
  classic: {
    "Run it on every packet that eth0 receives":
      "bpfman attach 63178 tc --direction ingress --iface eth0 --priority 50",
  },
  noun: { "Run it on every packet that eth0 receives": "bpfman link attach tc 63178 eth0 ingress -p 50" },
});
