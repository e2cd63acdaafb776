import {
  BTF_INFO,
  ID_INFO,
  INFO_ATTR,
  LINK_INFO,
  LINK_TYPE,
  MAP_INFO,
  PERF_EVENT_KIND,
  PROG_INFO,
} from "../layout/generated-objects.ts";
import { decode, encode, type FieldValues, numbersIn, type StructLayout, type StructReader } from "../layout/struct.ts";
import type { LinkFacts } from "../link-facts.ts";
import { addressOf, allocate, keepAlive, textUntilNul } from "../memory.ts";
import { bpf, openBtfById } from "./bpf.ts";
import { closeFd } from "./libc.ts";

/**
 * BPF_OBJ_GET_INFO_BY_FD. `request` holds fields to set before the call (pointers and lengths of arrays); everything
 * else is zero, because the kernel reads those fields as input. Throws SysError.
 */
export function objectInfo<Layout extends StructLayout>(
  fd: number,
  layout: Layout,
  request: FieldValues<Layout> = {},
): StructReader<Layout> {
  const info = encode(layout, request);
  bpf("OBJ_GET_INFO_BY_FD", encode(INFO_ATTR, { bpf_fd: fd, info_len: info.length, info: addressOf(info) }));
  keepAlive(info);
  return decode(layout, info);
}

/** Returns the ID of the program, map or link behind `fd`: all three structs have it in the same place. Throws SysError. */
export const objectId = (fd: number): number => objectInfo(fd, ID_INFO).u32("id");

/** struct bpf_prog_info. Fields missing from older kernels are 0. */
export interface ProgramInfo {
  readonly type: number;
  readonly id: number;
  readonly tag: Uint8Array;
  /** Bytes. */
  readonly jitedSize: number;
  readonly xlatedSize: number;
  /** Nanoseconds on CLOCK_BOOTTIME. */
  readonly loadTimeNs: bigint;
  readonly uid: number;
  readonly mapIds: readonly number[];
  readonly name: string;
  readonly btfId: number;
  readonly gplCompatible: boolean;
  readonly runTimeNs: bigint;
  readonly runCount: bigint;
  readonly recursionMisses: bigint;
  readonly verifiedInstructions: number;
}

/** The maps that most programs have at most: then one call is enough. */
const USUAL_MAPS = 32;

/** Returns information about the program behind `fd`. Throws SysError. */
export function programInfo(fd: number, room = USUAL_MAPS): ProgramInfo {
  const mapIds = allocate(room * 4);
  const info = objectInfo(fd, PROG_INFO, { nr_map_ids: room, map_ids: addressOf(mapIds) });
  keepAlive(mapIds);
  const maps = info.u32("nr_map_ids");
  // A program's maps are fixed at load time.
  if (maps > room) return programInfo(fd, maps);
  return {
    type: info.u32("type"),
    id: info.u32("id"),
    tag: info.bytes("tag"),
    jitedSize: info.u32("jited_prog_len"),
    xlatedSize: info.u32("xlated_prog_len"),
    loadTimeNs: info.u64("load_time"),
    uid: info.u32("created_by_uid"),
    mapIds: numbersIn(mapIds, maps),
    name: info.text("name"),
    btfId: info.u32("btf_id"),
    gplCompatible: info.bit(PROG_INFO.gpl_compatible),
    runTimeNs: info.u64("run_time_ns"),
    runCount: info.u64("run_cnt"),
    recursionMisses: info.u64("recursion_misses"),
    verifiedInstructions: info.u32("verified_insns"),
  };
}

/** Returns the size in bytes of the machine code of the program behind `fd`; 0 if it is interpreted. Throws SysError. */
export const jitedSizeOf = (fd: number): number => objectInfo(fd, PROG_INFO).u32("jited_prog_len");

/** struct bpf_func_info begins with the function's instruction and its type ID. */
const FUNC_INFO = { typeId: 4, bytes: 8 } as const;

/** Returns the type ID, in its BTF, of the function that the program behind `fd` begins with; null if it has none. Throws SysError. */
export function programFunction(fd: number): number | null {
  const info = objectInfo(fd, PROG_INFO);
  const [count, size] = [info.u32("nr_func_info"), info.u32("func_info_rec_size")];
  if (count === 0 || size < FUNC_INFO.bytes) return null;
  // The kernel writes as many as there is room for, the program itself first.
  const record = allocate(size);
  objectInfo(fd, PROG_INFO, { nr_func_info: 1, func_info_rec_size: size, func_info: addressOf(record) });
  keepAlive(record);
  return new DataView(record.buffer).getUint32(FUNC_INFO.typeId, true);
}

/** struct bpf_map_info; sizes in bytes. */
export interface MapInfo {
  readonly type: number;
  readonly id: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  readonly name: string;
  readonly btfId: number;
  /** Types of key and value in that BTF; 0 where nothing is said. */
  readonly keyTypeId: number;
  readonly valueTypeId: number;
  /** Of struct_ops: the type of its value in the kernel's own BTF. */
  readonly kernelValueTypeId: number;
  readonly extra: bigint;
}

/** Returns information about the map behind `fd`. Throws SysError. */
export function mapInfo(fd: number): MapInfo {
  const info = objectInfo(fd, MAP_INFO);
  return {
    type: info.u32("type"),
    id: info.u32("id"),
    keySize: info.u32("key_size"),
    valueSize: info.u32("value_size"),
    maxEntries: info.u32("max_entries"),
    flags: info.u32("map_flags"),
    name: info.text("name"),
    btfId: info.u32("btf_id"),
    keyTypeId: info.u32("btf_key_type_id"),
    valueTypeId: info.u32("btf_value_type_id"),
    kernelValueTypeId: info.u32("btf_vmlinux_value_type_id"),
    extra: info.u64("map_extra"),
  };
}

/** Returns the BTF with that ID, as it was given to the kernel; null if there is none. Throws SysError. */
export function btfBytes(id: number): Uint8Array | null {
  const fd = openBtfById(id);
  if (fd === null) return null;
  try {
    const size = objectInfo(fd, BTF_INFO).u32("btf_size");
    const bytes = allocate(Math.max(size, 1));
    objectInfo(fd, BTF_INFO, { btf: addressOf(bytes), btf_size: size });
    keepAlive(bytes);
    return bytes.subarray(0, size);
  } finally {
    closeFd(fd);
  }
}

/** struct bpf_link_info. */
export interface LinkInfo {
  readonly type: number;
  readonly id: number;
  readonly programId: number;
  /** BPF_* attach type; null for link types that do not report one. */
  readonly attachType: number | null;
  /** Null for link types without further fields, and on kernels that do not report them. */
  readonly facts: LinkFacts | null;
}

/** Returns information about the link behind `fd`. Throws SysError. */
export function linkInfo(fd: number): LinkInfo {
  const info = objectInfo(fd, LINK_INFO);
  const type = info.u32("type");
  return {
    type,
    id: info.u32("id"),
    programId: info.u32("prog_id"),
    attachType: attachTypeOf(type, info),
    facts: factsOf(fd, type, info),
  };
}

type LinkReader = StructReader<typeof LINK_INFO>;

function factsOf(fd: number, type: number, info: LinkReader): LinkFacts | null {
  switch (type) {
    case LINK_TYPE.XDP:
      return { kind: "xdp", ifindex: info.u32("xdp_ifindex") };
    case LINK_TYPE.TCX:
      return { kind: "tcx", ifindex: info.u32("tcx_ifindex") };
    case LINK_TYPE.TRACING:
      return {
        kind: "tracing",
        targetObjectId: info.u32("tracing_target_obj_id"),
        targetBtfId: info.u32("tracing_target_btf_id"),
        cookie: info.u64("tracing_cookie"),
      };
    case LINK_TYPE.RAW_TRACEPOINT:
      return { kind: "raw_tp", name: rawTracepointName(fd), cookie: info.u64("raw_tp_cookie") };
    case LINK_TYPE.KPROBE_MULTI:
      return {
        kind: "kprobe.multi",
        count: info.u32("kprobe_multi_count"),
        atReturn: (info.u32("kprobe_multi_flags") & MULTI_RETURN) !== 0,
        missed: info.u64("kprobe_multi_missed"),
      };
    case LINK_TYPE.UPROBE_MULTI:
      return {
        kind: "uprobe.multi",
        file: uprobeMultiPath(fd),
        count: info.u32("uprobe_multi_count"),
        atReturn: (info.u32("uprobe_multi_flags") & MULTI_RETURN) !== 0,
      };
    case LINK_TYPE.ITER:
      return { kind: "iter", target: iteratorName(fd), mapId: info.u32("iter_map_id") || null };
    case LINK_TYPE.PERF_EVENT:
      return perfFacts(fd, info);
    case LINK_TYPE.CGROUP:
      return { kind: "cgroup", cgroupId: info.u64("cgroup_id") };
    case LINK_TYPE.NETNS:
      return { kind: "netns", inode: info.u32("netns_ino") };
    case LINK_TYPE.NETFILTER:
      return {
        kind: "netfilter",
        protocol: info.u32("netfilter_pf"),
        hook: info.u32("netfilter_hooknum"),
        priority: info.u32("netfilter_priority") | 0,
        flags: info.u32("netfilter_flags"),
      };
    default:
      return null;
  }
}

function perfFacts(fd: number, info: LinkReader): LinkFacts | null {
  const event = info.u32("perf_event_type");
  switch (event) {
    case PERF_EVENT_KIND.KPROBE:
    case PERF_EVENT_KIND.KRETPROBE:
      return {
        kind: event === PERF_EVENT_KIND.KPROBE ? "kprobe" : "kretprobe",
        functionName: perfEventName(fd),
        offset: info.u32("kprobe_offset"),
        address: info.u64("kprobe_addr"),
        missed: info.u64("kprobe_missed"),
        cookie: info.u64("kprobe_cookie"),
      };
    case PERF_EVENT_KIND.UPROBE:
    case PERF_EVENT_KIND.URETPROBE:
      return {
        kind: event === PERF_EVENT_KIND.UPROBE ? "uprobe" : "uretprobe",
        file: perfEventName(fd),
        offset: info.u32("uprobe_offset"),
        cookie: info.u64("uprobe_cookie"),
      };
    case PERF_EVENT_KIND.TRACEPOINT:
      return { kind: "tracepoint", name: perfEventName(fd), cookie: info.u64("tracepoint_cookie") };
    case PERF_EVENT_KIND.EVENT: {
      const [type, config, cookie] = [info.u32("event_type"), info.u64("event_config"), info.u64("event_cookie")];
      return { kind: "event", type, config, cookie };
    }
    default:
      return null;
  }
}

/** PATH_MAX (include/uapi/linux/limits.h): the longest possible name is that of a file. */
const PERF_EVENT_NAME_BYTES = 4096;

/** Returns the function, file or tracepoint of a perf event link. The kernel only writes it if given a buffer. */
function perfEventName(fd: number): string {
  const name = allocate(PERF_EVENT_NAME_BYTES);
  objectInfo(fd, LINK_INFO, { perf_event_name: addressOf(name), perf_event_name_len: name.length });
  return textUntilNul(name);
}

/** Far more than the name of any tracepoint or iterator has; the kernel cuts a longer one and says ENOSPC. */
const NAME_BYTES = 256;

/** Returns the tracepoint of a raw tracepoint link, in the same manner. */
function rawTracepointName(fd: number): string {
  const name = allocate(NAME_BYTES);
  objectInfo(fd, LINK_INFO, { raw_tp_name: addressOf(name), raw_tp_name_len: name.length });
  return textUntilNul(name);
}

/** BPF_F_KPROBE_MULTI_RETURN, BPF_F_UPROBE_MULTI_RETURN */
const MULTI_RETURN = 1;

/** Returns the file of a link with many probes, in the same manner. */
function uprobeMultiPath(fd: number): string {
  const name = allocate(PERF_EVENT_NAME_BYTES);
  objectInfo(fd, LINK_INFO, { uprobe_multi_path: addressOf(name), uprobe_multi_path_size: name.length });
  return textUntilNul(name);
}

/** Returns what the iterator of a link visits, in the same manner. */
function iteratorName(fd: number): string {
  const name = allocate(NAME_BYTES);
  objectInfo(fd, LINK_INFO, { iter_target_name: addressOf(name), iter_target_name_len: name.length });
  return textUntilNul(name);
}

function attachTypeOf(type: number, info: LinkReader): number | null {
  switch (type) {
    case LINK_TYPE.TRACING:
      // An extension link has no attach type and reports 0, which would be a cgroup's.
      return info.u32("tracing_attach_type") || null;
    case LINK_TYPE.CGROUP:
      return info.u32("cgroup_attach_type");
    case LINK_TYPE.NETNS:
      return info.u32("netns_attach_type");
    case LINK_TYPE.TCX:
      return info.u32("tcx_attach_type");
    case LINK_TYPE.NETKIT:
      return info.u32("netkit_attach_type");
    default:
      return null;
  }
}
