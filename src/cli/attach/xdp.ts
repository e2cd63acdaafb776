import { XDP_ACTIONS, XDP_PROCEED_ON_DEFAULT } from "../../domain/actions.ts";
import { attachTo, IFACE, NETNS, PRIORITY, proceedOn } from "./fields.ts";

const PROCEED_ON = proceedOn({
  actions: Object.keys(XDP_ACTIONS),
  two: ["pass", "drop"],
  classic: XDP_PROCEED_ON_DEFAULT,
  noun: XDP_PROCEED_ON_DEFAULT,
});

export const attachXdp = attachTo("xdp", {
  target: { iface: IFACE, priority: PRIORITY, proceedOn: PROCEED_ON, netns: NETNS },
  words: ["iface"],
  classic: {
    "Run it on every packet that eth0 receives": "bpfman attach 63178 xdp --iface eth0 --priority 50",
    "Continue with the next program even if this one drops the packet":
      "bpfman attach 63178 xdp -i eth0 -p 50 --proceed-on pass drop",
  },
  noun: {
    "Run it on every packet that eth0 receives": "bpfman link attach xdp 63178 eth0 -p 50",
    "Continue with the next program even if this one drops the packet":
      "bpfman link attach xdp 63178 eth0 -p 50 --proceed-on pass,drop",
  },
});
