import { defineCommand } from "../command.ts";
import { PROGRAM_ID } from "../fields.ts";
import { attaching, DIRECTION, IFACE, METADATA, NETNS, PRIORITY } from "./fields.ts";

export const attachTcx = defineCommand({
  fields: {
    programId: PROGRAM_ID,
    direction: DIRECTION,
    iface: IFACE,
    priority: PRIORITY,
    netns: NETNS,
    metadata: METADATA,
  },
  classic: {
    above: ["programId"],
    examples: {
      "Run it on every packet that eth0 receives":
        "bpfman attach 63178 tcx --direction ingress --iface eth0 --priority 50",
      "Attach it in another network namespace":
        "bpfman attach 63178 tcx -d egress -i veth0 -p 50 -n /var/run/netns/bpfman-test",
    },
  },
  noun: {
    words: ["programId", "iface", "direction"],
    examples: { "Run it on every packet that eth0 sends": "bpfman link attach tcx 63178 eth0 egress -p 50" },
  },
  prepare: ({ iface, direction, priority, netns, ...link }) =>
    attaching(link, { kind: "tcx", iface, priority, netns, direction }),
});
