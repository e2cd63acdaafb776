import type { Command } from "../command.ts";
import { attaching, DIRECTION, IFACE, METADATA, NETNS, PRIORITY, readDirection, readNetwork } from "./attach-flags.ts";

export const attachTcx: Command = {
  args: [],
  flags: [DIRECTION, IFACE, PRIORITY, NETNS, METADATA],
  examples: [
    {
      does: "Run it on every packet that eth0 receives",
      line: "bpfman attach 63178 tcx --direction ingress --iface eth0 --priority 50",
    },
    {
      does: "The same in another network namespace",
      line: "bpfman attach 63178 tcx -d egress -i veth0 -p 50 -n /var/run/netns/bpfman-test",
    },
  ],
  prepare: (line) => attaching(line, { kind: "tcx", ...readNetwork(line), direction: readDirection(line) }),
};
