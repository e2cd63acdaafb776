/**
 * The facts about each kind of program, one row per kind. Every plain fact that depends on the kind is read from here.
 * What has to be written for a kind (request, service, kernel code, command) is reached by switches without a default,
 * which do not compile while a kind is missing.
 */

import type { Capability } from "./capabilities.ts";
import type { KernelAttachType, KernelProgramType } from "./kernel-words.ts";

/** What a section specifies beyond its kind. Missing facts are inherited from the kind. */
export interface SectionFacts {
  /** BPF_PROG_TYPE_* and BPF_* attach type, where they differ between sections of one kind. */
  readonly programType?: KernelProgramType;
  readonly expectedAttachType?: KernelAttachType;
  /** XDP: the program supports multi-buffer packets (BPF_F_XDP_HAS_FRAGS). */
  readonly frags?: true;
  /** The program may sleep (BPF_F_SLEEPABLE). */
  readonly sleepable?: true;
}

export interface KindFacts {
  /** With its article, as in "an XDP program" and "an XDP link". */
  readonly display: string;
  /** The word after `attach ID`; null for kinds that are only loaded. */
  readonly attachKind: string | null;
  /**
   * For kinds that are only loaded: what runs such programs, as a sentence without its period, in which PIN and ID stand for
   * the program's; null for the others.
   */
  readonly loadOnly: string | null;
  /** Several programs can share a hook, run by bpfman's dispatcher as extensions. */
  readonly chained: boolean;
  /**
   * The target function is chosen at load time (third part of `--programs`): the verifier checks the program against
   * it. For freplace, it is one of another program (`partReplaced`).
   */
  readonly needsFunction: boolean;
  /** Kinds that are the same program type to the kernel. Named after the kind whose sections stand for all of them. */
  readonly family: string | null;
  /**
   * Within the family, true if the section decides the kind unless the request insists; false if the request decides.
   */
  readonly sectionDecides: boolean;
  /** BPF_PROG_TYPE_* */
  readonly programType: KernelProgramType;
  /** The BPF_* attach type the program is loaded with; null for none. */
  readonly expectedAttachType: KernelAttachType | null;
  /**
   * What the kernel requires for loading and attaching, besides CAP_BPF (is_net_admin_prog_type, is_perfmon_prog_type).
   */
  readonly capabilities: readonly ("CAP_NET_ADMIN" | "CAP_PERFMON")[];
  /**
   * ELF sections: full names (`xdp/devmap`), or the part before the first slash. libbpf does not need to know them,
   * because bpfman sets the types above explicitly.
   */
  readonly sections: Readonly<Record<string, SectionFacts>>;
}

/** For kinds without a family. */
const ALONE = { family: null, sectionDecides: true } as const;
/** A program without an expected attach type can be attached both to clsact and to either side of TCX. */
const TC_FAMILY = {
  family: "tc",
  sectionDecides: false,
  programType: "SCHED_CLS",
  expectedAttachType: null,
} as const;
/** With the attach type of a multi-probe, they could not be attached to anything else. */
const PROBE = {
  chained: false,
  needsFunction: false,
  sectionDecides: true,
  programType: "KPROBE",
  expectedAttachType: null,
  capabilities: ["CAP_PERFMON"],
} as const;
const SLEEPABLE = { sleepable: true } as const;
const TRACING = {
  ...ALONE,
  chained: false,
  needsFunction: true,
  programType: "TRACING",
  capabilities: ["CAP_PERFMON"],
} as const;
/** Kinds that are only loaded. */
const LOADED = { ...ALONE, attachKind: null, chained: false, needsFunction: false, expectedAttachType: null } as const;
const LOADED_TRACING = { ...TRACING, attachKind: null } as const;
const LOADED_PROBE = { ...PROBE, attachKind: null } as const;
const LWT = {
  ...LOADED,
  capabilities: ["CAP_NET_ADMIN"],
  loadOnly: "a route with lightweight tunnel encapsulation runs it: ip route add … encap bpf in|out|xmit pinned PIN",
} as const;
/** All are attached alike: the section says at which of the cgroup's points the program runs. */
const CGROUP = {
  ...ALONE,
  attachKind: "cgroup",
  loadOnly: null,
  chained: false,
  needsFunction: false,
  expectedAttachType: null,
  capabilities: ["CAP_NET_ADMIN"],
} as const;

/**
 * Keyed by the word on the command line. Sections follow libbpf (1.1 to 1.7) and the longer forms older loaders
 * accepted.
 */
export const KINDS = {
  xdp: {
    ...ALONE,
    display: "an XDP",
    attachKind: "xdp",
    loadOnly: null,
    chained: true,
    needsFunction: false,
    programType: "XDP",
    // None, for all of them: programs share a program array, take each other's place on a hook, and have twins in a
    // dispatcher only with those that expect the same.
    expectedAttachType: null,
    capabilities: ["CAP_NET_ADMIN"],
    sections: { xdp: {}, "xdp.frags": { frags: true } },
  },
  tc: {
    ...TC_FAMILY,
    display: "a TC",
    attachKind: "tc",
    loadOnly: null,
    chained: true,
    needsFunction: false,
    capabilities: ["CAP_NET_ADMIN"],
    // `action` holds TC programs, too.
    sections: { tc: {}, classifier: {}, action: {} },
  },
  tcx: {
    ...TC_FAMILY,
    display: "a TCX",
    attachKind: "tcx",
    loadOnly: null,
    chained: false,
    needsFunction: false,
    capabilities: ["CAP_NET_ADMIN"],
    sections: { tcx: {} },
  },
  tracepoint: {
    ...ALONE,
    display: "a tracepoint",
    attachKind: "tracepoint",
    loadOnly: null,
    chained: false,
    needsFunction: false,
    programType: "TRACEPOINT",
    expectedAttachType: null,
    capabilities: ["CAP_PERFMON"],
    sections: { tracepoint: {}, tp: {} },
  },
  kprobe: {
    ...PROBE,
    family: "kprobe",
    display: "a kprobe",
    attachKind: "kprobe",
    loadOnly: null,
    sections: { kprobe: {}, ksyscall: {} },
  },
  kretprobe: {
    ...PROBE,
    family: "kprobe",
    display: "a kretprobe",
    attachKind: "kprobe",
    loadOnly: null,
    sections: { kretprobe: {}, kretsyscall: {} },
  },
  uprobe: {
    ...PROBE,
    family: "uprobe",
    display: "a uprobe",
    attachKind: "uprobe",
    loadOnly: null,
    sections: { uprobe: {}, "uprobe.s": SLEEPABLE },
  },
  uretprobe: {
    ...PROBE,
    family: "uprobe",
    display: "a uretprobe",
    attachKind: "uprobe",
    loadOnly: null,
    sections: { uretprobe: {}, "uretprobe.s": SLEEPABLE },
  },
  fentry: {
    ...TRACING,
    display: "an fentry",
    attachKind: "fentry",
    loadOnly: null,
    expectedAttachType: "TRACE_FENTRY",
    sections: { fentry: {}, "fentry.s": SLEEPABLE },
  },
  fexit: {
    ...TRACING,
    display: "an fexit",
    attachKind: "fexit",
    loadOnly: null,
    expectedAttachType: "TRACE_FEXIT",
    sections: { fexit: {}, "fexit.s": SLEEPABLE },
  },
  lsm: {
    ...TRACING,
    display: "an LSM",
    attachKind: "lsm",
    loadOnly: null,
    programType: "LSM",
    expectedAttachType: "LSM_MAC",
    sections: { lsm: {}, "lsm.s": SLEEPABLE },
  },
  raw_tp: {
    ...LOADED,
    display: "a raw tracepoint",
    attachKind: "raw_tp",
    loadOnly: null,
    programType: "RAW_TRACEPOINT",
    capabilities: ["CAP_PERFMON"],
    sections: {
      raw_tp: {},
      raw_tracepoint: {},
      "raw_tp.w": { programType: "RAW_TRACEPOINT_WRITABLE" },
      "raw_tracepoint.w": { programType: "RAW_TRACEPOINT_WRITABLE" },
    },
  },
  tp_btf: {
    ...LOADED_TRACING,
    display: "a tp_btf",
    attachKind: "tp_btf",
    loadOnly: null,
    expectedAttachType: "TRACE_RAW_TP",
    sections: { tp_btf: {} },
  },
  fmod_ret: {
    ...LOADED_TRACING,
    display: "an fmod_ret",
    attachKind: "fmod_ret",
    loadOnly: null,
    expectedAttachType: "MODIFY_RETURN",
    sections: { fmod_ret: {}, "fmod_ret.s": SLEEPABLE },
  },
  fsession: {
    ...LOADED_TRACING,
    display: "an fsession",
    loadOnly: "libbpf attaches it to a kernel function, at entry and return: bpf_program__attach_trace (Linux 7.0)",
    expectedAttachType: "TRACE_FSESSION",
    sections: { fsession: {}, "fsession.s": SLEEPABLE },
  },
  iter: {
    ...LOADED_TRACING,
    display: "an iter",
    attachKind: "iter",
    loadOnly: null,
    expectedAttachType: "TRACE_ITER",
    sections: { iter: {}, "iter.s": SLEEPABLE },
  },
  freplace: {
    ...TRACING,
    display: "an freplace",
    attachKind: "freplace",
    loadOnly: null,
    programType: "EXT",
    expectedAttachType: null,
    capabilities: ["CAP_NET_ADMIN", "CAP_PERFMON"],
    sections: { freplace: {} },
  },
  perf_event: {
    ...LOADED,
    display: "a perf_event",
    attachKind: "perf_event",
    loadOnly: null,
    programType: "PERF_EVENT",
    capabilities: ["CAP_PERFMON"],
    sections: { perf_event: {} },
  },
  "kprobe.multi": {
    ...LOADED_PROBE,
    family: "kprobe.multi",
    display: "a kprobe.multi",
    attachKind: "kprobe.multi",
    loadOnly: null,
    expectedAttachType: "TRACE_KPROBE_MULTI",
    sections: { "kprobe.multi": {} },
  },
  "kretprobe.multi": {
    ...LOADED_PROBE,
    family: "kprobe.multi",
    display: "a kretprobe.multi",
    attachKind: "kprobe.multi",
    loadOnly: null,
    expectedAttachType: "TRACE_KPROBE_MULTI",
    sections: { "kretprobe.multi": {} },
  },
  "kprobe.session": {
    ...LOADED_PROBE,
    ...ALONE,
    display: "a kprobe.session",
    loadOnly: "libbpf attaches it to many kernel functions at once: bpf_program__attach_kprobe_multi_opts (Linux 6.10)",
    expectedAttachType: "TRACE_KPROBE_SESSION",
    sections: { "kprobe.session": {} },
  },
  "uprobe.multi": {
    ...LOADED_PROBE,
    family: "uprobe.multi",
    display: "a uprobe.multi",
    attachKind: "uprobe.multi",
    loadOnly: null,
    expectedAttachType: "TRACE_UPROBE_MULTI",
    sections: { "uprobe.multi": {}, "uprobe.multi.s": SLEEPABLE },
  },
  "uretprobe.multi": {
    ...LOADED_PROBE,
    family: "uprobe.multi",
    display: "a uretprobe.multi",
    attachKind: "uprobe.multi",
    loadOnly: null,
    expectedAttachType: "TRACE_UPROBE_MULTI",
    sections: { "uretprobe.multi": {}, "uretprobe.multi.s": SLEEPABLE },
  },
  "uprobe.session": {
    ...LOADED_PROBE,
    ...ALONE,
    display: "a uprobe.session",
    loadOnly: "libbpf attaches it to many functions of a file at once: bpf_program__attach_uprobe_multi (Linux 6.13)",
    expectedAttachType: "TRACE_UPROBE_SESSION",
    sections: { "uprobe.session": {}, "uprobe.session.s": SLEEPABLE },
  },
  usdt: {
    ...LOADED_PROBE,
    ...ALONE,
    display: "a USDT",
    loadOnly: "its arguments are described by notes in the executable, which libbpf's bpf_program__attach_usdt reads",
    sections: { usdt: {}, "usdt.s": SLEEPABLE },
  },
  cgroup_skb: {
    ...CGROUP,
    display: "a cgroup_skb",
    programType: "CGROUP_SKB",
    sections: {
      "cgroup_skb/ingress": { expectedAttachType: "CGROUP_INET_INGRESS" },
      "cgroup_skb/egress": { expectedAttachType: "CGROUP_INET_EGRESS" },
      "cgroup/skb": {},
    },
  },
  cgroup_sock: {
    ...CGROUP,
    display: "a cgroup_sock",
    programType: "CGROUP_SOCK",
    expectedAttachType: "CGROUP_INET_SOCK_CREATE",
    sections: {
      "cgroup/sock": {},
      "cgroup/sock_create": {},
      "cgroup/sock_release": { expectedAttachType: "CGROUP_INET_SOCK_RELEASE" },
      "cgroup/post_bind4": { expectedAttachType: "CGROUP_INET4_POST_BIND" },
      "cgroup/post_bind6": { expectedAttachType: "CGROUP_INET6_POST_BIND" },
    },
  },
  cgroup_sock_addr: {
    ...CGROUP,
    display: "a cgroup_sock_addr",
    programType: "CGROUP_SOCK_ADDR",
    sections: {
      "cgroup/bind4": { expectedAttachType: "CGROUP_INET4_BIND" },
      "cgroup/bind6": { expectedAttachType: "CGROUP_INET6_BIND" },
      "cgroup/connect4": { expectedAttachType: "CGROUP_INET4_CONNECT" },
      "cgroup/connect6": { expectedAttachType: "CGROUP_INET6_CONNECT" },
      "cgroup/connect_unix": { expectedAttachType: "CGROUP_UNIX_CONNECT" },
      "cgroup/sendmsg4": { expectedAttachType: "CGROUP_UDP4_SENDMSG" },
      "cgroup/sendmsg6": { expectedAttachType: "CGROUP_UDP6_SENDMSG" },
      "cgroup/sendmsg_unix": { expectedAttachType: "CGROUP_UNIX_SENDMSG" },
      "cgroup/recvmsg4": { expectedAttachType: "CGROUP_UDP4_RECVMSG" },
      "cgroup/recvmsg6": { expectedAttachType: "CGROUP_UDP6_RECVMSG" },
      "cgroup/recvmsg_unix": { expectedAttachType: "CGROUP_UNIX_RECVMSG" },
      "cgroup/getpeername4": { expectedAttachType: "CGROUP_INET4_GETPEERNAME" },
      "cgroup/getpeername6": { expectedAttachType: "CGROUP_INET6_GETPEERNAME" },
      "cgroup/getpeername_unix": { expectedAttachType: "CGROUP_UNIX_GETPEERNAME" },
      "cgroup/getsockname4": { expectedAttachType: "CGROUP_INET4_GETSOCKNAME" },
      "cgroup/getsockname6": { expectedAttachType: "CGROUP_INET6_GETSOCKNAME" },
      "cgroup/getsockname_unix": { expectedAttachType: "CGROUP_UNIX_GETSOCKNAME" },
    },
  },
  cgroup_sockopt: {
    ...CGROUP,
    display: "a cgroup_sockopt",
    programType: "CGROUP_SOCKOPT",
    sections: {
      "cgroup/getsockopt": { expectedAttachType: "CGROUP_GETSOCKOPT" },
      "cgroup/setsockopt": { expectedAttachType: "CGROUP_SETSOCKOPT" },
    },
  },
  cgroup_sysctl: {
    ...CGROUP,
    display: "a cgroup_sysctl",
    programType: "CGROUP_SYSCTL",
    expectedAttachType: "CGROUP_SYSCTL",
    sections: { "cgroup/sysctl": {} },
  },
  cgroup_device: {
    ...CGROUP,
    display: "a cgroup_device",
    programType: "CGROUP_DEVICE",
    expectedAttachType: "CGROUP_DEVICE",
    sections: { "cgroup/dev": {} },
  },
  sockops: {
    ...CGROUP,
    display: "a sockops",
    programType: "SOCK_OPS",
    expectedAttachType: "CGROUP_SOCK_OPS",
    sections: { sockops: {} },
  },
  lsm_cgroup: {
    ...LOADED_TRACING,
    display: "an lsm_cgroup",
    loadOnly: "a cgroup runs it: libbpf's bpf_program__attach_cgroup (Linux 6.0)",
    programType: "LSM",
    expectedAttachType: "LSM_CGROUP",
    sections: { lsm_cgroup: {} },
  },
  sk_lookup: {
    ...ALONE,
    display: "an sk_lookup",
    attachKind: "sk_lookup",
    loadOnly: null,
    chained: false,
    needsFunction: false,
    programType: "SK_LOOKUP",
    expectedAttachType: "SK_LOOKUP",
    capabilities: ["CAP_NET_ADMIN"],
    sections: { sk_lookup: {} },
  },
  netfilter: {
    ...ALONE,
    display: "a netfilter",
    attachKind: "netfilter",
    loadOnly: null,
    chained: false,
    needsFunction: false,
    programType: "NETFILTER",
    expectedAttachType: "NETFILTER",
    capabilities: ["CAP_NET_ADMIN"],
    sections: { netfilter: {} },
  },
  xdp_devmap: {
    ...LOADED,
    display: "an XDP devmap",
    loadOnly: "an entry of a devmap runs it: bpfman map update MAP KEY IFINDEX prog ID",
    programType: "XDP",
    expectedAttachType: "XDP_DEVMAP",
    capabilities: ["CAP_NET_ADMIN"],
    sections: { "xdp/devmap": {}, "xdp.frags/devmap": { frags: true } },
  },
  xdp_cpumap: {
    ...LOADED,
    display: "an XDP cpumap",
    loadOnly: "an entry of a cpumap runs it: bpfman map update MAP KEY QUEUE_SIZE prog ID",
    programType: "XDP",
    expectedAttachType: "XDP_CPUMAP",
    capabilities: ["CAP_NET_ADMIN"],
    sections: { "xdp/cpumap": {}, "xdp.frags/cpumap": { frags: true } },
  },
  netkit: {
    ...LOADED,
    display: "a netkit",
    loadOnly:
      "a netkit device runs it, whose links bpfman does not create: bpftool net attach, or the owner of the device",
    programType: "SCHED_CLS",
    capabilities: ["CAP_NET_ADMIN"],
    sections: {
      "netkit/primary": { expectedAttachType: "NETKIT_PRIMARY" },
      "netkit/peer": { expectedAttachType: "NETKIT_PEER" },
    },
  },
  socket_filter: {
    ...LOADED,
    display: "a socket filter",
    loadOnly: "a process sets it on its own socket: setsockopt with SO_ATTACH_BPF",
    programType: "SOCKET_FILTER",
    capabilities: [],
    sections: { socket: {} },
  },
  sk_reuseport: {
    ...LOADED,
    display: "an sk_reuseport",
    loadOnly: "a process sets it on its own socket: setsockopt with SO_ATTACH_REUSEPORT_EBPF",
    programType: "SK_REUSEPORT",
    expectedAttachType: "SK_REUSEPORT_SELECT",
    capabilities: [],
    sections: {
      sk_reuseport: {},
      "sk_reuseport/migrate": { expectedAttachType: "SK_REUSEPORT_SELECT_OR_MIGRATE" },
    },
  },
  sk_msg: {
    ...LOADED,
    display: "an sk_msg",
    loadOnly: "a sockmap runs it: bpftool prog attach pinned PIN msg_verdict id MAP_ID",
    programType: "SK_MSG",
    expectedAttachType: "SK_MSG_VERDICT",
    capabilities: ["CAP_NET_ADMIN"],
    sections: { sk_msg: {} },
  },
  sk_skb: {
    ...LOADED,
    display: "an sk_skb",
    loadOnly: "a sockmap runs it: bpftool prog attach pinned PIN stream_verdict id MAP_ID",
    programType: "SK_SKB",
    capabilities: ["CAP_NET_ADMIN"],
    sections: {
      sk_skb: {},
      "sk_skb/stream_parser": { expectedAttachType: "SK_SKB_STREAM_PARSER" },
      "sk_skb/stream_verdict": { expectedAttachType: "SK_SKB_STREAM_VERDICT" },
      "sk_skb/verdict": { expectedAttachType: "SK_SKB_VERDICT" },
    },
  },
  flow_dissector: {
    ...LOADED,
    display: "a flow_dissector",
    loadOnly: "a network namespace runs one: bpftool prog attach pinned PIN flow_dissector",
    programType: "FLOW_DISSECTOR",
    expectedAttachType: "FLOW_DISSECTOR",
    capabilities: ["CAP_NET_ADMIN"],
    sections: { flow_dissector: {} },
  },
  lwt_in: { ...LWT, display: "an lwt_in", programType: "LWT_IN", sections: { lwt_in: {} } },
  lwt_out: { ...LWT, display: "an lwt_out", programType: "LWT_OUT", sections: { lwt_out: {} } },
  lwt_xmit: { ...LWT, display: "an lwt_xmit", programType: "LWT_XMIT", sections: { lwt_xmit: {} } },
  lwt_seg6local: {
    ...LWT,
    display: "an lwt_seg6local",
    loadOnly:
      "a route with a segment routing action runs it: ip route add … encap seg6local action End.BPF endpoint pinned PIN",
    programType: "LWT_SEG6LOCAL",
    sections: { lwt_seg6local: {} },
  },
  lirc_mode2: {
    ...LOADED,
    display: "a lirc_mode2",
    loadOnly: "an infrared receiver runs it: ir-keytable, or BPF_PROG_ATTACH on its /dev/lirc device",
    programType: "LIRC_MODE2",
    expectedAttachType: "LIRC_MODE2",
    capabilities: [],
    sections: { lirc_mode2: {} },
  },
  syscall: {
    ...LOADED,
    display: "a syscall",
    loadOnly: "a process runs it with BPF_PROG_TEST_RUN",
    programType: "SYSCALL",
    capabilities: [],
    sections: { syscall: SLEEPABLE },
  },
  struct_ops: {
    ...LOADED,
    display: "a struct_ops",
    loadOnly:
      "the kernel runs it as a member of its struct, whose map is loaded with it, once a process has registered the struct: BPF_MAP_UPDATE_ELEM with the descriptors of the programs",
    programType: "STRUCT_OPS",
    capabilities: ["CAP_PERFMON"],
    sections: { struct_ops: {}, "struct_ops.s": SLEEPABLE },
  },
} as const satisfies Readonly<Record<string, KindFacts>>;

/** The kinds of program that bpfman manages, as named on the command line. */
export type ProgramType = keyof typeof KINDS;
export const PROGRAM_TYPES = Object.keys(KINDS) as readonly ProgramType[] as readonly [ProgramType, ...ProgramType[]];

type KindsWith<Fact extends keyof KindFacts, Value> = {
  [Kind in ProgramType]: (typeof KINDS)[Kind][Fact] extends Value ? Kind : never;
}[ProgramType];

/** Kinds whose programs a dispatcher runs. */
export type ChainedKind = KindsWith<"chained", true>;
export const isChainedKind = (kind: ProgramType): kind is ChainedKind => KINDS[kind].chained;

/** Kinds that are attached to a cgroup. */
export type CgroupKind = KindsWith<"attachKind", "cgroup">;
export const CGROUP_KINDS = PROGRAM_TYPES.filter((kind): kind is CgroupKind => KINDS[kind].attachKind === "cgroup");

/** The word after `attach ID` on the command line. */
export type AttachKind = NonNullable<(typeof KINDS)[ProgramType]["attachKind"]>;
export const ATTACH_KINDS = [
  ...new Set(PROGRAM_TYPES.flatMap((kind): AttachKind | [] => KINDS[kind].attachKind ?? [])),
];

/** Returns a kind's facts, for code that handles any kind. */
export const factsOf = (kind: ProgramType): KindFacts => KINDS[kind];

/** The kinds that are not only loaded: those that links have. */
export const ATTACHABLE_TYPES = PROGRAM_TYPES.filter((kind) => factsOf(kind).attachKind !== null);

/** Returns the capabilities it takes to load and attach programs of a kind. */
export const capabilitiesOf = (kind: ProgramType): readonly Capability[] => ["CAP_BPF", ...factsOf(kind).capabilities];

/** Returns the kinds that a program in these sections can be loaded as. */
export const kindsOfSection = (kind: ProgramType): readonly ProgramType[] =>
  PROGRAM_TYPES.filter((each) => each === kind || (factsOf(each).family === kind && !factsOf(each).sectionDecides));

/** Splits a section such as `?tc/x` into the full name, the part before the first slash, and the rest. */
export function sectionParts(section: string) {
  // A leading `?` means "do not load automatically".
  const name = section.startsWith("?") ? section.slice(1) : section;
  const slash = name.indexOf("/");
  return {
    name,
    head: slash < 0 ? name : name.slice(0, slash),
    /** Null if there is none. */
    target: slash < 0 || slash === name.length - 1 ? null : name.slice(slash + 1),
  };
}

/**
 * Returns the facts a section specifies for a program loaded as this kind; empty if the section belongs to another
 * kind.
 */
export function sectionFacts({ sections }: Pick<KindFacts, "sections">, section: string): SectionFacts {
  const { name, head } = sectionParts(section);
  const known = [name, head].find((each) => Object.hasOwn(sections, each));
  return known === undefined ? {} : (sections[known] ?? {});
}

/** How a program is declared to the kernel. */
export interface KernelType {
  readonly type: KernelProgramType;
  readonly expectedAttachType: KernelAttachType | null;
  readonly sleepable: boolean;
}

/** Returns how a program of that kind in this section is declared. */
export function kernelTypeOf(facts: KindFacts, section: string): KernelType {
  const {
    programType: type = facts.programType,
    expectedAttachType = facts.expectedAttachType,
    sleepable = false,
  } = sectionFacts(facts, section);
  return { type, expectedAttachType, sleepable };
}
