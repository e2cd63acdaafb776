import { readAttributes, readText, readU32 } from "../layout/netlink.ts";
import { allocate } from "../memory.ts";
import type { XdpMode } from "./link.ts";
import { routeRequest } from "./rtnetlink.ts";

/** struct ifinfomsg: u8 family, u16 type, i32 index, u32 flags, u32 change. */
const IFINFOMSG = { bytes: 16, index: 4 } as const;
/** include/uapi/linux/if_link.h */
const IFLA_IFNAME = 3;
const IFLA_XDP = 43;
const IFLA_XDP_PROG_ID = { drv: 5, skb: 6, hw: 7 } as const satisfies Record<XdpMode, number>;

export interface InterfaceXdp {
  readonly name: string;
  /** What runs on each of its XDP hooks, by program id; at most one of drv and skb. */
  readonly programs: readonly { readonly mode: XdpMode; readonly programId: number }[];
}

/** About an interface of the current network namespace. Throws SysError (ENODEV). */
export function interfaceXdp(ifindex: number): InterfaceXdp {
  const body = allocate(IFINFOMSG.bytes);
  new DataView(body.buffer).setInt32(IFINFOMSG.index, ifindex, true);
  const [answer = new Uint8Array()] = routeRequest("RTM_GETLINK", body);
  return decodeInterface(answer);
}

/** What an answer of RTM_GETLINK says. */
export function decodeInterface(answer: Uint8Array): InterfaceXdp {
  const attributes = readAttributes(answer.subarray(IFINFOMSG.bytes));
  const xdp = readAttributes(attributes.get(IFLA_XDP) ?? new Uint8Array());
  const programs = (["drv", "skb", "hw"] as const).flatMap((mode) => {
    const programId = readU32(xdp.get(IFLA_XDP_PROG_ID[mode]));
    return programId === null || programId === 0 ? [] : [{ mode, programId }];
  });
  return { name: readText(attributes.get(IFLA_IFNAME)) ?? "", programs };
}
