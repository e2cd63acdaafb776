import { type Pointer, read } from "bun:ffi";
import { ERRNO } from "../errno.ts";
import { cString } from "../memory.ts";
import { SysError } from "../sys-error.ts";
import { lastErrno, libc, textAt } from "./libc.ts";

// Both ask the kernel through a socket, so they follow setns(2); /sys/class/net shows the namespace it was mounted in.

/** Returns the index of an interface in the current network namespace; null if it does not exist. Throws SysError. */
export function interfaceIndex(name: string): number | null {
  const index = libc().if_nametoindex(cString(name));
  if (index !== 0) return index;
  const errno = lastErrno();
  // An overlong name cannot be an interface either.
  if (errno === ERRNO.ENODEV || errno === ERRNO.ENXIO || errno === ERRNO.EINVAL) return null;
  throw new SysError("if_nametoindex", errno);
}

/** struct if_nameindex {unsigned int if_index; char *if_name;} on 64-bit machines. Index 0 terminates the array. */
const ENTRY = { size: 16, name: 8 } as const;

/** Returns the names of all interfaces in the current network namespace, by index. Throws SysError. */
export function interfaceNames(): string[] {
  const list = libc().if_nameindex();
  if (list === null) throw new SysError("if_nameindex", lastErrno());
  const names: string[] = [];
  for (let offset = 0; read.u32(list, offset) !== 0; offset += ENTRY.size) {
    names.push(textAt(read.ptr(list, offset + ENTRY.name) as Pointer));
  }
  libc().if_freenameindex(list);
  return names;
}
