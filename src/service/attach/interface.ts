import type { InterfaceRef } from "../../domain/link.ts";
import { BpfmanError } from "../../errors/error.ts";
import { whatThereIs } from "../../errors/suggest.ts";
import type { Host } from "../../platform/host.ts";

/** Finds an interface by any of its names in a namespace; the answer has the kernel's own. Throws NETNS_NOT_FOUND, INTERFACE_NOT_FOUND. */
export function findInterface(host: Host, name: string, netns: string | null): InterfaceRef {
  const nsid = host.network.namespaceId(netns);
  const found = host.network.findInterface(name, netns);
  if (found !== null) return { interface: found.name, ifindex: found.ifindex, netns, nsid };
  const names = host.network.interfaces(netns).flatMap((each) => [each.name, ...each.alternativeNames]);
  const where = netns === null ? "" : ` in network namespace "${netns}"`;
  throw new BpfmanError("INTERFACE_NOT_FOUND", `no interface "${name}"${where}`, {
    details: { interface: name, netns, interfaces: names },
    hint: whatThereIs(name, names, { there: "interfaces are", none: "there are no interfaces" }),
  });
}
