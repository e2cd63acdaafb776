/** Where a chain sits, from the links in it. */
import { type DispatcherKey, dispatcherTypeOf } from "../../domain/dispatcher.ts";
import type { ChainDetails, Direction } from "../../domain/link.ts";
import type { TcHook } from "../../platform/kernel.ts";

/** A hook, with the name and the path under which it was found. */
export interface ChainPlace {
  readonly key: DispatcherKey;
  readonly interface: string;
  readonly netns: string | null;
}

/** The `nsid` of a link whose interface, or its namespace, has gone: no hook has it. */
const NO_NAMESPACE = 0;

/** What is remembered of a place in a chain whose hook has gone. A namespace that comes later may have its number. */
export const withoutHook = (details: ChainDetails): ChainDetails => ({ ...details, nsid: NO_NAMESPACE });
export const hasLostHook = (details: ChainDetails): boolean => details.nsid === NO_NAMESPACE;

export function placeOf(details: ChainDetails): ChainPlace {
  const { nsid, ifindex, netns } = details;
  return { key: { type: dispatcherTypeOf(details), nsid, ifindex }, interface: details.interface, netns };
}

export const sameKey = (a: DispatcherKey, b: DispatcherKey): boolean =>
  a.type === b.type && a.nsid === b.nsid && a.ifindex === b.ifindex;

/** `eth0`, `eth0 ingress` */
export const placeName = ({ key, interface: name }: ChainPlace): string =>
  key.type === "xdp" ? name : `${name} ${directionOf(key)}`;

const directionOf = (key: DispatcherKey): Direction => (key.type === "tc-egress" ? "egress" : "ingress");

/** The hook as the kernel is asked for it; its direction means nothing for XDP. */
export const kernelHook = ({ key, netns, interface: name }: ChainPlace): TcHook => {
  return { netns, ifindex: key.ifindex, interface: name, direction: directionOf(key) };
};
