import {
  ATTACH_TYPE,
  CGROUP_LINK_ATTR,
  ITER_CREATE_ATTR,
  ITER_LINK_ATTR,
  ITER_LINK_INFO,
  KPROBE_MULTI_LINK_ATTR,
  LINK_UPDATE_ATTR,
  NETFILTER_LINK_ATTR,
  NETNS_LINK_ATTR,
  PERF_LINK_ATTR,
  QUERY_ATTR,
  RAW_TRACEPOINT_ATTR,
  TCX_LINK_ATTR,
  TRACING_LINK_ATTR,
  UPROBE_MULTI_LINK_ATTR,
  XDP_LINK_ATTR,
} from "../layout/generated.ts";
import { decode, encode, type FieldValues, type StructLayout } from "../layout/struct.ts";
import { addressOf, allocate, copyOf, cString, keepAlive } from "../memory.ts";
import { bpf } from "./bpf.ts";
import type { AttachTypeName } from "./bpf-object.ts";

// Each create function returns the link's file descriptor. Closing it detaches the program unless the link is pinned.

/** BPF_LINK_CREATE with the fields of one link type. Throws SysError. */
const createLink = <Layout extends StructLayout>(layout: Layout, values: FieldValues<Layout>): number =>
  bpf("LINK_CREATE", encode(layout, values));

/** Attaches a program to a perf event; the link holds its own reference to the event (Linux 5.15). Throws SysError. */
export const createPerfLink = (program: number, event: number): number =>
  createLink(PERF_LINK_ATTR, { prog_fd: program, target_fd: event, attach_type: ATTACH_TYPE.PERF_EVENT });

export type TracingType = "TRACE_FENTRY" | "TRACE_FEXIT" | "LSM_MAC" | "TRACE_RAW_TP" | "MODIFY_RETURN";

/** Attaches a tracing or LSM program to what it was loaded for (Linux 5.11; tracepoints 5.18). Throws SysError. */
export const createTracingLink = (program: number, attachType: TracingType): number =>
  createLink(TRACING_LINK_ATTR, { prog_fd: program, attach_type: ATTACH_TYPE[attachType] });

/**
 * Replaces a function with an extension program: the function the extension was loaded for, or a compatible one,
 * function `btfId` of the program behind `programFd` (Linux 5.10). Throws SysError.
 */
export function createExtensionLink(
  program: number,
  target: { readonly programFd: number; readonly btfId: number } | null,
): number {
  return createLink(TRACING_LINK_ATTR, {
    prog_fd: program,
    target_fd: target?.programFd ?? 0,
    target_btf_id: target?.btfId ?? 0,
  });
}

/** Of both kinds of links with many probes. */
const BPF_F_MULTI_RETURN = 1;

/**
 * Attaches to the entry or return of all these functions of the kernel (Linux 5.18, CONFIG_FPROBE). Throws SysError:
 * EOPNOTSUPP without it, ESRCH if one of them cannot be traced.
 */
export function createKprobeMultiLink(
  program: number,
  { functions, atReturn }: { readonly functions: readonly string[]; readonly atReturn: boolean },
): number {
  const names = functions.map(cString);
  const addresses = copyOf(new Uint8Array(BigUint64Array.from(names, (name) => BigInt(addressOf(name))).buffer));
  const link = createLink(KPROBE_MULTI_LINK_ATTR, {
    prog_fd: program,
    attach_type: ATTACH_TYPE.TRACE_KPROBE_MULTI,
    multi_flags: atReturn ? BPF_F_MULTI_RETURN : 0,
    cnt: names.length,
    syms: addressOf(addresses),
  });
  keepAlive(addresses, ...names);
  return link;
}

export interface UprobeMultiTarget {
  readonly path: string;
  /** In the file, in bytes. */
  readonly offsets: readonly number[];
  readonly atReturn: boolean;
  readonly pid: number | null;
}

/**
 * Attaches to all these places in a file (Linux 6.6). Throws SysError: EINVAL before that, ENOENT for a missing file, ESRCH
 * for a missing process.
 */
export function createUprobeMultiLink(program: number, { path, offsets, atReturn, pid }: UprobeMultiTarget): number {
  const name = cString(path);
  const places = copyOf(new Uint8Array(BigUint64Array.from(offsets, BigInt).buffer));
  const link = createLink(UPROBE_MULTI_LINK_ATTR, {
    prog_fd: program,
    attach_type: ATTACH_TYPE.TRACE_UPROBE_MULTI,
    path: addressOf(name),
    offsets: addressOf(places),
    cnt: offsets.length,
    multi_flags: atReturn ? BPF_F_MULTI_RETURN : 0,
    pid: pid ?? 0,
  });
  keepAlive(name, places);
  return link;
}

/**
 * Asks for more uprobes than any kernel takes (MAX_UPROBE_MULTI_CNT). Throws SysError: EINVAL if the kernel does not know
 * such links (before Linux 6.6), E2BIG or another if it does.
 */
export function createTooManyUprobes(program: number): number {
  const place = allocate(8);
  const [path, offsets] = [addressOf(place), addressOf(place)];
  const about = { path, offsets, cnt: 0xffff_ffff, attach_type: ATTACH_TYPE.TRACE_UPROBE_MULTI };
  const link = createLink(UPROBE_MULTI_LINK_ATTR, { prog_fd: program, ...about });
  keepAlive(place);
  return link;
}

/**
 * Attaches an iterator program to what it was loaded for (Linux 5.8); `map` is the descriptor of the map whose entries it
 * visits. Throws SysError: EBADF or EINVAL if it needs a map, or another one.
 */
export function createIteratorLink(program: number, map: number | null): number {
  const info = map === null ? null : encode(ITER_LINK_INFO, { map_fd: map });
  const about = info === null ? {} : { iter_info: addressOf(info), iter_info_len: info.length };
  const link = createLink(ITER_LINK_ATTR, { prog_fd: program, attach_type: ATTACH_TYPE.TRACE_ITER, ...about });
  if (info !== null) keepAlive(info);
  return link;
}

/** BPF_ITER_CREATE: returns a descriptor from which what the link's program writes is read, once. Throws SysError. */
export const openIterator = (link: number): number => bpf("ITER_CREATE", encode(ITER_CREATE_ATTR, { link_fd: link }));

/**
 * BPF_RAW_TRACEPOINT_OPEN: attaches a raw tracepoint program to the tracepoint of that name (a link since Linux 5.8).
 * BPF_LINK_CREATE refuses programs of this type. Throws SysError: ENOENT if there is no such tracepoint.
 */
export function openRawTracepoint(program: number, name: string): number {
  const text = cString(name);
  const fd = bpf("RAW_TRACEPOINT_OPEN", encode(RAW_TRACEPOINT_ATTR, { name: addressOf(text), prog_fd: program }));
  keepAlive(text);
  return fd;
}

/** XDP_FLAGS_* (include/uapi/linux/if_link.h) that select one of an interface's XDP hooks. */
export const XDP_MODE_FLAGS = { skb: 1 << 1, drv: 1 << 2, hw: 1 << 3 } as const;
export type XdpMode = keyof typeof XDP_MODE_FLAGS;

/**
 * Attaches to an XDP hook of an interface in the current network namespace (Linux 5.9). Throws SysError: EBUSY or
 * EEXIST if this hook or its counterpart is in use, EOPNOTSUPP if the driver does not support the mode, ENODEV if the
 * interface does not exist.
 */
export function createXdpLink(program: number, hook: { readonly ifindex: number; readonly mode: XdpMode }): number {
  return createLink(XDP_LINK_ATTR, {
    prog_fd: program,
    target_ifindex: hook.ifindex,
    attach_type: ATTACH_TYPE.XDP,
    flags: XDP_MODE_FLAGS[hook.mode],
  });
}

export type HookName = "TCX_INGRESS" | "TCX_EGRESS";

/** include/uapi/linux/bpf.h */
const BPF_F_ALLOW_OVERRIDE = 1;
const BPF_F_ALLOW_MULTI = 2;
const BPF_F_BEFORE = 8;
const BPF_F_AFTER = 16;
const BPF_F_ID = 32;
const BPF_F_LINK = 1 << 13;
const BPF_F_REPLACE = 4;

export interface TcxPlace {
  readonly ifindex: number;
  readonly hook: HookName;
  /** The link to attach next to, by ID; null appends to the list. */
  readonly beside: { readonly side: "before" | "after"; readonly linkId: number } | null;
  /** The revision the hook is expected to have. */
  readonly revision: bigint;
}

const flagsOf = (beside: TcxPlace["beside"]): number =>
  beside === null ? 0 : (beside.side === "before" ? BPF_F_BEFORE : BPF_F_AFTER) | BPF_F_ID | BPF_F_LINK;

/**
 * Attaches to the TCX hook of an interface in the current network namespace (Linux 6.6). Throws SysError: ESTALE if the
 * hook's revision differs, ENOENT if the neighbour no longer exists, EEXIST if the program is already attached to the
 * hook, ERANGE if the hook is full, ENODEV if the interface does not exist, EINVAL if the kernel does not support TCX.
 */
export function createTcxLink(program: number, place: TcxPlace): number {
  return createLink(TCX_LINK_ATTR, {
    prog_fd: program,
    target_ifindex: place.ifindex,
    attach_type: ATTACH_TYPE[place.hook],
    flags: flagsOf(place.beside),
    relative_id: place.beside?.linkId ?? 0,
    expected_revision: place.revision,
  });
}

export interface CgroupPlace {
  /** Descriptor of the cgroup's directory. */
  readonly cgroup: number;
  readonly attachType: AttachTypeName;
  /** Null appends to the list; anything else takes Linux 6.17. */
  readonly beside: TcxPlace["beside"];
  /** 0 for any. */
  readonly revision: bigint;
}

/**
 * Attaches to a cgroup beside the programs that it has: always with BPF_F_ALLOW_MULTI (Linux 5.7). Throws SysError: ESTALE
 * and ENOENT as for TCX, EPERM if a program without BPF_F_ALLOW_MULTI is in the way, here or above, E2BIG if there are 64
 * programs, EINVAL if the program cannot be attached as that type, EBADF if `cgroup` is of another version.
 */
export function createCgroupLink(program: number, place: CgroupPlace): number {
  return createLink(CGROUP_LINK_ATTR, {
    prog_fd: program,
    target_fd: place.cgroup,
    attach_type: ATTACH_TYPE[place.attachType],
    flags: flagsOf(place.beside),
    relative_id: place.beside?.linkId ?? 0,
    expected_revision: place.revision,
  });
}

/**
 * Attaches to the network namespace behind that descriptor (Linux 5.9 for SK_LOOKUP). Throws SysError: E2BIG if it has as
 * many programs as the kernel allows, EINVAL if the descriptor is of something else.
 */
export const createNetnsLink = (program: number, netns: number, attachType: "SK_LOOKUP"): number =>
  createLink(NETNS_LINK_ATTR, { prog_fd: program, target_fd: netns, attach_type: ATTACH_TYPE[attachType] });

/** BPF_F_NETFILTER_IP_DEFRAG (include/uapi/linux/bpf.h, Linux 6.6). */
const NETFILTER_DEFRAG = 1;

export interface NetfilterPlace {
  /** NFPROTO_* and NF_INET_* (include/uapi/linux/netfilter.h). */
  readonly protocol: number;
  readonly hook: number;
  /** Signed, 32 bits. */
  readonly priority: number;
  /** Packets are put together again before the program sees them. */
  readonly defrag: boolean;
}

/**
 * Attaches to a netfilter hook of the current network namespace (Linux 6.4). Throws SysError: EINVAL before 6.4 or without
 * CONFIG_NETFILTER_BPF_LINK, EBUSY or EEXIST if a program has this priority, ERANGE for the first and the last priority, or one
 * too low for `defrag`, EOPNOTSUPP if `defrag` is not known, EAFNOSUPPORT and ENOENT if defragmentation is not built in.
 */
export const createNetfilterLink = (program: number, place: NetfilterPlace): number =>
  createLink(NETFILTER_LINK_ATTR, {
    prog_fd: program,
    attach_type: ATTACH_TYPE.NETFILTER,
    pf: place.protocol,
    hooknum: place.hook,
    priority: place.priority >>> 0,
    netfilter_flags: place.defrag ? NETFILTER_DEFRAG : 0,
  });

/** Capacity of a hook (BPF_MPROG_MAX, include/linux/bpf_mprog.h). The kernel uses at most 63 of the 64 slots. */
const MPROG_MAX = 64;

export interface HookState {
  readonly revision: bigint;
  /** In execution order. The link ID is 0 for a program attached without a link. */
  readonly members: readonly { readonly programId: number; readonly linkId: number }[];
}

/**
 * BPF_PROG_QUERY for a multi-program hook in the current network namespace (Linux 6.6). Throws SysError: EINVAL if the
 * kernel does not support the hook, ENODEV if the interface does not exist.
 */
export function queryHook(ifindex: number, hook: HookName): HookState {
  const programs = allocate(MPROG_MAX * 4);
  const links = allocate(MPROG_MAX * 4);
  const attr = encode(QUERY_ATTR, {
    target_ifindex: ifindex,
    attach_type: ATTACH_TYPE[hook],
    prog_ids: addressOf(programs),
    link_ids: addressOf(links),
    count: MPROG_MAX,
  });
  bpf("PROG_QUERY", attr);
  keepAlive(programs, links);
  const answer = decode(QUERY_ATTR, attr);
  const linkIds = new Uint32Array(links.buffer);
  const members = [...new Uint32Array(programs.buffer).subarray(0, answer.u32("count"))].map((programId, index) => ({
    programId,
    linkId: linkIds[index] ?? 0,
  }));
  return { revision: answer.u64("revision"), members };
}

/** Programs that a cgroup takes for one attach type (BPF_CGROUP_MAX_PROGS, kernel/bpf/cgroup.c). */
const CGROUP_PROGRAMS_MAX = 64;

export interface CgroupHookState {
  /** 0 if the kernel keeps none, which is before Linux 6.17. */
  readonly revision: bigint;
  /** Those attached to this very cgroup, in execution order. */
  readonly programIds: readonly number[];
  /** Others may be attached beside these (BPF_F_ALLOW_MULTI). */
  readonly multi: boolean;
  /** Cgroups below may have programs of their own instead (BPF_F_ALLOW_OVERRIDE). */
  readonly override: boolean;
}

/** BPF_PROG_QUERY for one attach type of the cgroup behind that descriptor (Linux 4.15). Throws SysError. */
export function queryCgroup(cgroup: number, attachType: AttachTypeName): CgroupHookState {
  const programs = allocate(CGROUP_PROGRAMS_MAX * 4);
  const attr = encode(QUERY_ATTR, {
    target_fd: cgroup,
    attach_type: ATTACH_TYPE[attachType],
    prog_ids: addressOf(programs),
    count: CGROUP_PROGRAMS_MAX,
  });
  bpf("PROG_QUERY", attr);
  keepAlive(programs);
  const answer = decode(QUERY_ATTR, attr);
  const flags = answer.u32("attach_flags");
  return {
    revision: answer.u64("revision"),
    programIds: [...new Uint32Array(programs.buffer).subarray(0, answer.u32("count"))],
    multi: (flags & BPF_F_ALLOW_MULTI) !== 0,
    override: (flags & BPF_F_ALLOW_OVERRIDE) !== 0,
  };
}

/**
 * BPF_LINK_UPDATE: replaces program `old` of the link with `next`. Throws SysError: EPERM if the link does not run
 * `old`, ENOLINK if the hook no longer exists.
 */
export function replaceLinkProgram(link: number, programs: { readonly old: number; readonly next: number }): void {
  const values = { link_fd: link, new_prog_fd: programs.next, flags: BPF_F_REPLACE, old_prog_fd: programs.old };
  bpf("LINK_UPDATE", encode(LINK_UPDATE_ATTR, values));
}
