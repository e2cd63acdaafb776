/** Words for kernel enums (include/uapi/linux/bpf.h), by number. Unknown numbers print as `unknown(N)`. */
import { ATTACHABLE_TYPES, KINDS, PROGRAM_TYPES, type ProgramType } from "./kinds.ts";

interface ProgramTypeWords<Name extends string = string> {
  /** Without the BPF_PROG_TYPE_ prefix. */
  readonly name: Name;
  /** cilium/ebpf's word in lower case, for JSON. */
  readonly json: string;
  /** The reference implementation's word, for text output and the `--program-type` filter. */
  readonly text: string;
}

const row = <const Name extends string>(name: Name, json: string, text: string): ProgramTypeWords<Name> => ({
  name,
  json,
  text,
});

/** BPF_PROG_TYPE_*, from 0. */
const PROGRAM_TYPE_WORDS = [
  row("UNSPEC", "unspecifiedprogram", "unspec"),
  row("SOCKET_FILTER", "socketfilter", "socket-filter"),
  row("KPROBE", "kprobe", "probe"),
  row("SCHED_CLS", "schedcls", "tc"),
  row("SCHED_ACT", "schedact", "sched-act"),
  row("TRACEPOINT", "tracepoint", "tracepoint"),
  row("XDP", "xdp", "xdp"),
  row("PERF_EVENT", "perfevent", "perf-event"),
  row("CGROUP_SKB", "cgroupskb", "cgroup-skb"),
  row("CGROUP_SOCK", "cgroupsock", "cgroup-sock"),
  row("LWT_IN", "lwtin", "lwt-in"),
  row("LWT_OUT", "lwtout", "lwt-out"),
  row("LWT_XMIT", "lwtxmit", "lwt-xmit"),
  row("SOCK_OPS", "sockops", "sock-ops"),
  row("SK_SKB", "skskb", "sk-skb"),
  row("CGROUP_DEVICE", "cgroupdevice", "cgroup-device"),
  row("SK_MSG", "skmsg", "sk-msg"),
  row("RAW_TRACEPOINT", "rawtracepoint", "raw-tracepoint"),
  row("CGROUP_SOCK_ADDR", "cgroupsockaddr", "cgroup-sock-addr"),
  row("LWT_SEG6LOCAL", "lwtseg6local", "lwt-seg6-local"),
  row("LIRC_MODE2", "lircmode2", "lirc-mode2"),
  row("SK_REUSEPORT", "skreuseport", "sk-reuseport"),
  row("FLOW_DISSECTOR", "flowdissector", "flow-dissector"),
  row("CGROUP_SYSCTL", "cgroupsysctl", "cgroup-sysctl"),
  row("RAW_TRACEPOINT_WRITABLE", "rawtracepointwritable", "raw-tracepoint-writable"),
  row("CGROUP_SOCKOPT", "cgroupsockopt", "cgroup-sockopt"),
  row("TRACING", "tracing", "tracing"),
  row("STRUCT_OPS", "structops", "struct-ops"),
  row("EXT", "extension", "ext"),
  row("LSM", "lsm", "lsm"),
  row("SK_LOOKUP", "sklookup", "sk-lookup"),
  row("SYSCALL", "syscall", "syscall"),
  row("NETFILTER", "netfilter", "netfilter"),
] as const;
export type KernelProgramType = (typeof PROGRAM_TYPE_WORDS)[number]["name"];

/** BPF_LINK_TYPE_*, from 0. */
const LINK_TYPE_WORDS = [
  "unspec",
  "raw_tracepoint",
  "tracing",
  "cgroup",
  "iter",
  "netns",
  "xdp",
  "perf_event",
  "kprobe_multi",
  "struct_ops",
  "netfilter",
  "tcx",
  "uprobe_multi",
  "netkit",
  "sockmap",
] as const;

/** BPF_* attach types (enum bpf_attach_type), from 0. */
const ATTACH_TYPES = [
  "CGROUP_INET_INGRESS",
  "CGROUP_INET_EGRESS",
  "CGROUP_INET_SOCK_CREATE",
  "CGROUP_SOCK_OPS",
  "SK_SKB_STREAM_PARSER",
  "SK_SKB_STREAM_VERDICT",
  "CGROUP_DEVICE",
  "SK_MSG_VERDICT",
  "CGROUP_INET4_BIND",
  "CGROUP_INET6_BIND",
  "CGROUP_INET4_CONNECT",
  "CGROUP_INET6_CONNECT",
  "CGROUP_INET4_POST_BIND",
  "CGROUP_INET6_POST_BIND",
  "CGROUP_UDP4_SENDMSG",
  "CGROUP_UDP6_SENDMSG",
  "LIRC_MODE2",
  "FLOW_DISSECTOR",
  "CGROUP_SYSCTL",
  "CGROUP_UDP4_RECVMSG",
  "CGROUP_UDP6_RECVMSG",
  "CGROUP_GETSOCKOPT",
  "CGROUP_SETSOCKOPT",
  "TRACE_RAW_TP",
  "TRACE_FENTRY",
  "TRACE_FEXIT",
  "MODIFY_RETURN",
  "LSM_MAC",
  "TRACE_ITER",
  "CGROUP_INET4_GETPEERNAME",
  "CGROUP_INET6_GETPEERNAME",
  "CGROUP_INET4_GETSOCKNAME",
  "CGROUP_INET6_GETSOCKNAME",
  "XDP_DEVMAP",
  "CGROUP_INET_SOCK_RELEASE",
  "XDP_CPUMAP",
  "SK_LOOKUP",
  "XDP",
  "SK_SKB_VERDICT",
  "SK_REUSEPORT_SELECT",
  "SK_REUSEPORT_SELECT_OR_MIGRATE",
  "PERF_EVENT",
  "TRACE_KPROBE_MULTI",
  "LSM_CGROUP",
  "STRUCT_OPS",
  "NETFILTER",
  "TCX_INGRESS",
  "TCX_EGRESS",
  "TRACE_UPROBE_MULTI",
  "CGROUP_UNIX_CONNECT",
  "CGROUP_UNIX_SENDMSG",
  "CGROUP_UNIX_RECVMSG",
  "CGROUP_UNIX_GETPEERNAME",
  "CGROUP_UNIX_GETSOCKNAME",
  "NETKIT_PRIMARY",
  "NETKIT_PEER",
  "TRACE_KPROBE_SESSION",
  "TRACE_UPROBE_SESSION",
  "TRACE_FSESSION",
] as const;
export type KernelAttachType = (typeof ATTACH_TYPES)[number];

const unknown = (value: number): string => `unknown(${value})`;

export const programTypeJson = (type: number): string => PROGRAM_TYPE_WORDS[type]?.json ?? unknown(type);
/** The number of a JSON word. */
export const programTypeNumber = (word: string): number => {
  const at = PROGRAM_TYPE_WORDS.findIndex(({ json }) => json === word);
  return at < 0 ? Number(/^unknown\((\d+)\)$/.exec(word)?.[1] ?? 0) : at;
};
export const programTypeText = (type: number): string => PROGRAM_TYPE_WORDS[type]?.text ?? unknown(type);
const WORD_OF: ReadonlyMap<string, string> = new Map(PROGRAM_TYPE_WORDS.map(({ name, text }) => [name, text]));
/** Returns the text word for a constant without its prefix: `SCHED_CLS`. */
export const programTypeWord = (name: KernelProgramType): string => WORD_OF.get(name) ?? name;
export const linkTypeWord = (type: number): string => LINK_TYPE_WORDS[type] ?? unknown(type);
/** Returns the name of the constant in lower case. */
export const attachTypeWord = (type: number): string => ATTACH_TYPES[type]?.toLowerCase() ?? unknown(type);

/** Returns the kernel's program type for one of bpfman's types, in the reference implementation's spelling. */
export const kernelWordOf = (type: ProgramType): string => programTypeWord(KINDS[type].programType);

/** The words the `--program-type` filter accepts besides bpfman's own types. */
export const KERNEL_TYPE_WORDS: readonly string[] = PROGRAM_TYPE_WORDS.map((words) => words.text);

/** All words that filters by type accept, and those of bpfman's own that are not the kernel's as well. */
export const FILTER_WORDS: readonly string[] = [...new Set([...KERNEL_TYPE_WORDS, ...PROGRAM_TYPES])];
export const OWN_WORDS: readonly string[] = PROGRAM_TYPES.filter((type) => !KERNEL_TYPE_WORDS.includes(type));

/** The same for programs that can have links. */
export const LINKED_KERNEL_WORDS: readonly string[] = [...new Set(ATTACHABLE_TYPES.map(kernelWordOf))];
export const LINKED_WORDS: readonly string[] = [...new Set([...LINKED_KERNEL_WORDS, ...ATTACHABLE_TYPES])];
export const OWN_LINKED_WORDS: readonly string[] = ATTACHABLE_TYPES.filter((type) => !KERNEL_TYPE_WORDS.includes(type));

/** Returns the text word for a JSON word. Unknown words are returned unchanged. */
export const programTypeTextOfJson = (word: string): string =>
  PROGRAM_TYPE_WORDS.find((words) => words.json === word)?.text ?? word;
