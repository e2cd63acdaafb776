import { ERRNO } from "../errno.ts";
import { concatenated, nested, readAttributes, readText, readU32, u32Attribute } from "../layout/netlink.ts";
import { allocate } from "../memory.ts";
import { XDP_MODE_FLAGS, type XdpMode } from "./bpf-link.ts";
import { SysError } from "../sys-error.ts";
import { routeRequest } from "./rtnetlink.ts";

/** struct ifinfomsg: u8 family, u16 type, i32 index, u32 flags, u32 change. */
const IFINFOMSG = { bytes: 16, index: 4 } as const;
/** include/uapi/linux/if_link.h */
const IFLA_IFNAME = 3;
const IFLA_XDP = 43;
const NLA_F_NESTED = 0x8000;
const IFLA_XDP_FD = 1;
const IFLA_XDP_FLAGS = 3;
const IFLA_XDP_EXPECTED_FD = 8;
const NO_PROGRAM = 0xffff_ffff;
const XDP_FLAGS_REPLACE = 1 << 4;
const IFLA_XDP_PROG_ID = { drv: 5, skb: 6, hw: 7 } as const satisfies Record<XdpMode, number>;

export interface InterfaceXdp {
  readonly name: string;
  /** The program on each of its XDP hooks, by ID. drv and skb are mutually exclusive. */
  readonly programs: readonly { readonly mode: XdpMode; readonly programId: number }[];
}

/** Returns the XDP programs of an interface in the current network namespace. Throws SysError (ENODEV). */
export function interfaceXdp(ifindex: number): InterfaceXdp {
  const body = allocate(IFINFOMSG.bytes);
  new DataView(body.buffer).setInt32(IFINFOMSG.index, ifindex, true);
  const [answer = new Uint8Array()] = routeRequest("RTM_GETLINK", body);
  return decodeInterface(answer);
}

/** Decodes an RTM_GETLINK answer. */
export function decodeInterface(answer: Uint8Array): InterfaceXdp {
  const attributes = readAttributes(answer.subarray(IFINFOMSG.bytes));
  const xdp = readAttributes(attributes.get(IFLA_XDP) ?? new Uint8Array());
  const programs = (["drv", "skb", "hw"] as const).flatMap((mode) => {
    const programId = readU32(xdp.get(IFLA_XDP_PROG_ID[mode]));
    return programId === null || programId === 0 ? [] : [{ mode, programId }];
  });
  return { name: readText(attributes.get(IFLA_IFNAME)) ?? "", programs };
}

/**
 * Reports whether the program on an XDP hook in the current network namespace is attached by a link. Asks the kernel to
 * remove `other`, a program that does not run there, and looks at the error: EBUSY if a link is attached, EEXIST if
 * another program is. Changes nothing.
 */
export function isHeldByLink(
  ifindex: number,
  { mode, other }: { readonly mode: XdpMode; readonly other: number },
): boolean {
  const body = allocate(IFINFOMSG.bytes);
  new DataView(body.buffer).setInt32(IFINFOMSG.index, ifindex, true);
  const xdp = nested(
    IFLA_XDP | NLA_F_NESTED,
    u32Attribute(IFLA_XDP_FD, NO_PROGRAM),
    u32Attribute(IFLA_XDP_FLAGS, XDP_FLAGS_REPLACE | XDP_MODE_FLAGS[mode]),
    u32Attribute(IFLA_XDP_EXPECTED_FD, other),
  );
  try {
    routeRequest("RTM_SETLINK", concatenated(body, xdp));
    return false;
  } catch (thrown) {
    if (!(thrown instanceof SysError)) throw thrown;
    return thrown.errno === ERRNO.EBUSY;
  }
}
