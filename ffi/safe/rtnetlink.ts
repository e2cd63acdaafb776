import { ERRNO } from "../errno.ts";
import { decodeMessages, encodeMessage, type NetlinkMessage, readAttributes, readText } from "../layout/netlink.ts";
import { allocate, copyOf } from "../memory.ts";
import { SysError } from "../sys-error.ts";
import { checked, closeFd, lastErrno, seldomLibc } from "./libc.ts";

/** include/uapi/linux/rtnetlink.h */
const RTM = {
  RTM_GETLINK: 18,
  RTM_SETLINK: 19,
  RTM_NEWQDISC: 36,
  RTM_GETQDISC: 38,
  RTM_NEWTFILTER: 44,
  RTM_DELTFILTER: 45,
  RTM_GETTFILTER: 46,
} as const;
export type RouteRequest = keyof typeof RTM;

/** include/uapi/linux/netlink.h */
export const NLM_F = { REQUEST: 1, ACK: 4, ECHO: 8, DUMP: 0x300, REPLACE: 0x100, EXCL: 0x200, CREATE: 0x400 } as const;
const NLM_F_CAPPED = 0x100;
const NLM_F_ACK_TLVS = 0x200;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLMSGERR_ATTR_MSG = 1;
/** Layout of an NLMSG_ERROR message: the errno, then the request's header and, unless capped, its body. */
const ERRNO_BYTES = 4;
const REQUEST_HEADER_BYTES = 16;

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const NETLINK_ROUTE = 0;
const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const MSG_TRUNC = 0x20;
const MSG_DONTWAIT = 0x40;

/** Larger than any datagram of a dump (32 KiB). */
const ANSWER_BYTES_MAX = 1 << 16;
const SEQUENCE = 1;

/**
 * Sends a request through a socket of the current network namespace (rtnetlink(7)) and returns the bodies of the
 * answers. `flags` are NLM_F flags besides REQUEST and ACK. Throws SysError, with the kernel's extended ACK message if
 * there is one.
 */
export function routeRequest(request: RouteRequest, body: Uint8Array, flags = 0): Uint8Array[] {
  const socket = checked("socket", seldomLibc().socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  try {
    const on = copyOf(new Uint8Array(Int32Array.of(1).buffer));
    for (const option of [NETLINK_CAP_ACK, NETLINK_EXT_ACK]) {
      checked("setsockopt", seldomLibc().setsockopt(socket, SOL_NETLINK, option, on, on.length));
    }
    const message = encodeMessage({ type: RTM[request], flags: NLM_F.REQUEST | NLM_F.ACK | flags, body }, SEQUENCE);
    checked("send", Number(seldomLibc().send(socket, message, message.length, 0)));
    return answers(socket, `rtnetlink(${request})`);
  } finally {
    closeFd(socket);
  }
}

/** Reads until the kernel reports the end or an error. */
function answers(socket: number, call: string): Uint8Array[] {
  const buffer = allocate(ANSWER_BYTES_MAX);
  const bodies: Uint8Array[] = [];
  for (;;) {
    const { bodies: more, ended } = readDatagram(receive(socket, buffer), call);
    bodies.push(...more);
    if (ended) return bodies;
  }
}

/**
 * Returns the bodies of a datagram's messages up to the one that ends the answer, if it is among them. Throws SysError
 * for an error of the kernel, RangeError for malformed netlink data.
 */
export function readDatagram(
  datagram: Uint8Array,
  call: string,
): { readonly bodies: readonly Uint8Array[]; readonly ended: boolean } {
  const bodies: Uint8Array[] = [];
  for (const message of decodeMessages(datagram)) {
    if (message.type !== NLMSG_ERROR && message.type !== NLMSG_DONE) {
      bodies.push(message.body);
      continue;
    }
    const errno = -new DataView(message.body.buffer).getInt32(0, true);
    if (errno > 0) throw new SysError(call, errno, kernelsWords(message));
    return { bodies, ended: true };
  }
  return { bodies, ended: false };
}

/** The kernel has answered, or begun to, by the time `send` returns, so there is no need to wait. */
function receive(socket: number, buffer: Uint8Array): Uint8Array {
  for (;;) {
    const length = Number(seldomLibc().recv(socket, buffer, buffer.length, MSG_TRUNC | MSG_DONTWAIT));
    if (length > buffer.length) throw new RangeError(`an answer of ${length} bytes from rtnetlink`);
    if (length >= 0) return buffer.subarray(0, length);
    const errno = lastErrno();
    if (errno !== ERRNO.EINTR) throw new SysError("recv", errno);
  }
}

/** The extended ACK message that accompanies an errno; undefined if there is none. */
function kernelsWords({ type, flags, body }: NetlinkMessage): string | undefined {
  if (type !== NLMSG_ERROR || (flags & NLM_F_ACK_TLVS) === 0) return undefined;
  const requestBytes = new DataView(body.buffer).getUint32(ERRNO_BYTES, true);
  const start = ERRNO_BYTES + ((flags & NLM_F_CAPPED) === 0 ? (requestBytes + 3) & ~3 : REQUEST_HEADER_BYTES);
  return readText(readAttributes(body.subarray(start)).get(NLMSGERR_ATTR_MSG)) ?? undefined;
}
