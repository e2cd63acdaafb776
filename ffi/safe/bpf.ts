import { ERRNO } from "../errno.ts";
import { BPF_CMD, GET_ID_ATTR, LINK_DETACH_ATTR, OBJ_ATTR } from "../layout/generated-objects.ts";
import { decode, encode } from "../layout/struct.ts";
import { addressOf, cString, keepAlive, type Memory } from "../memory.ts";
import { fileCall, SysError } from "../sys-error.ts";
import { readlinkSync } from "./file-system.ts";
import { closeFd, syscall } from "./libc.ts";

type Command = keyof typeof BPF_CMD;

/** Calls bpf(2) with the command's attr. Returns the negative errno on failure. */
function attempt(command: Command, attr: Memory): number {
  const result = syscall("bpf", BPF_CMD[command], addressOf(attr), attr.length);
  keepAlive(attr);
  return result;
}

/** Like {@link attempt}. Throws SysError. */
export function bpf(command: Command, attr: Memory): number {
  const result = attempt(command, attr);
  if (result < 0) throw new SysError(`bpf(BPF_${command})`, -result);
  return result;
}

/** Like {@link bpf}, but returns null on ENOENT. */
export function bpfOrNull(command: Command, attr: Memory): number | null {
  const result = attempt(command, attr);
  if (result === -ERRNO.ENOENT) return null;
  if (result < 0) throw new SysError(`bpf(BPF_${command})`, -result);
  return result;
}

export type BpfObjectKind = "program" | "map" | "link";

/** Pins the object behind `fd` at a path in a bpffs. Throws SysError (EEXIST, ENOENT, EPERM on another file system). */
export function pinObject(fd: number, path: string): void {
  const pathname = cString(path);
  bpf("OBJ_PIN", encode(OBJ_ATTR, { pathname: addressOf(pathname), bpf_fd: fd }));
  keepAlive(pathname);
}

/**
 * Opens the object pinned at `path`; the caller closes the descriptor. Returns null if there is none. Throws SysError.
 */
export function openPinned(path: string): number | null {
  const pathname = cString(path);
  const fd = bpfOrNull("OBJ_GET", encode(OBJ_ATTR, { pathname: addressOf(pathname) }));
  keepAlive(pathname);
  return fd;
}

/** Returns the type of BPF object behind a descriptor, from its /proc link; null for anything else. Throws SysError. */
export function objectKind(fd: number): BpfObjectKind | null {
  const name = fileCall("readlink", () => readlinkSync(`/proc/self/fd/${fd}`));
  const kind = /bpf[-_](prog|map|link)/.exec(name)?.[1];
  switch (kind) {
    case "prog":
      return "program";
    case "map":
    case "link":
      return kind;
    default:
      return null;
  }
}

const NEXT_ID = { program: "PROG_GET_NEXT_ID", map: "MAP_GET_NEXT_ID", link: "LINK_GET_NEXT_ID" } as const;
const FD_BY_ID = { program: "PROG_GET_FD_BY_ID", map: "MAP_GET_FD_BY_ID", link: "LINK_GET_FD_BY_ID" } as const;

/** Returns the IDs of all objects of a type, ascending. The snapshot may already be outdated. Throws SysError. */
export function objectIds(kind: BpfObjectKind): number[] {
  const ids: number[] = [];
  for (let last = 0; ; ) {
    const attr = encode(GET_ID_ATTR, { start_id: last });
    if (bpfOrNull(NEXT_ID[kind], attr) === null) return ids;
    last = decode(GET_ID_ATTR, attr).u32("next_id");
    ids.push(last);
  }
}

/** Opens the BTF object with that ID; the caller closes the descriptor. Returns null if there is none. Throws SysError. */
export const openBtfById = (id: number): number | null =>
  bpfOrNull("BTF_GET_FD_BY_ID", encode(GET_ID_ATTR, { start_id: id }));

/** Opens the object with that ID; the caller closes the descriptor. Returns null if there is none. Throws SysError. */
export const openById = (kind: BpfObjectKind, id: number): number | null =>
  bpfOrNull(FD_BY_ID[kind], encode(GET_ID_ATTR, { start_id: id }));

/** Calls `work` with the object of that ID open, then closes it. Returns null if there is none. Throws SysError. */
export function withObject<T>(kind: BpfObjectKind, id: number, work: (fd: number) => T): T | null {
  const fd = openById(kind, id);
  if (fd === null) return null;
  try {
    return work(fd);
  } finally {
    closeFd(fd);
  }
}

/** BPF_LINK_DETACH: detaches a link even while it is open. Throws SysError (EOPNOTSUPP for perf-based links). */
export const detachLink = (link: number): void => {
  bpf("LINK_DETACH", encode(LINK_DETACH_ATTR, { link_fd: link }));
};
