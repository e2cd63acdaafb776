/** Derives the location of a chain from its links. */
import { type DispatcherKey, dispatcherTypeOf } from "../../domain/dispatcher.ts";
import type { ChainDetails, Direction } from "../../domain/link.ts";
import { BpfmanError } from "../../errors/error.ts";
import type { Host } from "../../platform/host.ts";
import type { TcHook } from "../../platform/kernel.ts";

/** A hook, with the interface name and namespace path it was found by. */
export interface ChainPlace {
  readonly key: DispatcherKey;
  readonly interface: string;
  readonly netns: string | null;
}

/** The `nsid` of a link whose interface or namespace no longer exists: it matches no hook. */
const NO_NAMESPACE = 0;

/** Details of a chained link that lost its hook. The old `nsid` is dropped, because a later namespace may reuse it. */
export const withoutHook = (details: ChainDetails): ChainDetails => ({ ...details, nsid: NO_NAMESPACE });
export const hasLostHook = (details: ChainDetails): boolean => details.nsid === NO_NAMESPACE;

export function placeOf(details: ChainDetails): ChainPlace {
  const { nsid, ifindex, netns } = details;
  return { key: { type: dispatcherTypeOf(details), nsid, ifindex }, interface: details.interface, netns };
}

export const sameKey = (a: DispatcherKey, b: DispatcherKey): boolean =>
  a.type === b.type && a.nsid === b.nsid && a.ifindex === b.ifindex;

/** Formats `eth0`, `eth0 ingress`. */
export const placeName = ({ key, interface: name }: ChainPlace): string =>
  key.type === "xdp" ? name : `${name} ${directionOf(key)}`;

const directionOf = (key: DispatcherKey): Direction => (key.type === "tc-egress" ? "egress" : "ingress");

/**
 * Returns the hook in the form the kernel port takes; its direction is irrelevant for XDP. If the path leads to another
 * namespace by now, the same index is somebody else's interface there, and the namespace is looked for by its inode number. The kernel
 * reuses these numbers, so what is found counts only if `isOurs` recognizes the program on its hook. Throws NETNS_NOT_FOUND.
 */
export function kernelHook(host: Host, place: ChainPlace, isOurs: (hook: TcHook) => boolean = () => false): TcHook {
  const { key, interface: name, netns } = place;
  const at = (path: string | null): TcHook => {
    return { netns: path, ifindex: key.ifindex, interface: name, direction: directionOf(key) };
  };
  let failure: unknown = null;
  try {
    if (host.network.namespaceId(netns) === key.nsid) return at(netns);
  } catch (thrown) {
    if (!(thrown instanceof BpfmanError) || thrown.code !== "NETNS_NOT_FOUND") throw thrown;
    failure = thrown;
  }
  const path = host.network.pathTo(key.nsid);
  if (path !== null && isOurs(at(path))) return at(path);
  if (failure !== null) throw failure;
  const why = netns === null ? "no name or process leads to it" : `"${netns}" is now a different network namespace`;
  throw new BpfmanError("NETNS_NOT_FOUND", `find network namespace ${key.nsid} of ${placeName(place)}: ${why}`, {
    details: { netns, nsid: key.nsid },
    hint: null,
  });
}
