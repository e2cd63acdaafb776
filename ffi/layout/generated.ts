// Made by scripts/generate-layouts.ts from the kernel's BTF and libbpf's header. Do not edit.
// Offsets and sizes in bytes; the size of a struct ends with the last field used here.

export const PROG_TYPE = {
  UNSPEC: 0,
  SOCKET_FILTER: 1,
  KPROBE: 2,
  SCHED_CLS: 3,
  SCHED_ACT: 4,
  TRACEPOINT: 5,
  XDP: 6,
  PERF_EVENT: 7,
  CGROUP_SKB: 8,
  CGROUP_SOCK: 9,
  LWT_IN: 10,
  LWT_OUT: 11,
  LWT_XMIT: 12,
  SOCK_OPS: 13,
  SK_SKB: 14,
  CGROUP_DEVICE: 15,
  SK_MSG: 16,
  RAW_TRACEPOINT: 17,
  CGROUP_SOCK_ADDR: 18,
  LWT_SEG6LOCAL: 19,
  LIRC_MODE2: 20,
  SK_REUSEPORT: 21,
  FLOW_DISSECTOR: 22,
  CGROUP_SYSCTL: 23,
  RAW_TRACEPOINT_WRITABLE: 24,
  CGROUP_SOCKOPT: 25,
  TRACING: 26,
  STRUCT_OPS: 27,
  EXT: 28,
  LSM: 29,
  SK_LOOKUP: 30,
  SYSCALL: 31,
  NETFILTER: 32,
} as const;

export const ATTACH_TYPE = {
  CGROUP_INET_INGRESS: 0,
  CGROUP_INET_EGRESS: 1,
  CGROUP_INET_SOCK_CREATE: 2,
  CGROUP_SOCK_OPS: 3,
  SK_SKB_STREAM_PARSER: 4,
  SK_SKB_STREAM_VERDICT: 5,
  CGROUP_DEVICE: 6,
  SK_MSG_VERDICT: 7,
  CGROUP_INET4_BIND: 8,
  CGROUP_INET6_BIND: 9,
  CGROUP_INET4_CONNECT: 10,
  CGROUP_INET6_CONNECT: 11,
  CGROUP_INET4_POST_BIND: 12,
  CGROUP_INET6_POST_BIND: 13,
  CGROUP_UDP4_SENDMSG: 14,
  CGROUP_UDP6_SENDMSG: 15,
  LIRC_MODE2: 16,
  FLOW_DISSECTOR: 17,
  CGROUP_SYSCTL: 18,
  CGROUP_UDP4_RECVMSG: 19,
  CGROUP_UDP6_RECVMSG: 20,
  CGROUP_GETSOCKOPT: 21,
  CGROUP_SETSOCKOPT: 22,
  TRACE_RAW_TP: 23,
  TRACE_FENTRY: 24,
  TRACE_FEXIT: 25,
  MODIFY_RETURN: 26,
  LSM_MAC: 27,
  TRACE_ITER: 28,
  CGROUP_INET4_GETPEERNAME: 29,
  CGROUP_INET6_GETPEERNAME: 30,
  CGROUP_INET4_GETSOCKNAME: 31,
  CGROUP_INET6_GETSOCKNAME: 32,
  XDP_DEVMAP: 33,
  CGROUP_INET_SOCK_RELEASE: 34,
  XDP_CPUMAP: 35,
  SK_LOOKUP: 36,
  XDP: 37,
  SK_SKB_VERDICT: 38,
  SK_REUSEPORT_SELECT: 39,
  SK_REUSEPORT_SELECT_OR_MIGRATE: 40,
  PERF_EVENT: 41,
  TRACE_KPROBE_MULTI: 42,
  LSM_CGROUP: 43,
  STRUCT_OPS: 44,
  NETFILTER: 45,
  TCX_INGRESS: 46,
  TCX_EGRESS: 47,
  TRACE_UPROBE_MULTI: 48,
  CGROUP_UNIX_CONNECT: 49,
  CGROUP_UNIX_SENDMSG: 50,
  CGROUP_UNIX_RECVMSG: 51,
  CGROUP_UNIX_GETPEERNAME: 52,
  CGROUP_UNIX_GETSOCKNAME: 53,
  NETKIT_PRIMARY: 54,
  NETKIT_PEER: 55,
  TRACE_KPROBE_SESSION: 56,
  TRACE_UPROBE_SESSION: 57,
  TRACE_FSESSION: 58,
} as const;

export const PERF_TYPE = {
  HARDWARE: 0,
  SOFTWARE: 1,
  TRACEPOINT: 2,
} as const;

export const PERF_SOFTWARE = {
  DUMMY: 9,
  BPF_OUTPUT: 10,
} as const;

/** union bpf_attr */
export const QUERY_ATTR = {
  fields: {
    target_ifindex: { offset: 0, size: 4 },
    target_fd: { offset: 0, size: 4 },
    attach_type: { offset: 4, size: 4 },
    prog_ids: { offset: 16, size: 8 },
    count: { offset: 24, size: 4 },
    attach_flags: { offset: 12, size: 4 },
    link_ids: { offset: 40, size: 8 },
    revision: { offset: 56, size: 8 },
  },
  size: 64,
} as const;

/** union bpf_attr */
export const PERF_LINK_ATTR = {
  fields: {
    prog_fd: { offset: 0, size: 4 },
    attach_type: { offset: 8, size: 4 },
    flags: { offset: 12, size: 4 },
    target_fd: { offset: 4, size: 4 },
    cookie: { offset: 16, size: 8 },
  },
  size: 24,
} as const;

/** union bpf_attr */
export const TRACING_LINK_ATTR = {
  fields: {
    prog_fd: { offset: 0, size: 4 },
    attach_type: { offset: 8, size: 4 },
    flags: { offset: 12, size: 4 },
    target_fd: { offset: 4, size: 4 },
    target_btf_id: { offset: 16, size: 4 },
    cookie: { offset: 24, size: 8 },
  },
  size: 32,
} as const;

/** union bpf_attr */
export const XDP_LINK_ATTR = {
  fields: {
    prog_fd: { offset: 0, size: 4 },
    attach_type: { offset: 8, size: 4 },
    flags: { offset: 12, size: 4 },
    target_ifindex: { offset: 4, size: 4 },
  },
  size: 16,
} as const;

/** union bpf_attr */
export const TCX_LINK_ATTR = {
  fields: {
    prog_fd: { offset: 0, size: 4 },
    attach_type: { offset: 8, size: 4 },
    flags: { offset: 12, size: 4 },
    target_ifindex: { offset: 4, size: 4 },
    relative_id: { offset: 16, size: 4 },
    expected_revision: { offset: 24, size: 8 },
  },
  size: 32,
} as const;

/** union bpf_attr */
export const KPROBE_MULTI_LINK_ATTR = {
  fields: {
    prog_fd: { offset: 0, size: 4 },
    attach_type: { offset: 8, size: 4 },
    flags: { offset: 12, size: 4 },
    multi_flags: { offset: 16, size: 4 },
    cnt: { offset: 20, size: 4 },
    syms: { offset: 24, size: 8 },
  },
  size: 32,
} as const;

/** union bpf_attr */
export const UPROBE_MULTI_LINK_ATTR = {
  fields: {
    prog_fd: { offset: 0, size: 4 },
    attach_type: { offset: 8, size: 4 },
    flags: { offset: 12, size: 4 },
    path: { offset: 16, size: 8 },
    offsets: { offset: 24, size: 8 },
    cnt: { offset: 48, size: 4 },
    multi_flags: { offset: 52, size: 4 },
    pid: { offset: 56, size: 4 },
  },
  size: 60,
} as const;

/** union bpf_attr */
export const ITER_LINK_ATTR = {
  fields: {
    prog_fd: { offset: 0, size: 4 },
    attach_type: { offset: 8, size: 4 },
    flags: { offset: 12, size: 4 },
    iter_info: { offset: 16, size: 8 },
    iter_info_len: { offset: 24, size: 4 },
  },
  size: 28,
} as const;

/** union bpf_iter_link_info */
export const ITER_LINK_INFO = {
  fields: {
    map_fd: { offset: 0, size: 4 },
  },
  size: 4,
} as const;

/** union bpf_attr */
export const ITER_CREATE_ATTR = {
  fields: {
    link_fd: { offset: 0, size: 4 },
    flags: { offset: 4, size: 4 },
  },
  size: 8,
} as const;

/** union bpf_attr */
export const RAW_TRACEPOINT_ATTR = {
  fields: {
    name: { offset: 0, size: 8 },
    prog_fd: { offset: 8, size: 4 },
    cookie: { offset: 16, size: 8 },
  },
  size: 24,
} as const;

/** union bpf_attr */
export const CGROUP_LINK_ATTR = {
  fields: {
    prog_fd: { offset: 0, size: 4 },
    attach_type: { offset: 8, size: 4 },
    flags: { offset: 12, size: 4 },
    target_fd: { offset: 4, size: 4 },
    relative_id: { offset: 16, size: 4 },
    expected_revision: { offset: 24, size: 8 },
  },
  size: 32,
} as const;

/** union bpf_attr */
export const NETNS_LINK_ATTR = {
  fields: {
    prog_fd: { offset: 0, size: 4 },
    attach_type: { offset: 8, size: 4 },
    flags: { offset: 12, size: 4 },
    target_fd: { offset: 4, size: 4 },
  },
  size: 16,
} as const;

/** union bpf_attr */
export const NETFILTER_LINK_ATTR = {
  fields: {
    prog_fd: { offset: 0, size: 4 },
    attach_type: { offset: 8, size: 4 },
    flags: { offset: 12, size: 4 },
    pf: { offset: 16, size: 4 },
    hooknum: { offset: 20, size: 4 },
    priority: { offset: 24, size: 4 },
    netfilter_flags: { offset: 28, size: 4 },
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
export const MAP_ELEMENT_ATTR = {
  fields: {
    map_fd: { offset: 0, size: 4 },
    key: { offset: 8, size: 8 },
    value: { offset: 16, size: 8 },
    flags: { offset: 24, size: 8 },
  },
  size: 32,
} as const;

/** union bpf_attr */
export const MAP_BATCH_ATTR = {
  fields: {
    in_batch: { offset: 0, size: 8 },
    out_batch: { offset: 8, size: 8 },
    keys: { offset: 16, size: 8 },
    values: { offset: 24, size: 8 },
    count: { offset: 32, size: 4 },
    map_fd: { offset: 36, size: 4 },
    flags: { offset: 48, size: 8 },
  },
  size: 56,
} as const;

/** union bpf_attr */
export const ENABLE_STATS_ATTR = {
  fields: {
    type: { offset: 0, size: 4 },
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

/** struct perf_event_attr */
export const PERF_EVENT_ATTR = {
  fields: {
    type: { offset: 0, size: 4 },
    size: { offset: 4, size: 4 },
    config: { offset: 8, size: 8 },
    sample_period: { offset: 16, size: 8 },
    sample_type: { offset: 24, size: 8 },
    read_format: { offset: 32, size: 8 },
    wakeup_events: { offset: 48, size: 4 },
    uprobe_path: { offset: 56, size: 8 },
    kprobe_func: { offset: 56, size: 8 },
    probe_offset: { offset: 64, size: 8 },
  },
  freq: { offset: 41, mask: 4 },
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
