/** Derives the location of a chain from its links. */
import { type DispatcherKey, dispatcherTypeOf } from "../../domain/dispatcher.ts";
import type { ChainDetails, Direction } from "../../domain/link.ts";
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

/** Returns the hook in the form the kernel port takes; its direction is irrelevant for XDP. */
export const kernelHook = ({ key, netns, interface: name }: ChainPlace): TcHook => {
  return { netns, ifindex: key.ifindex, interface: name, direction: directionOf(key) };
};
