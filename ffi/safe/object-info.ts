import { INFO_ATTR, LINK_INFO, LINK_TYPE, MAP_INFO, PROG_INFO } from "../layout/generated.ts";
import { decode, encode, type FieldValues, type StructLayout, type StructReader } from "../layout/struct.ts";
import { addressOf, allocate, keepAlive } from "../memory.ts";
import { bpf } from "./bpf.ts";

/**
 * BPF_OBJ_GET_INFO_BY_FD. `request` are fields that are set before the call (room for arrays); everything else is zero,
 * because the kernel takes what it finds there for a request. Throws SysError.
 */
function objectInfo<Layout extends StructLayout>(
  fd: number,
  layout: Layout,
  request: FieldValues<Layout> = {},
): StructReader<Layout> {
  const info = encode(layout, request);
  bpf("OBJ_GET_INFO_BY_FD", encode(INFO_ATTR, { bpf_fd: fd, info_len: info.length, info: addressOf(info) }));
  keepAlive(info);
  return decode(layout, info);
}

/** struct bpf_prog_info; fields that a kernel does not have yet are 0. */
export interface ProgramInfo {
  readonly type: number;
  readonly id: number;
  readonly tag: Uint8Array;
  /** Bytes. */
  readonly jitedSize: number;
  readonly xlatedSize: number;
  /** Nanoseconds of CLOCK_BOOTTIME. */
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

/** About the program behind `fd`. Throws SysError. */
export function programInfo(fd: number): ProgramInfo {
  // A program's maps are fixed when it is loaded: what one call counts, the next one can list.
  const room = objectInfo(fd, PROG_INFO).u32("nr_map_ids");
  const mapIds = allocate(Math.max(4, room * 4));
  const info = objectInfo(fd, PROG_INFO, { nr_map_ids: room, map_ids: room === 0 ? 0 : addressOf(mapIds) });
  keepAlive(mapIds);
  return {
    type: info.u32("type"),
    id: info.u32("id"),
    tag: info.bytes("tag"),
    jitedSize: info.u32("jited_prog_len"),
    xlatedSize: info.u32("xlated_prog_len"),
    loadTimeNs: info.u64("load_time"),
    uid: info.u32("created_by_uid"),
    mapIds: [...new Uint32Array(mapIds.buffer).subarray(0, room)],
    name: info.text("name"),
    btfId: info.u32("btf_id"),
    gplCompatible: info.bit(PROG_INFO.gpl_compatible),
    runTimeNs: info.u64("run_time_ns"),
    runCount: info.u64("run_cnt"),
    recursionMisses: info.u64("recursion_misses"),
    verifiedInstructions: info.u32("verified_insns"),
  };
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
  readonly extra: bigint;
}

/** About the map behind `fd`. Throws SysError. */
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
    extra: info.u64("map_extra"),
  };
}

/** struct bpf_link_info. */
export interface LinkInfo {
  readonly type: number;
  readonly id: number;
  readonly programId: number;
  /** BPF_* attach type; null for the kinds of link that do not say. */
  readonly attachType: number | null;
  /** Of an XDP link: its interface, 0 when that has gone. Null for other kinds. */
  readonly xdpIfindex: number | null;
}

/** About the link behind `fd`. Throws SysError. */
export function linkInfo(fd: number): LinkInfo {
  const info = objectInfo(fd, LINK_INFO);
  const type = info.u32("type");
  return {
    type,
    id: info.u32("id"),
    programId: info.u32("prog_id"),
    attachType: attachTypeOf(type, info),
    xdpIfindex: type === LINK_TYPE.XDP ? info.u32("xdp_ifindex") : null,
  };
}

function attachTypeOf(type: number, info: StructReader<typeof LINK_INFO>): number | null {
  switch (type) {
    case LINK_TYPE.TRACING:
      // The link of an extension has none, and says 0, which is a cgroup's.
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
