import { addressOf, allocate, keepAlive } from "../memory.ts";
import { readText } from "../layout/netlink.ts";
import { checked, closeFd, seldomLibc, syscall } from "./libc.ts";

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
/** include/uapi/linux/sockios.h */
const SIOCETHTOOL = 0x8946;
/** include/uapi/linux/ethtool.h: the command, and struct ethtool_drvinfo, whose driver follows it. */
const ETHTOOL_GDRVINFO = 3;
const DRVINFO = { bytes: 196, driver: 4, driverBytes: 32 } as const;
/** struct ifreq (include/uapi/linux/if.h): the name, then a union with a pointer. */
const IFREQ = { bytes: 40, nameBytes: 16 } as const;

/**
 * The drivers of interfaces of the current namespace, as `ethtool -i` shows them: the kinds of virtual ones (`veth`). Those
 * without one are left out. Throws SysError.
 */
export function interfaceDrivers(names: readonly string[]): Map<string, string> {
  const socket = checked("socket", seldomLibc().socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0));
  try {
    const found = new Map<string, string>();
    for (const name of names) {
      const bytes = new TextEncoder().encode(name);
      if (bytes.length >= IFREQ.nameBytes) continue;
      const info = allocate(DRVINFO.bytes);
      new DataView(info.buffer).setUint32(0, ETHTOOL_GDRVINFO, true);
      const request = allocate(IFREQ.bytes);
      request.set(bytes);
      new DataView(request.buffer).setBigUint64(IFREQ.nameBytes, BigInt(addressOf(info)), true);
      // EOPNOTSUPP: the loopback interface has none; ENODEV: it has just gone.
      const result = syscall("ioctl", socket, SIOCETHTOOL, addressOf(request));
      keepAlive(info, request);
      const driver = info.subarray(DRVINFO.driver, DRVINFO.driver + DRVINFO.driverBytes);
      const end = driver.indexOf(0);
      if (result >= 0 && end !== 0) found.set(name, readText(driver.subarray(0, end + 1)) ?? "");
    }
    return found;
  } finally {
    closeFd(socket);
  }
}
