import { KINDS, sectionFacts, sectionParts } from "../domain/kinds.ts";
import type { KernelProgramType } from "../domain/kernel-words.ts";
import type { ObjectProgram } from "../domain/object-file.ts";

/** Types of the sections that bpfman attaches no programs of, as libbpf (1.1 to 1.7) has them: first the full names. */
const SECTION_TYPES: Readonly<Record<string, KernelProgramType>> = {
  "cgroup/dev": "CGROUP_DEVICE",
  "cgroup/skb": "CGROUP_SKB",
  "cgroup/sock": "CGROUP_SOCK",
  "cgroup/sock_create": "CGROUP_SOCK",
  "cgroup/sock_release": "CGROUP_SOCK",
  "cgroup/post_bind4": "CGROUP_SOCK",
  "cgroup/post_bind6": "CGROUP_SOCK",
  "cgroup/sysctl": "CGROUP_SYSCTL",
  "cgroup/getsockopt": "CGROUP_SOCKOPT",
  "cgroup/setsockopt": "CGROUP_SOCKOPT",
  cgroup: "CGROUP_SOCK_ADDR",
  cgroup_skb: "CGROUP_SKB",
  flow_dissector: "FLOW_DISSECTOR",
  fmod_ret: "TRACING",
  "fmod_ret.s": "TRACING",
  freplace: "EXT",
  fsession: "TRACING",
  "fsession.s": "TRACING",
  iter: "TRACING",
  "iter.s": "TRACING",
  lirc_mode2: "LIRC_MODE2",
  lsm_cgroup: "LSM",
  lwt_in: "LWT_IN",
  lwt_out: "LWT_OUT",
  lwt_seg6local: "LWT_SEG6LOCAL",
  lwt_xmit: "LWT_XMIT",
  netfilter: "NETFILTER",
  netkit: "SCHED_CLS",
  perf_event: "PERF_EVENT",
  raw_tp: "RAW_TRACEPOINT",
  "raw_tp.w": "RAW_TRACEPOINT_WRITABLE",
  raw_tracepoint: "RAW_TRACEPOINT",
  "raw_tracepoint.w": "RAW_TRACEPOINT_WRITABLE",
  sk_lookup: "SK_LOOKUP",
  sk_msg: "SK_MSG",
  sk_reuseport: "SK_REUSEPORT",
  sk_skb: "SK_SKB",
  socket: "SOCKET_FILTER",
  sockops: "SOCK_OPS",
  struct_ops: "STRUCT_OPS",
  "struct_ops.s": "STRUCT_OPS",
  syscall: "SYSCALL",
  tp_btf: "TRACING",
  xdp: "XDP",
  "xdp.frags": "XDP",
};
/** `kprobe.multi`, `uretprobe.multi.s`, `usdt`. */
const PROBE = /^(k|kret|u|uret)probe\.|^usdt/;

/** Returns the kernel's type for programs of a section; null if libbpf does not know the section either. */
export function sectionType({ kind, section }: Pick<ObjectProgram, "kind" | "section">): KernelProgramType | null {
  if (kind === null) return null;
  if (kind !== "unmanaged") {
    const { programType = KINDS[kind].programType } = sectionFacts(KINDS[kind], section);
    return programType;
  }
  const { name, head } = sectionParts(section);
  return SECTION_TYPES[name] ?? SECTION_TYPES[head] ?? (PROBE.test(head) ? "KPROBE" : null);
}
