/** What a kernel must have for an object, and since which version of Linux it has (its release notes, and bpf(2)). */
import { type KernelProgramType, programTypeWord } from "../domain/kernel-words.ts";
import { mapTypeJson } from "../domain/map-type-words.ts";
import { kernelTypeOf, KINDS, sectionParts } from "../domain/kinds.ts";
import type { ObjectFile, ObjectMap } from "../domain/object-file.ts";

export interface Requirement {
  readonly feature: string;
  /** `5.8` */
  readonly since: string;
}

const PROGRAM_TYPES: Readonly<Partial<Record<KernelProgramType, string>>> = {
  SOCKET_FILTER: "3.19",
  KPROBE: "4.1",
  SCHED_CLS: "4.1",
  SCHED_ACT: "4.1",
  TRACEPOINT: "4.7",
  XDP: "4.8",
  PERF_EVENT: "4.9",
  CGROUP_SKB: "4.10",
  CGROUP_SOCK: "4.10",
  LWT_IN: "4.10",
  LWT_OUT: "4.10",
  LWT_XMIT: "4.10",
  SOCK_OPS: "4.13",
  SK_SKB: "4.14",
  CGROUP_DEVICE: "4.15",
  SK_MSG: "4.17",
  RAW_TRACEPOINT: "4.17",
  CGROUP_SOCK_ADDR: "4.17",
  LWT_SEG6LOCAL: "4.18",
  LIRC_MODE2: "4.18",
  SK_REUSEPORT: "4.19",
  FLOW_DISSECTOR: "4.20",
  CGROUP_SYSCTL: "5.2",
  RAW_TRACEPOINT_WRITABLE: "5.2",
  CGROUP_SOCKOPT: "5.3",
  TRACING: "5.5",
  STRUCT_OPS: "5.6",
  EXT: "5.6",
  LSM: "5.7",
  SK_LOOKUP: "5.9",
  SYSCALL: "5.14",
  NETFILTER: "6.4",
};

/** By BPF_MAP_TYPE_* number, from 1. */
const MAP_TYPES = (
  "3.19 3.19 4.2 4.3 4.6 4.6 4.6 4.8 4.10 4.10 4.11 4.12 4.12 4.14 4.14 4.15 4.18 4.18 4.19 4.19 " +
  "4.20 4.20 4.20 5.2 5.4 5.6 5.8 5.10 5.11 5.16 6.1 6.2 6.9"
).split(" ");

/** By the section, or the part before its slash. */
const SECTIONS: readonly (readonly [RegExp, Requirement])[] = [
  [/^fsession/, { feature: "tracing of kernel functions at entry and return by one program", since: "7.0" }],
  [/^kprobe\.session/, { feature: "probes of kernel functions at entry and return", since: "6.10" }],
  [/^uprobe\.session/, { feature: "probes of user functions at entry and return", since: "6.13" }],
  [/^k(ret)?probe\.multi/, { feature: "probes of many kernel functions at once", since: "5.18" }],
  [/^u(ret)?probe\.multi/, { feature: "probes of many user functions at once", since: "6.6" }],
  [/^tcx$/, { feature: "TCX hooks", since: "6.6" }],
  [/^netkit$/, { feature: "netkit hooks", since: "6.7" }],
  [/^cgroup\/\w+_unix$/, { feature: "cgroup programs for Unix sockets", since: "6.7" }],
  [/^lsm_cgroup/, { feature: "LSM programs of cgroups", since: "6.0" }],
  [/^xdp\.frags/, { feature: "XDP programs for packets in several buffers", since: "5.18" }],
  [/^(fentry|fexit|lsm|fmod_ret|iter)\.s$/, { feature: "sleepable programs", since: "5.10" }],
  [/^struct_ops\.s$/, { feature: "sleepable members of structs of kernel hooks", since: "6.3" }],
  [/^uprobe\.s$|^uretprobe\.s$|^usdt\.s$/, { feature: "sleepable uprobes", since: "6.0" }],
];

function ofMap({ type, inner }: ObjectMap): Requirement[] {
  const since = MAP_TYPES[type - 1];
  const own = since === undefined ? [] : [{ feature: `map type ${mapTypeJson(type)}`, since }];
  return [...own, ...(inner === null ? [] : ofMap(inner))];
}

const numberOf = (version: string): number => {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major * 1000 + minor;
};

/** Returns each feature once, the newest first. */
export function requirementsOf(
  { programs, maps, globals }: ObjectFile,
  externs: readonly { readonly kind: "function" | "variable" | "kconfig" }[],
): Requirement[] {
  const found: Requirement[] = maps.flatMap(ofMap);
  for (const program of programs) {
    const type = program.kind === null ? null : kernelTypeOf(KINDS[program.kind], program.section).type;
    const since = type === null ? undefined : PROGRAM_TYPES[type];
    if (type !== null && since !== undefined) found.push({ feature: `program type ${programTypeWord(type)}`, since });
    const { head, name } = sectionParts(program.section);
    found.push(...SECTIONS.flatMap(([section, needed]) => (section.test(head) || section.test(name) ? needed : [])));
  }
  if (globals.length > 0) found.push({ feature: "global variables", since: "5.2" });
  if (externs.some(({ kind }) => kind === "function")) found.push({ feature: "kernel functions", since: "5.13" });
  if (externs.some(({ kind }) => kind === "variable")) found.push({ feature: "kernel variables", since: "5.10" });
  const once = new Map(found.map((each) => [each.feature, each]));
  return [...once.values()].sort((a, b) => numberOf(b.since) - numberOf(a.since) || (a.feature < b.feature ? -1 : 1));
}
