import { TC_ACTIONS, TC_PROCEED_ON_DEFAULT } from "../../domain/actions.ts";
import { attachTo, DIRECTION, IFACE, NETNS, PRIORITY, proceedOn } from "./fields.ts";

const PROCEED_ON = proceedOn({
  actions: Object.keys(TC_ACTIONS),
  two: ["ok", "pipe"],
  classic: TC_PROCEED_ON_DEFAULT,
  // Unlike in the classic grammar, a TC program that returns "ok" ends the chain.
  noun: ["pipe", "dispatcher_return"],
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
