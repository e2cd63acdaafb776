import { ERRNO } from "../errno.ts";
import {
  concatenated,
  eachAttribute,
  readAttributes,
  readText,
  textAttribute,
  u32Attribute,
} from "../layout/netlink.ts";
import { SysError } from "../sys-error.ts";
import { NLM_F, routeRequest } from "./rtnetlink.ts";

// A socket's requests follow setns; /sys/class/net shows the namespace of its mount.

/** struct ifinfomsg (include/uapi/linux/rtnetlink.h): u8 family, u16 type, i32 index, u32 flags, u32 change. */
const IFINFOMSG = { bytes: 16, index: 4 } as const;
/** include/uapi/linux/if_link.h */
const IFLA = { IFNAME: 3, EXT_MASK: 29, PROP_LIST: 52, ALT_IFNAME: 53 } as const;
/** Leaves out counters, which are most of an answer. */
const RTEXT_FILTER_SKIP_STATS = 8;
/** IFNAMSIZ with its NUL; longer names are alternative ones (ALTIFNAMSIZ, Linux 5.5). */
const NAME_BYTES = 16;
const ALTERNATIVE_NAME_BYTES = 128;

export interface NetworkInterface {
  readonly ifindex: number;
  /** What the kernel calls it now. */
  readonly name: string;
  readonly alternativeNames: readonly string[];
}

/** What an answer of RTM_GETLINK says of the names of an interface; null for one that is cut short. */
function decodeNames(answer: Uint8Array): NetworkInterface | null {
  if (answer.length < IFINFOMSG.bytes) return null;
  const attributes = readAttributes(answer.subarray(IFINFOMSG.bytes));
  const list = attributes.get(IFLA.PROP_LIST) ?? new Uint8Array();
  const names = eachAttribute(list).filter(([type]) => type === IFLA.ALT_IFNAME);
  return {
    ifindex: new DataView(answer.buffer, answer.byteOffset).getInt32(IFINFOMSG.index, true),
    name: readText(attributes.get(IFLA.IFNAME)) ?? "",
    alternativeNames: names.map(([, value]) => readText(value) ?? ""),
  };
}

/** The interface with that name, or with that alternative name, in the current namespace; null when there is none. Throws SysError. */
export function findInterface(name: string): NetworkInterface | null {
  const bytes = new TextEncoder().encode(name).length + 1;
  if (name === "" || name.includes("\0") || bytes > ALTERNATIVE_NAME_BYTES) return null;
  // The kernel looks among alternative names too for a name that could be either.
  const wanted = textAttribute(bytes > NAME_BYTES ? IFLA.ALT_IFNAME : IFLA.IFNAME, name);
  try {
    const [answer] = routeRequest("RTM_GETLINK", concatenated(new Uint8Array(IFINFOMSG.bytes), MASK, wanted));
    return answer === undefined ? null : decodeNames(answer);
  } catch (thrown) {
    // Kernels without alternative names say EINVAL for them.
    if (thrown instanceof SysError && (thrown.errno === ERRNO.ENODEV || thrown.errno === ERRNO.EINVAL)) return null;
    throw thrown;
  }
}

const MASK = u32Attribute(IFLA.EXT_MASK, RTEXT_FILTER_SKIP_STATS);

/** All network interfaces of the current namespace, by index: one dump. Throws SysError. */
export function allInterfaces(): NetworkInterface[] {
  const body = concatenated(new Uint8Array(IFINFOMSG.bytes), MASK);
  return routeRequest("RTM_GETLINK", body, NLM_F.DUMP)
    .map(decodeNames)
    .filter((found) => found !== null)
    .sort((a, b) => a.ifindex - b.ifindex);
}
