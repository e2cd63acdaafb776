// Made by scripts/generate-layouts.ts from the kernel's BTF and libbpf's header. Do not edit.
// Offsets and sizes in bytes; the size of a struct ends with the last field used here.

export const BPF_CMD = {
  OBJ_PIN: 6,
  OBJ_GET: 7,
  PROG_GET_NEXT_ID: 11,
  MAP_GET_NEXT_ID: 12,
  LINK_GET_NEXT_ID: 31,
  PROG_GET_FD_BY_ID: 13,
  MAP_GET_FD_BY_ID: 14,
  BTF_GET_FD_BY_ID: 19,
  MAP_LOOKUP_ELEM: 1,
  MAP_UPDATE_ELEM: 2,
  MAP_DELETE_ELEM: 3,
  MAP_GET_NEXT_KEY: 4,
  MAP_LOOKUP_AND_DELETE_ELEM: 21,
  MAP_LOOKUP_BATCH: 24,
  LINK_GET_FD_BY_ID: 30,
  OBJ_GET_INFO_BY_FD: 15,
  PROG_QUERY: 16,
  LINK_CREATE: 28,
  RAW_TRACEPOINT_OPEN: 17,
  ITER_CREATE: 33,
  LINK_UPDATE: 29,
  LINK_DETACH: 34,
  ENABLE_STATS: 32,
  PROG_LOAD: 5,
  BTF_LOAD: 18,
} as const;

export const LINK_TYPE = {
  RAW_TRACEPOINT: 1,
  TRACING: 2,
  CGROUP: 3,
  ITER: 4,
  NETNS: 5,
  XDP: 6,
  PERF_EVENT: 7,
  KPROBE_MULTI: 8,
  UPROBE_MULTI: 12,
  NETFILTER: 10,
  TCX: 11,
  NETKIT: 13,
} as const;

export const PERF_EVENT_KIND = {
  UPROBE: 1,
  URETPROBE: 2,
  KPROBE: 3,
  KRETPROBE: 4,
  TRACEPOINT: 5,
  EVENT: 6,
} as const;

/** union bpf_attr */
export const OBJ_ATTR = {
  fields: {
    pathname: { offset: 0, size: 8 },
    bpf_fd: { offset: 8, size: 4 },
    file_flags: { offset: 12, size: 4 },
  },
  size: 16,
} as const;

/** union bpf_attr */
export const GET_ID_ATTR = {
  fields: {
    start_id: { offset: 0, size: 4 },
    next_id: { offset: 4, size: 4 },
    open_flags: { offset: 8, size: 4 },
  },
  size: 12,
} as const;

/** union bpf_attr */
export const INFO_ATTR = {
  fields: {
    bpf_fd: { offset: 0, size: 4 },
    info_len: { offset: 4, size: 4 },
    info: { offset: 8, size: 8 },
  },
  size: 16,
} as const;

/** struct bpf_btf_info */
export const BTF_INFO = {
  fields: {
    btf: { offset: 0, size: 8 },
    btf_size: { offset: 8, size: 4 },
    id: { offset: 12, size: 4 },
  },
  size: 16,
} as const;

/** union bpf_attr */
export const LINK_DETACH_ATTR = {
  fields: {
    link_fd: { offset: 0, size: 4 },
  },
  size: 4,
} as const;

/** struct bpf_prog_info */
export const PROG_INFO = {
  fields: {
    type: { offset: 0, size: 4 },
    id: { offset: 4, size: 4 },
    tag: { offset: 8, size: 8 },
    jited_prog_len: { offset: 16, size: 4 },
    xlated_prog_len: { offset: 20, size: 4 },
    load_time: { offset: 40, size: 8 },
    created_by_uid: { offset: 48, size: 4 },
    nr_map_ids: { offset: 52, size: 4 },
    map_ids: { offset: 56, size: 8 },
    name: { offset: 64, size: 16 },
    btf_id: { offset: 128, size: 4 },
    func_info_rec_size: { offset: 132, size: 4 },
    func_info: { offset: 136, size: 8 },
    nr_func_info: { offset: 144, size: 4 },
    run_time_ns: { offset: 192, size: 8 },
    run_cnt: { offset: 200, size: 8 },
    recursion_misses: { offset: 208, size: 8 },
    verified_insns: { offset: 216, size: 4 },
  },
  gpl_compatible: { offset: 84, mask: 1 },
  size: 220,
} as const;

/** struct bpf_map_info */
export const MAP_INFO = {
  fields: {
    type: { offset: 0, size: 4 },
    id: { offset: 4, size: 4 },
    key_size: { offset: 8, size: 4 },
    value_size: { offset: 12, size: 4 },
    max_entries: { offset: 16, size: 4 },
    map_flags: { offset: 20, size: 4 },
    name: { offset: 24, size: 16 },
    btf_vmlinux_value_type_id: { offset: 44, size: 4 },
    btf_id: { offset: 64, size: 4 },
    btf_key_type_id: { offset: 68, size: 4 },
    btf_value_type_id: { offset: 72, size: 4 },
    map_extra: { offset: 80, size: 8 },
  },
  size: 88,
} as const;

/** struct bpf_link_info */
export const ID_INFO = {
  fields: {
    id: { offset: 4, size: 4 },
  },
  size: 8,
} as const;

/** struct bpf_link_info */
export const LINK_INFO = {
  fields: {
    type: { offset: 0, size: 4 },
    id: { offset: 4, size: 4 },
    prog_id: { offset: 8, size: 4 },
    tracing_attach_type: { offset: 16, size: 4 },
    tracing_target_obj_id: { offset: 20, size: 4 },
    tracing_target_btf_id: { offset: 24, size: 4 },
    tracing_cookie: { offset: 32, size: 8 },
    cgroup_id: { offset: 16, size: 8 },
    cgroup_attach_type: { offset: 24, size: 4 },
    netns_ino: { offset: 16, size: 4 },
    netns_attach_type: { offset: 20, size: 4 },
    netfilter_pf: { offset: 16, size: 4 },
    netfilter_hooknum: { offset: 20, size: 4 },
    netfilter_priority: { offset: 24, size: 4 },
    netfilter_flags: { offset: 28, size: 4 },
    xdp_ifindex: { offset: 16, size: 4 },
    raw_tp_name: { offset: 16, size: 8 },
    raw_tp_name_len: { offset: 24, size: 4 },
    raw_tp_cookie: { offset: 32, size: 8 },
    perf_event_type: { offset: 16, size: 4 },
    perf_event_name: { offset: 24, size: 8 },
    perf_event_name_len: { offset: 32, size: 4 },
    kprobe_offset: { offset: 36, size: 4 },
    kprobe_addr: { offset: 40, size: 8 },
    kprobe_missed: { offset: 48, size: 8 },
    kprobe_cookie: { offset: 56, size: 8 },
    uprobe_offset: { offset: 36, size: 4 },
    uprobe_cookie: { offset: 40, size: 8 },
    tracepoint_cookie: { offset: 40, size: 8 },
    event_config: { offset: 24, size: 8 },
    event_type: { offset: 32, size: 4 },
    event_cookie: { offset: 40, size: 8 },
    kprobe_multi_count: { offset: 24, size: 4 },
    kprobe_multi_flags: { offset: 28, size: 4 },
    kprobe_multi_missed: { offset: 32, size: 8 },
    uprobe_multi_path: { offset: 16, size: 8 },
    uprobe_multi_path_size: { offset: 48, size: 4 },
    uprobe_multi_count: { offset: 52, size: 4 },
    uprobe_multi_flags: { offset: 56, size: 4 },
    iter_target_name: { offset: 16, size: 8 },
    iter_target_name_len: { offset: 24, size: 4 },
    iter_map_id: { offset: 28, size: 4 },
    tcx_ifindex: { offset: 16, size: 4 },
    tcx_attach_type: { offset: 20, size: 4 },
    netkit_attach_type: { offset: 20, size: 4 },
  },
  size: 64,
} as const;
