import { ERRNO } from "../errno.ts";
import { allocate, textUntilNul } from "../memory.ts";
import { SysError } from "../sys-error.ts";
import { lastErrno, seldomLibc } from "./libc.ts";

/** IFNAMSIZ (include/uapi/linux/if.h). */
const NAME_BYTES = 16;

/**
 * What the kernel calls an interface of the current network namespace; null when there is none of that index. Three system
 * calls (SIOCGIFNAME), where a dump costs as much for every interface that nobody asked for. Throws SysError.
 */
export function interfaceName(ifindex: number): string | null {
  const name = allocate(NAME_BYTES);
  if (seldomLibc().if_indextoname(ifindex, name) !== null) return textUntilNul(name);
  const errno = lastErrno();
  if (errno === ERRNO.ENXIO || errno === ERRNO.ENODEV) return null;
  throw new SysError("if_indextoname", errno);
}
