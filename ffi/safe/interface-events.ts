import { addressOf, allocate, keepAlive } from "../memory.ts";
import { ERRNO } from "../errno.ts";
import { SysError } from "../sys-error.ts";
import { checked, closeFd, seldomLibc, syscall } from "./libc.ts";
import { withNetns } from "./netns.ts";
import { readSome } from "./ready.ts";

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const SOCK_NONBLOCK = 0o4000;
const NETLINK_ROUTE = 0;
/** RTM_NEWLINK and RTM_DELLINK (include/uapi/linux/rtnetlink.h). */
const RTMGRP_LINK = 1;
/** struct sockaddr_nl (include/uapi/linux/netlink.h): u16 family, u16 pad, u32 port, u32 groups. */
const SOCKADDR_NL = { bytes: 12, groups: 8 } as const;
const DATAGRAM_BYTES_MAX = 1 << 15;

/** Says that interfaces of a namespace have come, gone or changed. */
export interface InterfaceEvents {
  readonly fd: number;
  /** Takes out what there is. Returns whether there was anything. */
  drain(): boolean;
  close(): void;
}

/** Follows the interfaces of the namespace at a path, or of the current one if null (rtnetlink(7)). Throws SysError. */
export function followInterfaces(netns: string | null): InterfaceEvents {
  const fd = withNetns(netns, () => {
    const socket = checked(
      "socket",
      seldomLibc().socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE),
    );
    const address = allocate(SOCKADDR_NL.bytes);
    const view = new DataView(address.buffer);
    view.setUint16(0, AF_NETLINK, true);
    view.setUint32(SOCKADDR_NL.groups, RTMGRP_LINK, true);
    const result = syscall("bind", socket, addressOf(address), address.length);
    keepAlive(address);
    if (result === 0) return socket;
    closeFd(socket);
    throw new SysError("bind", -result);
  });
  return {
    fd,
    drain() {
      for (let found = false; ; found = true) {
        try {
          if (readSome(fd, DATAGRAM_BYTES_MAX) === null) return found;
        } catch (thrown) {
          // ENOBUFS: there were more than the socket holds, so something has changed.
          if (!(thrown instanceof SysError) || thrown.errno !== ERRNO.ENOBUFS) throw thrown;
        }
      }
    },
    close: () => closeFd(fd),
  };
}
