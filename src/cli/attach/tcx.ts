import { attachTo, DIRECTION, IFACE, NETNS, PRIORITY } from "./fields.ts";

export const attachTcx = attachTo("tcx", {
  target: { direction: DIRECTION, iface: IFACE, priority: PRIORITY, netns: NETNS },
  words: ["iface", "direction"],
  classic: {
    "Run it on every packet that eth0 receives":
      "bpfman attach 63178 tcx --direction ingress --iface eth0 --priority 50",
    "Attach it in another network namespace":
      "bpfman attach 63178 tcx -d egress -i veth0 -p 50 -n /var/run/netns/bpfman-test",
  },
  noun: { "Run it on every packet that eth0 sends": "bpfman link attach tcx 63178 eth0 egress -p 50" },
});
