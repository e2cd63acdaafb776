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
  LINK_GET_FD_BY_ID: 30,
  OBJ_GET_INFO_BY_FD: 15,
  PROG_QUERY: 16,
  LINK_CREATE: 28,
  LINK_UPDATE: 29,
  LINK_DETACH: 34,
  PROG_LOAD: 5,
  BTF_LOAD: 18,
} as const;

export const PROG_TYPE = {
  KPROBE: 2,
  SCHED_CLS: 3,
  TRACEPOINT: 5,
  XDP: 6,
  PERF_EVENT: 7,
  TRACING: 26,
  EXT: 28,
  LSM: 29,
} as const;

export const ATTACH_TYPE = {
  TRACE_FENTRY: 24,
  TRACE_FEXIT: 25,
  LSM_MAC: 27,
  XDP: 37,
  PERF_EVENT: 41,
  TCX_INGRESS: 46,
  TCX_EGRESS: 47,
} as const;

export const LINK_TYPE = {
  TRACING: 2,
  CGROUP: 3,
  NETNS: 5,
  XDP: 6,
  PERF_EVENT: 7,
  TCX: 11,
  NETKIT: 13,
} as const;

export const PERF_EVENT_KIND = {
  UPROBE: 1,
  URETPROBE: 2,
  KPROBE: 3,
  KRETPROBE: 4,
  TRACEPOINT: 5,
} as const;

export const PERF_TYPE = {
  SOFTWARE: 1,
  TRACEPOINT: 2,
} as const;

export const PERF_SOFTWARE = {
  DUMMY: 9,
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

/** union bpf_attr */
export const QUERY_ATTR = {
  fields: {
    target_ifindex: { offset: 0, size: 4 },
    attach_type: { offset: 4, size: 4 },
    prog_ids: { offset: 16, size: 8 },
    count: { offset: 24, size: 4 },
    link_ids: { offset: 40, size: 8 },
    revision: { offset: 56, size: 8 },
  },
  size: 64,
} as const;

/** union bpf_attr */
export const LINK_CREATE_ATTR = {
  fields: {
    prog_fd: { offset: 0, size: 4 },
    target_fd: { offset: 4, size: 4 },
    target_ifindex: { offset: 4, size: 4 },
    attach_type: { offset: 8, size: 4 },
    flags: { offset: 12, size: 4 },
    target_btf_id: { offset: 16, size: 4 },
    perf_event_cookie: { offset: 16, size: 8 },
    tracing_target_btf_id: { offset: 16, size: 4 },
    tracing_cookie: { offset: 24, size: 8 },
    relative_id: { offset: 16, size: 4 },
    expected_revision: { offset: 24, size: 8 },
  },
  size: 32,
} as const;

/** union bpf_attr */
export const LINK_UPDATE_ATTR = {
  fields: {
    link_fd: { offset: 0, size: 4 },
    new_prog_fd: { offset: 4, size: 4 },
    flags: { offset: 8, size: 4 },
    old_prog_fd: { offset: 12, size: 4 },
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

/** union bpf_attr */
export const PROG_LOAD_ATTR = {
  fields: {
    prog_type: { offset: 0, size: 4 },
    insn_cnt: { offset: 4, size: 4 },
    insns: { offset: 8, size: 8 },
    license: { offset: 16, size: 8 },
    expected_attach_type: { offset: 68, size: 4 },
    prog_btf_fd: { offset: 72, size: 4 },
    func_info_rec_size: { offset: 76, size: 4 },
    func_info: { offset: 80, size: 8 },
    func_info_cnt: { offset: 88, size: 4 },
    attach_btf_id: { offset: 108, size: 4 },
    attach_prog_fd: { offset: 112, size: 4 },
  },
  size: 116,
} as const;

/** union bpf_attr */
export const BTF_LOAD_ATTR = {
  fields: {
    btf: { offset: 0, size: 8 },
    btf_size: { offset: 16, size: 4 },
  },
  size: 20,
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
    btf_id: { offset: 64, size: 4 },
    map_extra: { offset: 80, size: 8 },
  },
  size: 88,
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
    cgroup_attach_type: { offset: 24, size: 4 },
    netns_attach_type: { offset: 20, size: 4 },
    xdp_ifindex: { offset: 16, size: 4 },
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
    tcx_ifindex: { offset: 16, size: 4 },
    tcx_attach_type: { offset: 20, size: 4 },
    netkit_attach_type: { offset: 20, size: 4 },
  },
  size: 64,
} as const;

/** struct perf_event_attr */
export const PERF_EVENT_ATTR = {
  fields: {
    type: { offset: 0, size: 4 },
    size: { offset: 4, size: 4 },
    config: { offset: 8, size: 8 },
    uprobe_path: { offset: 56, size: 8 },
    kprobe_func: { offset: 56, size: 8 },
    probe_offset: { offset: 64, size: 8 },
  },
  size: 72,
} as const;

/** struct bpf_object_open_opts */
export const OBJECT_OPEN_OPTS = {
  fields: {
    sz: { offset: 0, size: 8 },
    object_name: { offset: 8, size: 8 },
  },
  size: 16,
} as const;
