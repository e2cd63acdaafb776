/** Words for the kernel's enums (include/uapi/linux/bpf.h), by number. Unknown numbers print as `unknown(N)`. */
import type { ProgramType } from "./program.ts";

interface ProgramTypeWords {
  /** Lower-case cilium/ebpf word: JSON. */
  readonly json: string;
  /** The reference's word: text output and the `--program-type` filter. */
  readonly text: string;
}

const row = (json: string, text: string): ProgramTypeWords => ({ json, text });

/** BPF_PROG_TYPE_*, from 0. */
const PROGRAM_TYPE_WORDS: readonly ProgramTypeWords[] = [
  row("unspecifiedprogram", "unspec"),
  row("socketfilter", "socket-filter"),
  row("kprobe", "probe"),
  row("schedcls", "tc"),
  row("schedact", "sched-act"),
  row("tracepoint", "tracepoint"),
  row("xdp", "xdp"),
  row("perfevent", "perf-event"),
  row("cgroupskb", "cgroup-skb"),
  row("cgroupsock", "cgroup-sock"),
  row("lwtin", "lwt-in"),
  row("lwtout", "lwt-out"),
  row("lwtxmit", "lwt-xmit"),
  row("sockops", "sock-ops"),
  row("skskb", "sk-skb"),
  row("cgroupdevice", "cgroup-device"),
  row("skmsg", "sk-msg"),
  row("rawtracepoint", "raw-tracepoint"),
  row("cgroupsockaddr", "cgroup-sock-addr"),
  row("lwtseg6local", "lwt-seg6-local"),
  row("lircmode2", "lirc-mode2"),
  row("skreuseport", "sk-reuseport"),
  row("flowdissector", "flow-dissector"),
  row("cgroupsysctl", "cgroup-sysctl"),
  row("rawtracepointwritable", "raw-tracepoint-writable"),
  row("cgroupsockopt", "cgroup-sockopt"),
  row("tracing", "tracing"),
  row("structops", "struct-ops"),
  row("extension", "ext"),
  row("lsm", "lsm"),
  row("sklookup", "sk-lookup"),
  row("syscall", "syscall"),
  row("netfilter", "netfilter"),
];

/** BPF_MAP_TYPE_*, from 0, as cilium/ebpf spells them in lower case. */
const MAP_TYPE_WORDS = [
  "unspecifiedmap",
  "hash",
  "array",
  "programarray",
  "perfeventarray",
  "percpuhash",
  "percpuarray",
  "stacktrace",
  "cgrouparray",
  "lruhash",
  "lrucpuhash",
  "lpmtrie",
  "arrayofmaps",
  "hashofmaps",
  "devmap",
  "sockmap",
  "cpumap",
  "xskmap",
  "sockhash",
  "cgroupstorage",
  "reuseportsockarray",
  "percpucgroupstorage",
  "queue",
  "stack",
  "skstorage",
  "devmaphash",
  "structopsmap",
  "ringbuf",
  "inodestorage",
  "taskstorage",
  "bloomfilter",
  "userringbuf",
  "cgroupstoragenew",
  "arena",
] as const;

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

/** The BPF_* attach types that links of ours have (enum bpf_attach_type). */
const ATTACH_TYPE_WORDS: Readonly<Record<number, string>> = {
  24: "trace_fentry",
  25: "trace_fexit",
  27: "lsm_mac",
  37: "xdp",
  41: "perf_event",
  46: "tcx_ingress",
  47: "tcx_egress",
};

const unknown = (value: number): string => `unknown(${value})`;

export const programTypeJson = (type: number): string => PROGRAM_TYPE_WORDS[type]?.json ?? unknown(type);
export const programTypeText = (type: number): string => PROGRAM_TYPE_WORDS[type]?.text ?? unknown(type);
export const mapTypeJson = (type: number): string => MAP_TYPE_WORDS[type] ?? unknown(type);
export const linkTypeWord = (type: number): string => LINK_TYPE_WORDS[type] ?? unknown(type);
export const attachTypeWord = (type: number): string => ATTACH_TYPE_WORDS[type] ?? unknown(type);

/** The kernel's program type word, in the reference's spelling, of each of bpfman's types. */
export function kernelWordOf(type: ProgramType): string {
  switch (type) {
    case "xdp":
      return "xdp";
    case "tc":
    case "tcx":
      return "tc";
    case "tracepoint":
      return "tracepoint";
    case "kprobe":
    case "kretprobe":
    case "uprobe":
    case "uretprobe":
      return "probe";
    case "fentry":
    case "fexit":
      return "tracing";
    case "lsm":
      return "lsm";
  }
}

/** Words that the `--program-type` filter takes besides bpfman's own types. */
export const KERNEL_TYPE_WORDS: readonly string[] = PROGRAM_TYPE_WORDS.map((words) => words.text);

/** The text word for a JSON word; a word that is not in the table stays as it is. */
export const programTypeTextOfJson = (word: string): string =>
  PROGRAM_TYPE_WORDS.find((words) => words.json === word)?.text ?? word;
